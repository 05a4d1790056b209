import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayExecute, ownedByFunctions } from './row-security.js';

const SAVE = 'save_checkpoint(text, bigint, bytea, text)';

/** The integrator's whole view of the database: which logs have grown, their leaf hashes, and where the checkpoint goes. */
export class Checkpoints implements MigrationInterface {
  readonly name = 'Checkpoints0000000000011';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      GRANT SELECT ON keyward.trail_record TO keyward_functions;
      GRANT SELECT, INSERT, UPDATE ON keyward.trail_checkpoint TO keyward_functions;

      CREATE FUNCTION keyward.logs_to_sign() RETURNS TABLE (tenant_id text, log_id text, origin text, size bigint, signed_size bigint)
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT h.tenant_id, l.log_id, l.origin, h.size, coalesce(c.size, 0)
          FROM keyward.tenant_head h JOIN keyward.log l USING (tenant_id) LEFT JOIN keyward.trail_checkpoint c USING (tenant_id)
          WHERE h.size > coalesce(c.size, 0)
          ORDER BY h.tenant_id
      $$;

      -- 32 bytes a record, in order, joined.
      CREATE FUNCTION keyward.leaf_hashes_of(wanted text, from_seq bigint, to_seq bigint) RETURNS bytea
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT string_agg(r.leaf_hash, ''::bytea ORDER BY r.seq) FROM keyward.trail_record r
          WHERE r.tenant_id = wanted AND r.seq >= from_seq AND r.seq < least(to_seq, from_seq + 10000)
      $$;

      CREATE FUNCTION keyward.save_checkpoint(of_tenant text, new_size bigint, new_root bytea, new_note text) RETURNS void
      LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        INSERT INTO keyward.trail_checkpoint AS c (tenant_id, size, root, note)
          SELECT h.tenant_id, new_size, new_root, new_note FROM keyward.tenant_head h WHERE h.tenant_id = of_tenant AND new_size <= h.size
          ON CONFLICT (tenant_id) DO UPDATE SET size = excluded.size, root = excluded.root, note = excluded.note WHERE excluded.size > c.size
      $$;
      ${ownedByFunctions('logs_to_sign()', 'leaf_hashes_of(text, bigint, bigint)', SAVE)}
      ${mayExecute('logs_to_sign()', 'keyward_worker')}
      ${mayExecute('leaf_hashes_of(text, bigint, bigint)', 'keyward_worker')}
      ${mayExecute(SAVE, 'keyward_worker')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION keyward.logs_to_sign(), keyward.leaf_hashes_of(text, bigint, bigint), keyward.${SAVE};
      REVOKE ALL ON keyward.trail_checkpoint FROM keyward_functions;
      REVOKE SELECT ON keyward.trail_record FROM keyward_functions;
    `);
  }
}
