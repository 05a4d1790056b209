import type { MigrationInterface, QueryRunner } from 'typeorm';
import { ROLL_UP, rollUp } from './0022-trail-stats.js';
import { KEY_LIFE } from './0030-key-life.js';
import { COUNT_USES } from './0044-key-uses.js';
import { MOST, wanted } from './0082-due-rows.js';
import { ROTATION, VERSION } from './0085-key-rotation.js';
import { LET_THROUGH } from './0086-automatic-rotation.js';
import { BUDGET, sealedByLedger, SEALED, SEALINGS, WORN, wornByLedger } from './0087-worn-keys.js';
import { keyOf } from './key-of.js';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { APPEND_OWN_RECORD, mayExecute, ownedByFunctions, tenantRows } from './row-security.js';

const DUE = 'wear_to_tell(text, text)';
const TELL = 'tell_wear(bytea, text, text, boolean)';
const OPERATIONS = ['KeyWorn', 'KeyExhausted'];

/**
 * A quarter below the 2³² seals with random IVs that NIST SP 800-38D §8.3 allows under one key: what is sealed between a record and its
 * count fits into the rest, 2³⁰ seals, which is three hours without a worker at 100,000 a second.
 */
export const LIMIT = 3 * 2 ** 30;

/** A new value of a secret has a data key of its own. */
const ALL_SEALINGS = `${SEALINGS}, 'CreateSecret', 'PutSecretValue'`;

const COUNT_SEALS = `
        INSERT INTO keyward.key_wear AS w (tenant_id, version_id, key_id, sealed)
          SELECT of_tenant, r.version_id, min(r.key_id), sum(r.calls)
            FROM keyward.trail_record r
            WHERE r.tenant_id = of_tenant AND r.seq >= from_seq AND r.seq < to_seq AND r.outcome = 'succeeded' AND r.op IN (${ALL_SEALINGS})
              AND r.version_id IS NOT NULL AND r.key_id IS NOT NULL AND r.calls > 0
            GROUP BY 2
          ON CONFLICT (tenant_id, version_id) DO UPDATE SET sealed = w.sealed + excluded.sealed;`;

const replaced = (also: string, sealed: string, worn: string, exhausted: string): string => `
      DROP FUNCTION keyward.${ROLL_UP}, keyward.${SEALED}, keyward.${WORN};
      ${rollUp(also)}
      ${sealed}
      ${worn}
      ${ownedByFunctions(SEALED, WORN)}
      ${mayExecute(WORN, 'keyward_worker')}
      ${keyOf({ key: KEY_LIFE + ROTATION + exhausted, version: VERSION })}
      ${mayExecute('key_of(text, text, text)', 'keyward_worker')}`;

/** How often each version has sealed, counted with the ledger; at a limit it seals no more, whoever wants it to. */
export class KeyWear implements MigrationInterface {
  readonly name = 'KeyWear0000000000132';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${mayAppend('keyward_worker', OPERATIONS)}
      CREATE TABLE keyward.key_wear (
        tenant_id text NOT NULL REFERENCES keyward.tenant,
        version_id text NOT NULL,
        key_id text NOT NULL,
        sealed bigint NOT NULL,
        worn boolean GENERATED ALWAYS AS (sealed >= ${BUDGET}) STORED,
        -- 1: that it is worn, 2: that it seals no more.
        told integer NOT NULL DEFAULT 0,
        PRIMARY KEY (tenant_id, version_id)
      );
      CREATE INDEX worn_version ON keyward.key_wear (tenant_id, version_id) WHERE worn;
      ${tenantRows('key_wear')}
      GRANT SELECT, INSERT, UPDATE ON keyward.key_wear TO keyward_functions;
      SET LOCAL ROLE keyward_functions;
      INSERT INTO keyward.key_wear (tenant_id, version_id, key_id, sealed)
        SELECT u.tenant_id, u.version_id, min(u.key_id), sum(u.calls) FROM keyward.key_use u
          WHERE u.outcome = 'succeeded' AND u.op IN (${ALL_SEALINGS}) AND u.version_id <> '' GROUP BY 1, 2;
      SET LOCAL ROLE keyward_owner;
      DROP INDEX keyward.key_use_of_version;

