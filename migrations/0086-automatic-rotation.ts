import type { MigrationInterface, QueryRunner } from 'typeorm';
import { MOST, wanted } from './0082-due-rows.js';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { appendUnder, mayExecute, ownedByFunctions } from './row-security.js';

const DUE = 'due_rotations(text, text)';
const ROOT = 'root_of(text)';
export const ROTATE = 'rotate_key(bytea, text, text, uuid, uuid, timestamptz, text, bytea, text, text, bytea, bytea)';
const FUNCTIONS = [DUE, ROOT, ROTATE];
const RULES = 'rules_of(text)';

/** At a time: however many keys of one tenant are due, nobody else's wait behind them. */
const OF_A_TENANT = 4;

/** Of `r`: no stop, and no suspension, that lets nobody rotate it. */
export const LET_THROUGH = `NOT EXISTS (
              SELECT FROM keyward.stop s WHERE s.tenant_id = r.tenant_id AND s.lifted_at IS NULL
                AND (s.target ->> 'scope' = 'everything' OR s.target ->> 'keyId' = r.key_id))
            AND NOT EXISTS (SELECT FROM keyward.tenant_suspension s WHERE s.tenant_id = 'platform' AND s.suspended_tenant = r.tenant_id)`;

/** `isDue`: a condition on key_rotation. */
export const rotateKey = (isDue: string): string => `
      -- Version, primary, due time and record in one transaction. NULL: it is not due, or not any more. Raises KW001 when a rule came in
      -- between. Spec, usage and log are those of the version before: they never change.
      CREATE FUNCTION keyward.rotate_key(
        body bytea, of_tenant text, of_key text, epoch uuid, platform_epoch uuid, due timestamptz, before text, new_names bytea,
        new_version text, level text, new_blob bytea, new_mac bytea
      ) RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        answer bigint;
      BEGIN
        UPDATE keyward.cmk SET primary_version = new_version, names_mac = new_names
          WHERE tenant_id = of_tenant AND key_id = of_key AND state = 'Enabled' AND primary_version = before;
        IF NOT FOUND THEN
          RETURN NULL;
        END IF;
        UPDATE keyward.key_rotation SET next_at = clock_timestamp() + make_interval(hours => 24 * interval_days)
          WHERE tenant_id = of_tenant AND key_id = of_key AND next_at = due AND (${isDue});
        IF NOT FOUND THEN
          RAISE EXCEPTION 'not due' USING ERRCODE = 'KW001';
        END IF;
        INSERT INTO keyward.key_version (tenant_id, version_id, key_id, spec, usage, origin, protection_level, log_id, blob, mac)
          SELECT v.tenant_id, new_version, v.key_id, v.spec, v.usage, v.origin, level, v.log_id, new_blob, new_mac
            FROM keyward.key_version v WHERE v.tenant_id = of_tenant AND v.key_id = of_key AND v.version_id = before;
        IF NOT FOUND THEN
          RAISE EXCEPTION 'no such version' USING ERRCODE = 'KW001';
        END IF;${appendUnder('of_tenant')}
        RETURN answer;
      END $$;`;

const FOUND = `${wanted('rotate-key', 'r.tenant_id', 'r.key_id')} AND (of_key = r.key_id OR of_key IS NULL)`;

/** `ofATenant`: how many keys, as SQL; `found`: a condition on `r`. */
export const dueRotations = (
  ofATenant = String(OF_A_TENANT),
  found = FOUND,
): string => `CREATE FUNCTION keyward.due_rotations(of_tenant text, of_key text) RETURNS TABLE (tenant_id text, key_id text, due text, at timestamptz)
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
      $$;`;

/** What the worker may see and do of keys that are rotated automatically. */
export class AutomaticRotation implements MigrationInterface {
  readonly name = 'AutomaticRotation0000000000086';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      GRANT UPDATE (next_at) ON keyward.key_rotation TO keyward_functions;
      GRANT UPDATE (primary_version, names_mac) ON keyward.cmk TO keyward_functions;
      GRANT INSERT ON keyward.key_version TO keyward_functions;
      ${mayAppend('keyward_worker', ['RotateKey'])}

      -- Where to look; that a key may be rotated is decided by its rules, bound as they are. Left out is what no rule lets through now, so
      -- that it is found as soon as one does.
      ${dueRotations()}

      CREATE FUNCTION keyward.root_of(wanted text) RETURNS integer
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT coalesce((SELECT r.root FROM keyward.tenant_root r WHERE r.tenant_id = wanted), 0)
      $$;

      ${rotateKey('next_at <= clock_timestamp()')}
      ${ownedByFunctions(...FUNCTIONS)}
      ${[...FUNCTIONS, RULES].map((signature) => mayExecute(signature, 'keyward_worker')).join('')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION keyward.${FUNCTIONS.join(', keyward.')};
      SET LOCAL ROLE keyward_functions;
      REVOKE EXECUTE ON FUNCTION keyward.${RULES} FROM keyward_worker;
      SET LOCAL ROLE keyward_owner;
      ${mayNotAppend(['RotateKey'])}
      REVOKE INSERT ON keyward.key_version FROM keyward_functions;
      REVOKE UPDATE (primary_version, names_mac) ON keyward.cmk FROM keyward_functions;
      REVOKE UPDATE (next_at) ON keyward.key_rotation FROM keyward_functions;
    `);
  }
}
