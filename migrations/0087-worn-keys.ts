import type { MigrationInterface, QueryRunner } from 'typeorm';
import { wanted } from './0082-due-rows.js';
import { LET_THROUGH, ROTATE, rotateKey } from './0086-automatic-rotation.js';
import { mayExecute, ownedByFunctions } from './row-security.js';

export const WORN = 'worn_keys(text, text)';
export const SEALED = 'sealed_under(text, text, text)';
/**
 * Half of what random IVs of 96 bits allow under one key (NIST SP 800-38D §8.3: 2³²). The other half is for what is sealed between two looks,
 * and while a stop or the state of the key lets nobody rotate it.
 */
export const BUDGET = 2 ** 31;
/** Whose ledgers a look adds up: by lot, so that each has its turn within hours even of a hundred thousand, and wearing out takes days. */
const LOOKED_AT = 200;
const IS_DUE = 'next_at <= clock_timestamp()';

export const SEALINGS = `'Encrypt', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext', 'ReEncryptTo'`;
/** By the usage ledger, which is a few seconds behind. */
export const sealedByLedger = `
      CREATE FUNCTION keyward.sealed_under(of_tenant text, of_key text, of_version text) RETURNS numeric
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT coalesce(sum(u.calls), 0) FROM keyward.key_use u
          WHERE u.tenant_id = of_tenant AND u.key_id = of_key AND u.version_id = of_version AND u.outcome = 'succeeded'
            AND u.op IN (${SEALINGS})
      $$;`;
export const wornByLedger = `
      CREATE FUNCTION keyward.worn_keys(of_tenant text, of_key text) RETURNS TABLE (tenant_id text, key_id text, due text, at timestamptz)
      LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT r.tenant_id, r.key_id, r.next_at::text, clock_timestamp()
          FROM (
            SELECT a.tenant_id, a.key_id FROM keyward.key_rotation a
              WHERE a.next_at IS NOT NULL AND (of_tenant = a.tenant_id OR of_tenant IS NULL) AND (of_key = a.key_id OR of_key IS NULL)
              ORDER BY random() LIMIT ${LOOKED_AT}) lot
          JOIN keyward.key_rotation r USING (tenant_id, key_id) JOIN keyward.cmk k USING (tenant_id, key_id)
          WHERE r.next_at IS NOT NULL AND k.state = 'Enabled'
            AND ${wanted('rotate-worn-key', 'r.tenant_id', 'r.key_id')}
            AND ${LET_THROUGH}
            AND keyward.sealed_under(r.tenant_id, r.key_id, k.primary_version) >= ${BUDGET}
          ORDER BY r.next_at FOR UPDATE OF r SKIP LOCKED
      $$;`;

const replaced = (isDue: string): string => `
      DROP FUNCTION keyward.${ROTATE};
      ${rotateKey(isDue)}
      ${ownedByFunctions(ROTATE)}
      ${mayExecute(ROTATE, 'keyward_worker')}`;

/** Keys that are rotated before they are due, because their primary version has sealed so much. */
export class WornKeys implements MigrationInterface {
  readonly name = 'WornKeys0000000000087';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE INDEX key_use_of_version ON keyward.key_use (tenant_id, key_id, version_id);
      ${sealedByLedger}
      ${wornByLedger}
      ${ownedByFunctions(SEALED, WORN)}
      ${replaced(`${IS_DUE} OR keyward.sealed_under(of_tenant, of_key, before) >= ${BUDGET}`)}
      ${mayExecute(WORN, 'keyward_worker')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${replaced(IS_DUE)}
      DROP FUNCTION keyward.${WORN}, keyward.${SEALED};
      DROP INDEX keyward.key_use_of_version;
    `);
  }
}
