import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { mayExecute, ownedByFunctions } from './row-security.js';

const EPOCHS = 'epochs_of(text[])';
const OPERATIONS = ['WatchRules'];

/** What a data plane asks four times a second for the tenants whose services listen: have the rules changed? */
export class EpochsOf implements MigrationInterface {
  readonly name = 'EpochsOf0000000000040';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE FUNCTION keyward.epochs_of(tenants text[]) RETURNS json LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT json_object_agg(h.tenant_id, h.epoch) FROM keyward.tenant_head h WHERE h.tenant_id = ANY (tenants)
      $$;
      ${ownedByFunctions(EPOCHS)}
      ${mayExecute(EPOCHS, 'keyward_data_plane')}
      ${mayAppend('keyward_data_plane', OPERATIONS)}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION keyward.${EPOCHS};
      ${mayNotAppend(OPERATIONS)}
    `);
  }
}
