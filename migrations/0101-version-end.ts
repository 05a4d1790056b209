import type { MigrationInterface, QueryRunner } from 'typeorm';
import { keyUsage, USAGE, USES } from './0044-key-uses.js';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { mayExecute, ownedByFunctions, withTriggerFunction } from './row-security.js';

const OPERATIONS = ['GetCompletionCertificate', 'ListVersionReferences', 'RetireKeyVersion'];
const NEEDED = 'refuse_needed_version()';

const usage = (sized: boolean) => `
      DROP FUNCTION keyward.${USAGE};
      ${keyUsage(sized)}
      ${ownedByFunctions(USAGE)}
      ${mayExecute(USAGE, 'keyward_key_plane')}`;

/** `also`: what else needs a version, by later migrations. */
export const refuseNeeded = (
  also = '',
): string => `CREATE FUNCTION keyward.refuse_needed_version() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      BEGIN
        PERFORM 1 FROM keyward.tenant_head h WHERE h.tenant_id = NEW.tenant_id FOR UPDATE;
        PERFORM 1 FROM keyward.trail_record r
          WHERE r.tenant_id = NEW.tenant_id AND r.seq >= NEW.retired_as_of AND r.key_id = NEW.key_id AND r.version_id = NEW.version_id
            AND r.outcome = 'succeeded' AND ${USES};
        IF FOUND OR EXISTS (
          SELECT FROM keyward.rewrap p
            WHERE p.tenant_id = NEW.tenant_id AND p.key_id = NEW.key_id AND p.from_version = NEW.version_id AND p.ended_at IS NULL
        )${also} THEN
          RAISE EXCEPTION 'needed meanwhile' USING ERRCODE = 'KW001';
        END IF;
        RETURN NULL;
      END $$;`;

/** A version of a key goes, and what became of a re-wrap is certified. */
export class VersionEnd implements MigrationInterface {
  readonly name = 'VersionEnd0000000000101';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${mayAppend('keyward_key_plane', OPERATIONS)}
      ${usage(true)}

      -- So many records of the log were looked at for uses when it was retired.
      ALTER TABLE keyward.key_version ADD COLUMN retired_as_of bigint;
      GRANT UPDATE (retired_as_of) ON keyward.key_version TO keyward_key_plane;

      -- At the commit, when the head is locked and no append comes in between: what was used meanwhile, or is to be moved, is needed.
      ${refuseNeeded()}
      ${ownedByFunctions(NEEDED)}
      ${withTriggerFunction(
        NEEDED,
        `CREATE CONSTRAINT TRIGGER not_needed AFTER UPDATE OF retired_as_of ON keyward.key_version
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.retired_as_of IS NOT NULL) EXECUTE FUNCTION keyward.refuse_needed_version();`,
      )}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TRIGGER not_needed ON keyward.key_version;
      DROP FUNCTION keyward.${NEEDED};
      ALTER TABLE keyward.key_version DROP COLUMN retired_as_of;
      ${usage(false)}
      ${mayNotAppend(OPERATIONS)}
    `);
  }
}
