import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayExecute, ownedByFunctions } from './row-security.js';

const MIN_INDEX = 'sink_min_index(text, text, uuid)';

/** A bucket may begin on a log that was pruned: below the minimum index it is given hashes only, whether or not the records are gone yet. */
export class PrunedBeginnings implements MigrationInterface {
  readonly name = 'PrunedBeginnings0000000000094';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- Of the sink's own log; 0 where nothing was pruned, or the lease is void.
      CREATE FUNCTION keyward.sink_min_index(of_tenant text, of_sink text, held uuid) RETURNS bigint
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT coalesce(max(l.min_index), 0) FROM keyward.log_retention l
          WHERE l.tenant_id = of_tenant AND EXISTS (
            SELECT FROM keyward.sink s WHERE s.tenant_id = of_tenant AND s.sink_id = of_sink AND s.lease = held AND s.leased_until > clock_timestamp())
      $$;
      ${ownedByFunctions(MIN_INDEX)}
      ${mayExecute(MIN_INDEX, 'keyward_worker')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP FUNCTION keyward.${MIN_INDEX}`);
  }
}
