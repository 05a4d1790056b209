import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayExecute, ownedByFunctions } from './row-security.js';

const RECORDED = 'recorded_uses(text, timestamptz, bigint, integer)';
const BEFORE = 'uses_before(text, bigint, text, text, text, timestamptz)';
const CHECKPOINT = 'checkpoint_over(text, bigint)';
const SEQ_OF_STOP = 'seq_of_stop(text, text)';
const FUNCTIONS = [RECORDED, BEFORE, CHECKPOINT, SEQ_OF_STOP];

/** No call looks at more records. */
const LOOKED_AT = 10_000;

/** Whatever the data plane may append, as later migrations extend it. */
const USES = `ARRAY(SELECT p.op FROM keyward.plane_operation p WHERE p.role = 'keyward_data_plane')`;
/** What an SDK may keep for as long as its lease lasts. */
const LEASED = `ARRAY['GenerateDataKey', 'Decrypt']`;

/** The record parsed, only where the columns let it pass: parsing is nearly all of the work. */
const PARSED = 'LATERAL (SELECT keyward.json_or_null(r.bytes) AS doc OFFSET 0) d';

/** Sequence numbers have no gaps, so the newest so many are a range. A dry run used nothing. */
const COVERED = `r.tenant_id = wanted AND r.seq < before_seq AND r.seq >= before_seq - ${LOOKED_AT} AND r.calls > 0
            AND (of_service IS NULL OR r.principal = of_service) AND (of_key IS NULL OR r.key_id = of_key)
            AND CASE WHEN of_context IS NULL THEN true ELSE keyward.json_or_null(r.bytes) #> '{crypto,context}' ? of_context END`;

/** `also`: what besides is told of record `d`; `which`: of rows `r`. */
export const recordedUses = (
  also = '',
  which = 'r.key_id IS NOT NULL',
): string => `CREATE FUNCTION keyward.recorded_uses(wanted text, since timestamptz, before_seq bigint, most integer) RETURNS json
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        WITH looked_at AS MATERIALIZED (
          SELECT r.seq, r.recorded_at, r.op, r.key_id, r.principal, r.calls, r.bytes FROM keyward.trail_record r
            WHERE r.tenant_id = wanted AND r.seq < coalesce(before_seq, 9223372036854775807)
            ORDER BY r.seq DESC LIMIT least(most, ${LOOKED_AT})
        )
        SELECT json_build_object(
          'next', (
            SELECT min(r.seq)::text FROM looked_at r
              HAVING count(*) = least(most, ${LOOKED_AT}) AND min(r.seq) > 0 AND min(r.recorded_at) >= since),
          'uses', (
            SELECT coalesce(json_agg(json_build_object(
                'seq', r.seq::text, 'at', r.recorded_at, 'operation', r.op, 'service', r.principal, 'keyId', r.key_id,
                'authMethod', coalesce(d.doc #> '{actor,authMethod}', '"api-key"'), 'contextDigests', coalesce(d.doc #> '{crypto,context}', '[]'),
                'justification', d.doc #> '{request,justification}', 'count', r.calls,
                'allowed', coalesce(d.doc #>> '{authz,decision}' = 'allow', false)${also}) ORDER BY r.seq DESC), '[]')
              FROM looked_at r, ${PARSED}
              WHERE r.recorded_at >= since AND r.op = ANY (${USES}) AND ${which} AND r.calls > 0))
      $$;`;

/** What the key plane may know of the trail: how keys were used, for the tenant's own admins. It has no right to the table. */
export class UseReads implements MigrationInterface {
  readonly name = 'UseReads0000000000013';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE INDEX stop_record ON keyward.trail_record (tenant_id, seq) WHERE op = 'Stop';

      -- The newest "most" records before before_seq (NULL: of all) are looked at; "next": where to continue, NULL at the end.
      ${recordedUses()}

      -- NULL scopes cover everything. A failure that the rules had allowed was allowed.
      CREATE FUNCTION keyward.uses_before(
        wanted text, before_seq bigint, of_service text, of_key text, of_context text, leased_since timestamptz
      ) RETURNS json LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT json_build_object(
          'recordedAt', here.recorded_at,
          'lastAllowed', (
            SELECT json_build_object('seq', r.seq::text, 'recordedAt', r.recorded_at) FROM keyward.trail_record r, ${PARSED}
            WHERE ${COVERED} AND r.op = ANY (${USES}) AND r.outcome <> 'refused' AND d.doc #>> '{authz,decision}' = 'allow'
            ORDER BY r.seq DESC LIMIT 1),
          'leases', (
            SELECT json_build_object('count', coalesce(sum(r.calls), 0), 'last', coalesce(max(r.recorded_at), unseen.until), 'complete', unseen.until IS NULL)
            FROM keyward.trail_record r
            WHERE ${COVERED} AND r.op = ANY (${LEASED}) AND r.outcome = 'succeeded' AND r.recorded_at >= leased_since))
        FROM keyward.trail_record here
        -- What is older than all that is looked at, and not too old to be leased still, ends before this.
        LEFT JOIN LATERAL (
          SELECT o.recorded_at AS until FROM keyward.trail_record o
            WHERE o.tenant_id = wanted AND o.seq = before_seq - ${LOOKED_AT} - 1 AND o.recorded_at >= leased_since) unseen ON true
        WHERE here.tenant_id = wanted AND here.seq = before_seq
      $$;

      CREATE FUNCTION keyward.checkpoint_over(wanted text, of_seq bigint) RETURNS text
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT c.note FROM keyward.trail_checkpoint c WHERE c.tenant_id = wanted AND c.size > of_seq
      $$;

      CREATE FUNCTION keyward.seq_of_stop(wanted text, of_stop text) RETURNS text
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT r.seq::text FROM keyward.trail_record r, ${PARSED}
          WHERE r.tenant_id = wanted AND r.op = 'Stop' AND r.outcome = 'succeeded' AND d.doc #>> '{change,stopId}' = of_stop
          ORDER BY r.seq DESC LIMIT 1
      $$;
      ${ownedByFunctions(...FUNCTIONS)}
      ${FUNCTIONS.map((signature) => mayExecute(signature, 'keyward_key_plane')).join('')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION ${FUNCTIONS.map((signature) => `keyward.${signature}`).join(', ')};
      DROP INDEX keyward.stop_record;
    `);
  }
}
