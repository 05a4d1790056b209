import type { MigrationInterface, QueryRunner } from 'typeorm';
import { HELD, heldBeyond, LEASING } from './leases.js';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { mayExecute, ownedByFunctions } from './row-security.js';

const OPEN_LEASES = 'open_leases(text, text, bigint, text, text, integer)';
const OPERATIONS = ['ListLeases'];

/** No call looks at more records. */
const LOOKED_AT = 20_000;
/** No lease lasts longer, so none that is open began before. */
const LONGEST = `interval '300 seconds'`;

/** What services may still hold of data keys and decrypted ones, for auditors: derived from the records, so that no table can say otherwise. */
export class OpenLeases implements MigrationInterface {
  readonly name = 'OpenLeases0000000000042';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${mayAppend('keyward_auditor', OPERATIONS)}

      -- Oldest first, from from_seq on. NULL scopes cover everything. "next": where to continue, NULL at the end of the log.
      CREATE FUNCTION keyward.open_leases(wanted text, credential text, from_seq bigint, of_key text, of_principal text, most integer) RETURNS json
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        WITH range AS MATERIALIZED (
          SELECT now.at, greatest(from_seq, keyward.seq_at(wanted, now.at - ${LONGEST})) AS low,
              (SELECT coalesce(max(r.seq) + 1, 0) FROM keyward.trail_record r WHERE r.tenant_id = wanted) AS size
            FROM (SELECT clock_timestamp() AS at OFFSET 0) now
            WHERE (SELECT keyward.credential_must_hold(wanted, credential))
        ), found AS MATERIALIZED (
          SELECT r.seq, r.recorded_at, r.op, r.principal, r.key_id, r.calls, r.bytes, held.until
            FROM range, keyward.trail_record r, ${HELD}
            WHERE r.tenant_id = wanted AND r.seq >= range.low AND r.seq < range.low + ${LOOKED_AT} AND ${LEASING} AND ${heldBeyond('range.at')}
              AND (of_key IS NULL OR r.key_id = of_key) AND (of_principal IS NULL OR r.principal = of_principal)
            ORDER BY r.seq LIMIT most + 1
        )
        SELECT json_build_object(
          'at', range.at,
          'next', CASE WHEN (SELECT count(*) FROM found) > most THEN (SELECT max(f.seq) FROM found f)
            WHEN range.low + ${LOOKED_AT} < range.size THEN range.low + ${LOOKED_AT} END,
          'items', (
            SELECT coalesce(json_agg(json_build_object(
                'seq', f.seq, 'recordedAt', f.recorded_at, 'operation', f.op, 'service', f.principal, 'keyId', f.key_id,
                'versionId', d.doc #>> '{key,versionId}', 'count', f.calls, 'until', f.until,
                'maxUses', d.doc #> '{crypto,lease,maxUses}', 'maxBytes', d.doc #> '{crypto,lease,maxBytes}') ORDER BY f.seq), '[]')
              FROM (SELECT * FROM found ORDER BY seq LIMIT most) f, LATERAL (SELECT keyward.json_or_null(f.bytes) AS doc OFFSET 0) d))
        FROM range
      $$;
      ${ownedByFunctions(OPEN_LEASES)}
      ${mayExecute(OPEN_LEASES, 'keyward_auditor')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION keyward.${OPEN_LEASES};
      ${mayNotAppend(OPERATIONS)}
    `);
  }
}
