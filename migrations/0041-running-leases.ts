import type { MigrationInterface, QueryRunner } from 'typeorm';
import { HELD, heldBeyond, LEASING } from './leases.js';
import { mayExecute, ownedByFunctions } from './row-security.js';

const BEFORE = 'uses_before(text, bigint, text, text, text, timestamptz)';

/** No call looks at more records. */
const LOOKED_AT = 10_000;

const USES = `ARRAY(SELECT p.op FROM keyward.plane_operation p WHERE p.role = 'keyward_data_plane')`;
const PARSED = 'LATERAL (SELECT keyward.json_or_null(r.bytes) AS doc OFFSET 0) d';
const COVERED = `r.tenant_id = wanted AND r.seq < before_seq AND r.seq >= before_seq - ${LOOKED_AT} AND r.calls > 0
            AND (of_service IS NULL OR r.principal = of_service) AND (of_key IS NULL OR r.key_id = of_key)
            AND CASE WHEN of_context IS NULL THEN true ELSE keyward.json_or_null(r.bytes) #> '{crypto,context}' ? of_context END`;
const HANDED_OUT = `${COVERED} AND ${LEASING} AND r.recorded_at >= leased_since`;
const COUNTED = `'count', coalesce(sum(r.calls), 0), 'last', coalesce(max(r.recorded_at), unseen.until), 'complete', unseen.until IS NULL`;

const OF_ANY_LENGTH = `SELECT json_build_object(${COUNTED}, 'until', max(held.until))
            FROM keyward.trail_record r, ${HELD} WHERE ${HANDED_OUT} AND ${heldBeyond('here.recorded_at')}`;
const OF_ONE_LENGTH = `SELECT json_build_object(${COUNTED}) FROM keyward.trail_record r WHERE ${HANDED_OUT}`;

/** But for the leases as in migration 0013. */
const usesBefore = (leases: string) => `
      DROP FUNCTION keyward.${BEFORE};
      CREATE FUNCTION keyward.uses_before(
        wanted text, before_seq bigint, of_service text, of_key text, of_context text, leased_since timestamptz
      ) RETURNS json LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT json_build_object(
          'recordedAt', here.recorded_at,
          'lastAllowed', (
            SELECT json_build_object('seq', r.seq::text, 'recordedAt', r.recorded_at) FROM keyward.trail_record r, ${PARSED}
            WHERE ${COVERED} AND r.op = ANY (${USES}) AND r.outcome <> 'refused' AND d.doc #>> '{authz,decision}' = 'allow'
            ORDER BY r.seq DESC LIMIT 1),
          'leases', (${leases}))
        FROM keyward.trail_record here
        LEFT JOIN LATERAL (
          SELECT o.recorded_at AS until FROM keyward.trail_record o
            WHERE o.tenant_id = wanted AND o.seq = before_seq - ${LOOKED_AT} - 1 AND o.recorded_at >= leased_since) unseen ON true
        WHERE here.tenant_id = wanted AND here.seq = before_seq
      $$;
      ${ownedByFunctions(BEFORE)}
      ${mayExecute(BEFORE, 'keyward_key_plane')}`;

/** A receipt counts the leases that were still running, and says when the last of them ends: by the records, not by a constant. */
export class RunningLeases implements MigrationInterface {
  readonly name = 'RunningLeases0000000000041';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(usesBefore(OF_ANY_LENGTH));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(usesBefore(OF_ONE_LENGTH));
  }
}
