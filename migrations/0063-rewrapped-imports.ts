import type { MigrationInterface, QueryRunner } from 'typeorm';
import { END, endRewrapping, NO_VERSION_LEFT, noneLeft, stampRoot, unstampRoot } from './0061-root-rotation.js';
import { mayExecute, ownedByFunctions, withTriggerFunction } from './row-security.js';

const IMPORTS = 'imports_to_rewrap(text, integer)';
const SAVE = 'save_rewrapped_import(text, text, bytea, bytea, bytea)';

/** An import that may still come: what was used, or is too late, opens nothing any more. */
const WAITING = 'w.used_at IS NULL AND w.expires_at > clock_timestamp()';
/** The wrapping keys of imports are taken over by a new root, too, while their tokens are good. */
export class RewrappedImports implements MigrationInterface {
  readonly name = 'RewrappedImports0000000000063';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${withTriggerFunction('stamp_root()', stampRoot('key_import'))}
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
      ${endRewrapping(NO_VERSION_LEFT, noneLeft('key_import', WAITING))}
      ${ownedByFunctions(IMPORTS, SAVE, END)}
      ${[IMPORTS, SAVE, END].map((signature) => mayExecute(signature, 'keyward_worker')).join('')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION keyward.${IMPORTS}, keyward.${SAVE}, keyward.${END};
      ${endRewrapping(NO_VERSION_LEFT)}
      ${ownedByFunctions(END)}
      ${mayExecute(END, 'keyward_worker')}
      REVOKE ALL ON keyward.key_import FROM keyward_functions;
      ${unstampRoot('key_import')}
    `);
  }
}
