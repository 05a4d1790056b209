import type { MigrationInterface, QueryRunner } from 'typeorm';
import { MOST, wanted } from './0082-due-rows.js';
import { LET_THROUGH } from './0086-automatic-rotation.js';
import { asFunctions } from './row-security.js';

/** Of one tenant at once: one change of its rules, whose records are appended while nobody else's are. */
const LOT = 32;

/** `ofATenant`: how many keys, as SQL; `found`: a condition on `r`. */
const dueRotations = (ofATenant: string, found: string): string =>
  asFunctions(`
      CREATE OR REPLACE FUNCTION keyward.due_rotations(of_tenant text, of_key text) RETURNS TABLE (tenant_id text, key_id text, due text, at timestamptz)
      LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT d.tenant_id, d.key_id, d.next_at::text, clock_timestamp()
          FROM (
            SELECT DISTINCT a.tenant_id FROM keyward.key_rotation a
              WHERE a.next_at <= clock_timestamp() AND (of_tenant = a.tenant_id OR of_tenant IS NULL)) t, LATERAL (
            SELECT r.tenant_id, r.key_id, r.next_at
              FROM keyward.key_rotation r JOIN keyward.cmk k USING (tenant_id, key_id)
              WHERE r.tenant_id = t.tenant_id AND r.next_at <= clock_timestamp() AND k.state = 'Enabled'
                AND ${found}
                AND ${LET_THROUGH}
              ORDER BY r.next_at LIMIT ${ofATenant} FOR UPDATE OF r SKIP LOCKED) d
          ORDER BY d.next_at LIMIT ${MOST}
      $$;`);

/** A look finds one key of each tenant, so that no tenant's fill the queue; whoever then asks for the tenant gets a lot of them. */
export class LotsOfDueKeys implements MigrationInterface {
  readonly name = 'LotsOfDueKeys0000000000200';

  async up(runner: QueryRunner): Promise<void> {
    const found = `(of_key = r.key_id OR of_key IS NULL AND NOT keyward.job_rests('rotate-key', r.tenant_id, r.key_id))`;
    await runner.query(dueRotations(`CASE WHEN of_tenant IS NULL THEN 1 ELSE ${LOT} END`, found));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(dueRotations('4', `${wanted('rotate-key', 'r.tenant_id', 'r.key_id')} AND (of_key = r.key_id OR of_key IS NULL)`));
  }
}
