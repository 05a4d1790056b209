import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { mayExecute, ownedByFunctions } from './row-security.js';

const APPEND = 'trail_append(bytea, integer[], text[], uuid[], uuid[], timestamptz[], text[], integer[], integer[])';
const IDLE = 'idle_logs(interval)';

/** Lets the worker append heartbeats, and nothing else: a log in which nothing happens still shows that it is kept. */
export class Heartbeats implements MigrationInterface {
  readonly name = 'Heartbeats0000000000023';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${mayAppend('keyward_worker', ['Heartbeat'])}

      -- A log begins with its first admin's enrolment: before it there is nothing to keep alive.
      CREATE FUNCTION keyward.idle_logs(since interval) RETURNS TABLE (tenant_id text, log_id text, epoch uuid, platform_epoch uuid, size bigint, signed_size bigint)
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT h.tenant_id, l.log_id, h.epoch, p.epoch, h.size, coalesce(c.size, 0)
          FROM keyward.tenant_head h
          JOIN keyward.log l USING (tenant_id)
          JOIN keyward.tenant_head p ON p.tenant_id = 'platform'
          LEFT JOIN keyward.trail_checkpoint c ON c.tenant_id = h.tenant_id
          WHERE h.size > 0 AND h.last_at < clock_timestamp() - since
          ORDER BY h.tenant_id LIMIT 1000
      $$;
      ${ownedByFunctions(IDLE)}
      ${mayExecute(IDLE, 'keyward_worker')}
      ${mayExecute(APPEND, 'keyward_worker')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION keyward.${IDLE};
      SET LOCAL ROLE keyward_functions;
      REVOKE EXECUTE ON FUNCTION keyward.${APPEND} FROM keyward_worker;
      SET LOCAL ROLE keyward_owner;
      ${mayNotAppend(['Heartbeat'])}
    `);
  }
}
