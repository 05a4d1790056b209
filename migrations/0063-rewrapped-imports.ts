import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayExecute, ownedByFunctions } from './row-security.js';

const IMPORTS = 'imports_to_rewrap(text, integer)';
const SAVE = 'save_rewrapped_import(text, text, bytea, bytea, bytea)';
const END = 'end_rewrapping(text)';

/** An import that may still come: what was used, or is too late, opens nothing any more. */
const WAITING = 'w.used_at IS NULL AND w.expires_at > clock_timestamp()';
const NONE_LEFT = (table: string, which: string): string =>
  `NOT EXISTS (SELECT FROM keyward.${table} w WHERE w.tenant_id = r.tenant_id AND w.root < r.root AND ${which})`;

const endRewrapping = (noneLeft: readonly string[]): string => `
      CREATE OR REPLACE FUNCTION keyward.end_rewrapping(of_tenant text) RETURNS boolean
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      BEGIN
        UPDATE keyward.tenant_root r SET rewrapped = true WHERE r.tenant_id = of_tenant AND NOT r.rewrapped AND ${noneLeft.join(' AND ')};
        RETURN FOUND;
      END $$;`;
const VERSIONS = NONE_LEFT('key_version', 'length(w.blob) > 0');

/** The wrapping keys of imports are taken over by a new root, too, while their tokens are good. */
export class RewrappedImports implements MigrationInterface {
  readonly name = 'RewrappedImports0000000000063';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      SET LOCAL ROLE keyward_functions;
      GRANT EXECUTE ON FUNCTION keyward.stamp_root() TO keyward_owner;
      SET LOCAL ROLE keyward_owner;
      ALTER TABLE keyward.key_import ADD root integer NOT NULL DEFAULT 0;
      CREATE TRIGGER stamp_root BEFORE INSERT OR UPDATE OF blob ON keyward.key_import FOR EACH ROW EXECUTE FUNCTION keyward.stamp_root();
      SET LOCAL ROLE keyward_functions;
      REVOKE EXECUTE ON FUNCTION keyward.stamp_root() FROM keyward_owner;
      SET LOCAL ROLE keyward_owner;
      GRANT SELECT, UPDATE (blob, mac) ON keyward.key_import TO keyward_functions;

      CREATE FUNCTION keyward.imports_to_rewrap(wanted text, most integer) RETURNS json
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT coalesce(json_agg(json_build_object(
            'importToken', i.import_token, 'keyId', i.key_id, 'versionId', i.version_id, 'spec', i.spec, 'usage', i.usage, 'logId', i.log_id,
            'algorithm', i.algorithm, 'expiresAt', i.expires_at, 'blob', encode(i.blob, 'hex'), 'mac', encode(i.mac, 'hex'))), '[]')
          FROM (
            SELECT w.* FROM keyward.key_import w JOIN keyward.tenant_root r USING (tenant_id)
              WHERE w.tenant_id = wanted AND w.root < r.root AND ${WAITING} ORDER BY w.import_token LIMIT most) i
      $$;

      CREATE FUNCTION keyward.save_rewrapped_import(of_tenant text, of_token text, read_mac bytea, new_blob bytea, new_mac bytea) RETURNS boolean
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      BEGIN
        UPDATE keyward.key_import SET blob = new_blob, mac = new_mac
          WHERE tenant_id = of_tenant AND import_token = of_token AND mac = read_mac AND used_at IS NULL;
        RETURN FOUND;
      END $$;
      DROP FUNCTION keyward.${END};
      ${endRewrapping([VERSIONS, NONE_LEFT('key_import', WAITING)])}
      ${ownedByFunctions(IMPORTS, SAVE, END)}
      ${[IMPORTS, SAVE, END].map((signature) => mayExecute(signature, 'keyward_worker')).join('')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION keyward.${IMPORTS}, keyward.${SAVE}, keyward.${END};
      ${endRewrapping([VERSIONS])}
      ${ownedByFunctions(END)}
      ${mayExecute(END, 'keyward_worker')}
      REVOKE ALL ON keyward.key_import FROM keyward_functions;
      DROP TRIGGER stamp_root ON keyward.key_import;
      ALTER TABLE keyward.key_import DROP root;
    `);
  }
}
