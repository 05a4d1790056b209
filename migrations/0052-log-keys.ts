import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { mayExecute, ownedByFunctions, tenantRows } from './row-security.js';

const TO_SIGN = 'logs_to_sign()';
const DUE = 'log_keys_due()';
const RETIRE = 'retire_log_key(text, integer, uuid, uuid, bytea)';
const NEWEST = 'newest_log_key(text)';
const DESTROYED = 'log_key_destroyed(text, integer)';

/** Keys to retire, and keys that have been and still are in the HSM; `narrowed` by a further condition. */
export const keysDue = (narrowed: string, most: number): string => `
        SELECT k.tenant_id, l.log_id, k.number - 1, coalesce(o.vkey, l.vkey), k.retired_at IS NOT NULL, h.epoch, p.epoch
          FROM keyward.log_key k
          JOIN keyward.log l USING (tenant_id)
          JOIN keyward.tenant_head h USING (tenant_id)
          JOIN keyward.tenant_head p ON p.tenant_id = 'platform'
          LEFT JOIN keyward.log_key o ON o.tenant_id = k.tenant_id AND o.number = k.number - 1
          WHERE k.destroyed_at IS NULL AND (k.retired_at IS NOT NULL OR k.retires_at < clock_timestamp() AND EXISTS (
            SELECT FROM keyward.signed_checkpoint c WHERE c.tenant_id = k.tenant_id AND c.size > coalesce(k.record_seq, (
              SELECT max(r.seq) FROM keyward.trail_record r
                WHERE r.tenant_id = k.tenant_id AND r.op = 'RotateLogKey' AND r.outcome = 'succeeded'
                  AND (convert_from(r.bytes, 'UTF8')::jsonb #>> '{change,number}')::integer = k.number))))${narrowed}
          ORDER BY k.tenant_id, k.number LIMIT ${most}`;

/** Of before there were numbers, and after. */
const logsToSign = (column: string, keys: string): string => `
      DROP FUNCTION keyward.${TO_SIGN};
      CREATE FUNCTION keyward.logs_to_sign() RETURNS TABLE (tenant_id text, log_id text, origin text, size bigint, signed_size bigint${column})
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT h.tenant_id, l.log_id, l.origin, h.size, coalesce(c.size, 0)${keys}
          FROM keyward.tenant_head h JOIN keyward.log l USING (tenant_id) LEFT JOIN keyward.trail_checkpoint c USING (tenant_id)
          WHERE h.size > coalesce(c.size, 0)
          ORDER BY h.tenant_id
      $$;
      ${ownedByFunctions(TO_SIGN)}
      ${mayExecute(TO_SIGN, 'keyward_worker')}`;

/** The newest key; before it the one that it replaces, until that is retired. The first has no row. */
const KEYS = `, coalesce((
            SELECT CASE WHEN k.retired_at IS NULL THEN ARRAY[k.number - 1, k.number] ELSE ARRAY[k.number] END
              FROM keyward.log_key k WHERE k.tenant_id = h.tenant_id ORDER BY k.number DESC LIMIT 1), '{1}')`;

/** Of before jobs; no code calls it any more (migration 0133). */
export const logKeysDue = `
      CREATE FUNCTION keyward.log_keys_due() RETURNS TABLE (tenant_id text, log_id text, number integer, vkey text, retired boolean, epoch uuid, platform_epoch uuid)
      LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      BEGIN
        RETURN QUERY ${keysDue('', 100)};
      END $$;`;

/**
 * Keys of a log after its first (keyward.log.vkey, number 1). Each is recorded in the log that it is to sign while the key before it still
 * signs; then that one is retired, and removed from the HSM by the worker.
 */
export class LogKeys implements MigrationInterface {
  readonly name = 'LogKeys0000000000052';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${mayAppend('keyward_key_plane', ['RotateLogKey'])}
      ${mayAppend('keyward_worker', ['RetireLogKey'])}

      CREATE TABLE keyward.log_key (
        tenant_id text NOT NULL REFERENCES keyward.log,
        number integer NOT NULL CHECK (number > 1),
        vkey text NOT NULL,
        made_at timestamptz NOT NULL,
        -- Of the key before it: when it is to end, ended, and left the HSM.
        retires_at timestamptz NOT NULL,
        retired_at timestamptz,
        destroyed_at timestamptz CHECK (retired_at IS NOT NULL OR destroyed_at IS NULL),
        PRIMARY KEY (tenant_id, number)
      );
      -- Two keys sign at once, never three.
      CREATE UNIQUE INDEX log_key_overlap ON keyward.log_key (tenant_id) WHERE retired_at IS NULL;
      ${tenantRows('log_key')}
      GRANT SELECT, INSERT ON keyward.log_key TO keyward_key_plane;
      GRANT SELECT ON keyward.log TO keyward_key_plane;
      GRANT SELECT ON keyward.log_key TO keyward_auditor;
      GRANT SELECT, UPDATE (retired_at, destroyed_at) ON keyward.log_key TO keyward_functions;

      -- Where the records are that vouch for keys.
      CREATE INDEX log_key_record ON keyward.trail_record (tenant_id, seq) WHERE op = 'RotateLogKey';
      ${logsToSign(', keys integer[]', KEYS)}

      -- Keys to retire, and keys that have been and still are in the HSM. A key goes on signing until a checkpoint covers the record that names
      -- the next one: without its signature nobody who pinned it could ever follow. PL/pgSQL: migration 0053 keeps records that were pruned.
      ${logKeysDue}

      -- With its record or not at all. Raises lock_not_available where the record cannot be appended now.
      CREATE FUNCTION keyward.retire_log_key(of_tenant text, of_number integer, of_epoch uuid, of_platform_epoch uuid, body bytea) RETURNS void
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      BEGIN
        UPDATE keyward.log_key k SET retired_at = clock_timestamp()
          WHERE k.tenant_id = of_tenant AND k.number = of_number + 1 AND k.retired_at IS NULL AND k.retires_at < clock_timestamp();
        IF NOT FOUND THEN
          RETURN;
        END IF;
        IF (keyward.trail_append(body, ARRAY[length(body)], ARRAY[of_tenant], ARRAY[of_epoch], ARRAY[of_platform_epoch], ARRAY[NULL::timestamptz]))[1] < 0 THEN
          RAISE EXCEPTION 'not now' USING ERRCODE = 'lock_not_available';
        END IF;
      END $$;

      CREATE FUNCTION keyward.log_key_destroyed(of_tenant text, of_number integer) RETURNS void
      LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        UPDATE keyward.log_key k SET destroyed_at = clock_timestamp()
          WHERE k.tenant_id = of_tenant AND k.number = of_number + 1 AND k.retired_at IS NOT NULL AND k.destroyed_at IS NULL
      $$;
      CREATE FUNCTION keyward.newest_log_key(wanted text) RETURNS integer
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT coalesce(max(k.number), 1) FROM keyward.log_key k WHERE k.tenant_id = wanted
      $$;
      ${ownedByFunctions(DUE, RETIRE, DESTROYED, NEWEST)}
      ${[DUE, RETIRE, DESTROYED, NEWEST].map((signature) => mayExecute(signature, 'keyward_worker')).join('')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION keyward.${DUE}, keyward.${RETIRE}, keyward.${DESTROYED}, keyward.${NEWEST};
      ${logsToSign('', '')}
      DROP INDEX keyward.log_key_record;
      REVOKE SELECT ON keyward.log FROM keyward_key_plane;
      DROP TABLE keyward.log_key;
      ${mayNotAppend(['RotateLogKey', 'RetireLogKey'])}
    `);
  }
}
