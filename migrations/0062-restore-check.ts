import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { APPEND_OWN_RECORD, mayExecute, ownedByFunctions } from './row-security.js';

const HEADS = 'log_heads(text, integer)';
const AGAIN = 'destroy_again(bytea, text, text)';
const STOP = 'stop_restored(bytea, text, text, text, bigint)';
const FUNCTIONS = [HEADS, AGAIN, STOP];
const OPERATIONS = ['DestroyAgain', 'StopRestored'];

/** What the key plane may do when the custodian remembers more than the database: it only takes away. */
export class RestoreCheck implements MigrationInterface {
  readonly name = 'RestoreCheck0000000000062';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      GRANT INSERT ON keyward.stop TO keyward_functions;
      ${mayAppend('keyward_key_plane', OPERATIONS)}

      CREATE FUNCTION keyward.log_heads(after_tenant text, most integer) RETURNS TABLE (tenant_id text, log_id text, size bigint, root integer)
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT h.tenant_id, l.log_id, h.size, coalesce(r.root, 0)
          FROM keyward.tenant_head h JOIN keyward.log l USING (tenant_id) LEFT JOIN keyward.tenant_root r USING (tenant_id)
          WHERE h.tenant_id > after_tenant ORDER BY h.tenant_id LIMIT most
      $$;

      -- A key that is destroyed elsewhere waits for its end from now on, and its wait is over. NULL: it is on its way already.
      CREATE FUNCTION keyward.destroy_again(body bytea, of_tenant text, of_key text) RETURNS bigint
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        answer bigint;
      BEGIN
        UPDATE keyward.cmk SET
            state = 'PendingDeletion',
            deletion_at = clock_timestamp(),
            state_before = CASE state WHEN 'PendingDeletion' THEN state_before ELSE state END
          WHERE tenant_id = of_tenant AND key_id = of_key AND state <> 'Destroyed' AND (deletion_at <= clock_timestamp()) IS NOT TRUE;
        IF NOT FOUND THEN
          RETURN NULL;
        END IF;
        ${APPEND_OWN_RECORD}
        RETURN answer;
      END $$;

      -- Stops everything. NULL: it was stopped for that before, whether or not that is lifted; or the log has what was signed, and it
      -- was read before it had.
      CREATE FUNCTION keyward.stop_restored(body bytea, of_tenant text, stop text, why text, signed bigint) RETURNS bigint
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        answer bigint;
      BEGIN
        IF (SELECT h.size >= signed FROM keyward.tenant_head h WHERE h.tenant_id = of_tenant) THEN
          RETURN NULL;
        END IF;
        PERFORM FROM keyward.stop s WHERE s.tenant_id = of_tenant AND s.stopped_by = 'restore' AND s.reason = why;
        IF FOUND THEN
          RETURN NULL;
        END IF;
        INSERT INTO keyward.stop (tenant_id, stop_id, target, reason, stopped_by, stopped_at)
          VALUES (of_tenant, stop, '{"scope":"everything"}', why, 'restore', clock_timestamp());
        ${APPEND_OWN_RECORD}
        RETURN answer;
      END $$;
      ${ownedByFunctions(...FUNCTIONS)}
      ${FUNCTIONS.map((signature) => mayExecute(signature, 'keyward_key_plane')).join('')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION keyward.${FUNCTIONS.join(', keyward.')};
      ${mayNotAppend(OPERATIONS)}
      REVOKE INSERT ON keyward.stop FROM keyward_functions;
    `);
  }
}
