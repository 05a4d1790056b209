import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { mayExecute, ownedByFunctions, tenantRows } from './row-security.js';

const COUNT = 'count_contexts(text, bigint)';
const COVERAGE = 'label_coverage(text, text, text[], integer)';
const OPERATIONS = ['GetCoverage'];
const USES = `ARRAY['Encrypt', 'Decrypt', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext', 'ReEncryptFrom', 'ReEncryptTo']`;

/** Contexts of one key that are told apart; who puts a row's id into its contexts has more, and the rest is counted together. */
const CONTEXTS = 1000;

/**
 * Under which labels each key was used: counted from the records as the log grows, as trail_stat is. Records hold one salted digest a pair
 * of a context, so this tells nobody a label that he does not name himself.
 */
export class LabelCoverage implements MigrationInterface {
  readonly name = 'LabelCoverage0000000000071';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${mayAppend('keyward_auditor', OPERATIONS)}

      -- context: its digests, sorted. context_id: their SHA-256, or empty where too many contexts of a key are counted together.
      CREATE TABLE keyward.trail_context (
        tenant_id text NOT NULL REFERENCES keyward.tenant,
        key_id text NOT NULL,
        version_id text NOT NULL,
        context_id bytea NOT NULL,
        principal text NOT NULL,
        op text NOT NULL,
        context text[] NOT NULL,
        count bigint NOT NULL,
        last_at timestamptz NOT NULL,
        PRIMARY KEY (tenant_id, key_id, version_id, context_id, principal, op)
      );
      ${tenantRows('trail_context')}
      CREATE TABLE keyward.trail_context_head (
        tenant_id text PRIMARY KEY REFERENCES keyward.tenant,
        covered_size bigint NOT NULL
      );
      ${tenantRows('trail_context_head')}
      GRANT SELECT, INSERT, UPDATE ON keyward.trail_context, keyward.trail_context_head TO keyward_functions;

      -- As roll_up: what is signed and not counted yet, some records a call, under a lock of the head.
      CREATE FUNCTION keyward.count_contexts(of_tenant text, up_to bigint) RETURNS void
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        from_seq bigint;
        to_seq bigint;
      BEGIN
        INSERT INTO keyward.trail_context_head VALUES (of_tenant, 0) ON CONFLICT DO NOTHING;
        SELECT h.covered_size, least(up_to, h.covered_size + 20000) INTO from_seq, to_seq
          FROM keyward.trail_context_head h WHERE h.tenant_id = of_tenant FOR UPDATE;
        IF to_seq <= from_seq THEN
          RETURN;
        END IF;
        INSERT INTO keyward.trail_context AS c
          WITH used AS (
            SELECT r.key_id, coalesce(d.doc #>> '{key,versionId}', '') AS version_id, coalesce(r.principal, '') AS principal, r.op, r.calls, r.recorded_at,
                ARRAY(SELECT jsonb_array_elements_text(jsonb_path_query_array(coalesce(d.doc, '{}'), '$.crypto.context[*]')) ORDER BY 1) AS context
              FROM keyward.trail_record r, LATERAL (SELECT keyward.json_or_null(r.bytes) AS doc OFFSET 0) d
              WHERE r.tenant_id = of_tenant AND r.seq >= from_seq AND r.seq < to_seq
                AND r.outcome = 'succeeded' AND r.calls > 0 AND r.key_id IS NOT NULL AND r.op = ANY (${USES})
          ), alike AS (
            SELECT u.key_id, u.version_id, sha256(convert_to(array_to_string(u.context, ' '), 'UTF8')) AS context_id, u.principal, u.op, u.context,
                sum(u.calls) AS count, max(u.recorded_at) AS last_at
              FROM used u GROUP BY u.key_id, u.version_id, u.principal, u.op, u.context
          ), known AS (
            SELECT DISTINCT k.key_id, k.context_id FROM keyward.trail_context k WHERE k.tenant_id = of_tenant AND k.context_id <> ''
          ), ranked AS (
            SELECT a.*, (SELECT count(*) FROM known n WHERE n.key_id = a.key_id) AS have, k.key_id IS NOT NULL AS is_known,
                dense_rank() OVER (PARTITION BY a.key_id, k.key_id IS NULL ORDER BY a.context_id) AS place
              FROM alike a LEFT JOIN known k ON k.key_id = a.key_id AND k.context_id = a.context_id
          ), kept AS (
            SELECT r.*, r.is_known OR r.have + r.place <= ${CONTEXTS} AS is_kept FROM ranked r
          )
          SELECT of_tenant, k.key_id, k.version_id, CASE WHEN k.is_kept THEN k.context_id ELSE '' END, k.principal, k.op,
              CASE WHEN k.is_kept THEN k.context ELSE '{}' END, sum(k.count), max(k.last_at)
            FROM kept k GROUP BY 1, 2, 3, 4, 5, 6, 7
          ON CONFLICT (tenant_id, key_id, version_id, context_id, principal, op)
            DO UPDATE SET count = c.count + excluded.count, last_at = greatest(c.last_at, excluded.last_at);
        UPDATE keyward.trail_context_head h SET covered_size = to_seq WHERE h.tenant_id = of_tenant;
      END $$;

      -- By the one of these digests that a context has; NULL: none of them. The last used first.
      CREATE FUNCTION keyward.label_coverage(wanted text, credential text, asked text[], most integer) RETURNS json
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT json_build_object(
          'coveredSize', coalesce((SELECT h.covered_size FROM keyward.trail_context_head h WHERE h.tenant_id = wanted), 0),
          'items', (
            SELECT coalesce(json_agg(json_build_object(
                'digest', i.digest, 'keyId', i.key_id, 'versionId', nullif(i.version_id, ''), 'service', i.principal, 'operation', i.op,
                'count', i.count, 'lastAt', i.last_at, 'contexts', i.contexts, 'complete', i.complete) ORDER BY i.last_at DESC), '[]')
              FROM (
                SELECT m.digest, c.key_id, c.version_id, c.principal, c.op, sum(c.count) AS count, max(c.last_at) AS last_at,
                    count(DISTINCT c.context_id) AS contexts, bool_and(c.context_id <> '') AS complete
                  FROM keyward.trail_context c, LATERAL (SELECT (SELECT d FROM unnest(c.context) d WHERE d = ANY (asked) LIMIT 1) AS digest) m
                  WHERE (SELECT keyward.credential_must_hold(wanted, credential)) AND c.tenant_id = wanted
                  GROUP BY 1, 2, 3, 4, 5 ORDER BY 7 DESC LIMIT most) i))
      $$;
      ${ownedByFunctions(COUNT, COVERAGE)}
      ${mayExecute(COUNT, 'keyward_worker')}
      ${mayExecute(COVERAGE, 'keyward_auditor')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION keyward.${COUNT}, keyward.${COVERAGE};
      DROP TABLE keyward.trail_context, keyward.trail_context_head;
      ${mayNotAppend(OPERATIONS)}
    `);
  }
}
