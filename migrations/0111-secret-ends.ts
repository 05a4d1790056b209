import type { MigrationInterface, QueryRunner } from 'typeorm';
import { MOST, wanted } from './0082-due-rows.js';
import { refuseNeeded } from './0101-version-end.js';
import { APPEND_OWN_RECORD, mayExecute, ownedByFunctions, replaced } from './row-security.js';

const DUE = 'due_purges(text, text)';
const PURGE = 'purge_secret(bytea, text, text, timestamptz)';

/** Secrets whose wait is over are purged; a version of a key that seals a value of one is not retired. */
export class SecretEnds implements MigrationInterface {
  readonly name = 'SecretEnds0000000000111';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      GRANT DELETE ON keyward.secret TO keyward_functions;
      GRANT SELECT ON keyward.secret_version TO keyward_key_plane;

      -- One that somebody is just changing is left for the next look.
      CREATE FUNCTION keyward.due_purges(of_tenant text, of_secret text)
      RETURNS TABLE (tenant_id text, secret_id text, name text, due text, log_id text)
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT s.tenant_id, s.secret_id, s.name, s.deletion_at::text, l.log_id
          FROM keyward.secret s JOIN keyward.log l USING (tenant_id)
          WHERE s.deletion_at <= clock_timestamp()
            AND ${wanted('purge-secret', 's.tenant_id', 's.secret_id')} AND (of_secret = s.secret_id OR of_secret IS NULL)
          ORDER BY s.deletion_at LIMIT ${MOST}
      $$;

      -- The rows and their record in one transaction. NULL: it is not, or not any more, to be purged at this time.
      CREATE FUNCTION keyward.purge_secret(body bytea, of_tenant text, of_secret text, due timestamptz) RETURNS bigint
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        answer bigint;
      BEGIN
        DELETE FROM keyward.secret s
          WHERE s.tenant_id = of_tenant AND s.secret_id = of_secret AND s.deletion_at = due AND s.deletion_at <= clock_timestamp();
        IF NOT FOUND THEN
          RETURN NULL;
        END IF;
        ${APPEND_OWN_RECORD}
        RETURN answer;
      END $$;
      ${ownedByFunctions(DUE, PURGE)}
      ${[DUE, PURGE].map((signature) => mayExecute(signature, 'keyward_worker')).join('')}
      ${replaced(
        refuseNeeded(` OR EXISTS (
          SELECT FROM keyward.secret_version v WHERE v.tenant_id = NEW.tenant_id AND v.key_version = NEW.version_id
        )`),
      )}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${replaced(refuseNeeded())}
      DROP FUNCTION keyward.${DUE}, keyward.${PURGE};
      REVOKE SELECT ON keyward.secret_version FROM keyward_key_plane;
      REVOKE DELETE ON keyward.secret FROM keyward_functions;
    `);
  }
}
