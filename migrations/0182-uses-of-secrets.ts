import type { MigrationInterface, QueryRunner } from 'typeorm';
import { asFunctions } from './row-security.js';

/** As migration 0013 has them. */
const LOOKED_AT = 10_000;
const USES = `ARRAY(SELECT p.op FROM keyward.plane_operation p WHERE p.role = 'keyward_data_plane')`;
/** Calls about a secret; those that its own grants refused name no key. */
const OF_SECRETS = `ARRAY['GetSecretValue', 'PutSecretValue', 'DescribeSecret']`;

/** `columns`: what besides is told of record `d`. `which`: of rows `r`. */
const recordedUses = (columns: string, which: string): string =>
  asFunctions(`
      CREATE OR REPLACE FUNCTION keyward.recorded_uses(wanted text, since timestamptz, before_seq bigint, most integer) RETURNS json
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
                'allowed', coalesce(d.doc #>> '{authz,decision}' = 'allow', false)${columns}) ORDER BY r.seq DESC), '[]')
              FROM looked_at r, LATERAL (SELECT keyward.json_or_null(r.bytes) AS doc OFFSET 0) d
              WHERE r.recorded_at >= since AND r.op = ANY (${USES}) AND ${which} AND r.calls > 0))
      $$;`);

/** A preview of a policy replays what was done with secrets, too. */
export class UsesOfSecrets implements MigrationInterface {
  readonly name = 'UsesOfSecrets0000000000182';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      recordedUses(
        `, 'secret', d.doc -> 'secret'`,
        // Admins and the worker are under no grant.
        `(r.key_id IS NOT NULL OR r.op = ANY (${OF_SECRETS})) AND (r.op <> ALL (${OF_SECRETS}) OR d.doc #>> '{actor,type}' = 'service')`,
      ),
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(recordedUses('', 'r.key_id IS NOT NULL'));
  }
}
