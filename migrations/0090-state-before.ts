import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayExecute, ownedByFunctions } from './row-security.js';

const DROP = 'drop_expired_imports()';

/** A key remembers its state while its material is away, and an import that came too late leaves no wrapping key. */
export class StateBefore implements MigrationInterface {
  readonly name = 'StateBefore0000000000090';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE keyward.cmk DROP CONSTRAINT waiting, ADD CONSTRAINT waiting CHECK (
        (state = 'PendingDeletion') = (deletion_at IS NOT NULL)
        AND (deletion_at IS NULL OR state_before IS NOT NULL)
        AND (state_before IS NULL OR state IN ('PendingDeletion', 'PendingImport')));

      CREATE FUNCTION keyward.${DROP} RETURNS integer
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE dropped integer;
      BEGIN
        UPDATE keyward.key_import SET blob = '' WHERE expires_at <= clock_timestamp() AND length(blob) > 0;
        GET DIAGNOSTICS dropped = ROW_COUNT;
        RETURN dropped;
      END $$;
      ${ownedByFunctions(DROP)}
      ${mayExecute(DROP, 'keyward_worker')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION keyward.${DROP};
      UPDATE keyward.cmk SET state_before = NULL WHERE state = 'PendingImport';
      ALTER TABLE keyward.cmk DROP CONSTRAINT waiting, ADD CONSTRAINT waiting CHECK (
        (state = 'PendingDeletion') = (deletion_at IS NOT NULL) AND (deletion_at IS NULL) = (state_before IS NULL));
    `);
  }
}