      -- Read by every decision: a change moves the epoch, so none that was made before is accepted after it.
      ALTER TABLE keyward.key_version ADD exhausted boolean NOT NULL DEFAULT false;
      GRANT UPDATE (exhausted) ON keyward.key_version TO keyward_functions;
      ${replaced(
        COUNT_USES + COUNT_SEALS,
        `CREATE FUNCTION keyward.sealed_under(of_tenant text, of_key text, of_version text) RETURNS numeric
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT coalesce((SELECT w.sealed FROM keyward.key_wear w WHERE w.tenant_id = of_tenant AND w.version_id = of_version), 0)
      $$;`,
        `CREATE FUNCTION keyward.worn_keys(of_tenant text, of_key text) RETURNS TABLE (tenant_id text, key_id text, due text, at timestamptz)
      LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT r.tenant_id, r.key_id, r.next_at::text, clock_timestamp()
          FROM keyward.key_wear w JOIN keyward.cmk k ON k.tenant_id = w.tenant_id AND k.primary_version = w.version_id
          JOIN keyward.key_rotation r ON r.tenant_id = k.tenant_id AND r.key_id = k.key_id
          WHERE w.worn AND r.next_at IS NOT NULL AND k.state = 'Enabled'
            AND ${wanted('rotate-worn-key', 'r.tenant_id', 'r.key_id')} AND (of_key = r.key_id OR of_key IS NULL)
            AND ${LET_THROUGH}
          ORDER BY r.next_at LIMIT ${MOST} FOR UPDATE OF r SKIP LOCKED
      $$;`,
        `
        'exhausted', (SELECT v.exhausted FROM keyward.key_version v WHERE v.tenant_id = wanted AND v.version_id = k.primary_version),`,
      )}

      -- A key whose policy has it rotated at half of the budget is not told of before that failed for long.
      CREATE FUNCTION keyward.wear_to_tell(of_tenant text, of_version text)
      RETURNS TABLE (tenant_id text, key_id text, version_id text, sealed bigint, exhausted boolean, log_id text)
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT w.tenant_id, w.key_id, w.version_id, w.sealed, w.sealed >= ${LIMIT}, l.log_id
          FROM keyward.key_wear w JOIN keyward.cmk k ON k.tenant_id = w.tenant_id AND k.primary_version = w.version_id
          JOIN keyward.log l ON l.tenant_id = w.tenant_id
          LEFT JOIN keyward.key_rotation r ON r.tenant_id = k.tenant_id AND r.key_id = k.key_id
          WHERE w.worn AND k.state <> 'Destroyed' AND (w.sealed >= ${LIMIT} AND w.told < 2 OR w.told < 1 AND r.next_at IS NULL)
            AND ${wanted('tell-wear', 'w.tenant_id', 'w.version_id')} AND (of_version = w.version_id OR of_version IS NULL)
          ORDER BY w.sealed DESC LIMIT ${MOST}
      $$;

      -- That it seals no more, and the record that tells it, in one transaction. NULL: it is not so, or somebody told it.
      CREATE FUNCTION keyward.tell_wear(body bytea, of_tenant text, of_version text, is_exhausted boolean) RETURNS bigint
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        answer bigint;
        level integer := CASE WHEN is_exhausted THEN 2 ELSE 1 END;
      BEGIN
        IF NOT EXISTS (SELECT FROM keyward.wear_to_tell(of_tenant, of_version) d WHERE d.exhausted = is_exhausted) THEN
          RETURN NULL;
        END IF;
        UPDATE keyward.key_wear w SET told = level WHERE w.tenant_id = of_tenant AND w.version_id = of_version AND w.told < level;
        IF NOT FOUND THEN
          RETURN NULL;
        END IF;
        IF is_exhausted THEN
          UPDATE keyward.key_version v SET exhausted = true WHERE v.tenant_id = of_tenant AND v.version_id = of_version;
        END IF;${APPEND_OWN_RECORD}
        RETURN answer;
      END $$;
      ${ownedByFunctions(DUE, TELL)}
      ${[DUE, TELL].map((signature) => mayExecute(signature, 'keyward_worker')).join('')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION keyward.${DUE}, keyward.${TELL};
      CREATE INDEX key_use_of_version ON keyward.key_use (tenant_id, key_id, version_id);
      ${replaced(COUNT_USES, sealedByLedger, wornByLedger, '')}
      ALTER TABLE keyward.key_version DROP exhausted;
      DROP TABLE keyward.key_wear;
      ${mayNotAppend(OPERATIONS)}
    `);
  }
}
