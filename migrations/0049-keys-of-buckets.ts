import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayExecute, ownedByFunctions } from './row-security.js';

const LOG_KEYS = 'sink_log_keys(text, text, uuid)';

/**
 * A copy of a bucket is verified by who pinned the log's first key: it holds what leads from there to the key that signs now. PL/pgSQL,
 * because the table of later keys is made by a later migration (0052), and so is what it keeps of pruned records (0053).
 */
export class KeysOfBuckets implements MigrationInterface {
  readonly name = 'KeysOfBuckets0000000000049';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- Keys after the first, each with the newest record that names it and the first checkpoint over that (persistence/log-keys.ts).
      CREATE FUNCTION keyward.sink_log_keys(of_tenant text, of_sink text, held uuid)
      RETURNS TABLE (vkey text, seq bigint, record bytea, size bigint, note text)
      LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      BEGIN
        RETURN QUERY SELECT k.vkey, coalesce(k.record_seq, r.seq), coalesce(k.record, r.bytes), c.size, c.note FROM keyward.log_key k
          LEFT JOIN LATERAL (
            SELECT t.seq, t.bytes FROM keyward.trail_record t
              WHERE t.tenant_id = of_tenant AND t.op = 'RotateLogKey' AND t.outcome = 'succeeded'
                AND (convert_from(t.bytes, 'UTF8')::jsonb #>> '{change,number}')::integer = k.number
              ORDER BY t.seq DESC LIMIT 1) r ON true
          LEFT JOIN LATERAL (
            SELECT s.size, s.note FROM keyward.signed_checkpoint s WHERE s.tenant_id = of_tenant AND s.size > coalesce(k.record_seq, r.seq) ORDER BY s.size LIMIT 1) c ON true
          WHERE k.tenant_id = of_tenant AND EXISTS (
            SELECT FROM keyward.sink s WHERE s.tenant_id = of_tenant AND s.sink_id = of_sink AND s.lease = held AND s.leased_until > clock_timestamp())
          ORDER BY k.number;
      END $$;
      GRANT SELECT ON keyward.signed_checkpoint TO keyward_functions;
      ${ownedByFunctions(LOG_KEYS)}
      ${mayExecute(LOG_KEYS, 'keyward_worker')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION keyward.${LOG_KEYS};
      REVOKE SELECT ON keyward.signed_checkpoint FROM keyward_functions;
    `);
  }
}
