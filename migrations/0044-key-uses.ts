import type { MigrationInterface, QueryRunner } from 'typeorm';
import { INVENTORY, keyInventory, LAST_USE, ROLL_UP, rollUp } from './0022-trail-stats.js';
import { HELD, heldBeyond, LEASING } from './leases.js';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { mayExecute, ownedByFunctions, tenantRows } from './row-security.js';

export const USAGE = 'key_usage(text, text, timestamptz)';
const CALLS = 'calls_since(text, timestamptz)';
const OPERATIONS = ['DescribeKeyUsage'];

/** Of what is not counted yet, at most so many records are looked at. */
const TAIL = 100_000;
const LEASES_LOOKED_AT = 20_000;

export const USES = `r.key_id IS NOT NULL AND r.calls > 0 AND r.op = ANY (ARRAY(SELECT p.op FROM keyward.plane_operation p WHERE p.role = 'keyward_data_plane'))`;
/** Records alike, as a row of the ledger; none for a dry run, which used nothing. */
const ROWS = `r.key_id, coalesce(r.principal, '') AS principal, r.op, coalesce(r.version_id, '') AS version_id, r.outcome,
              (r.recorded_at AT TIME ZONE 'UTC')::date AS day, sum(r.calls) AS calls, min(r.recorded_at) AS first_at, max(r.recorded_at) AS last_at`;

export const COUNT_USES = `
        INSERT INTO keyward.key_use AS u
          SELECT of_tenant, ${ROWS}
            FROM keyward.trail_record r WHERE r.tenant_id = of_tenant AND r.seq >= from_seq AND r.seq < to_seq AND ${USES}
            GROUP BY 2, 3, 4, 5, 6, 7
          ON CONFLICT (tenant_id, key_id, principal, op, version_id, outcome, day)
            DO UPDATE SET calls = u.calls + excluded.calls, last_at = excluded.last_at;`;

const LAST_USE_BY_LEDGER = `
              SELECT json_build_object('at', u.last_at, 'operation', u.op, 'principal', u.principal)
                FROM keyward.key_use u WHERE u.tenant_id = wanted AND u.key_id = k.key_id AND u.outcome = 'succeeded'
                ORDER BY u.last_at DESC LIMIT 1`;

/** What is counted, and what comes after it up to `asof`: exact as of a size of the log, however far the worker is. */
export const ledger = (counted: string, tail: string, head = '') => `
        WITH head AS MATERIALIZED (
          SELECT covered, least(size, covered + ${TAIL}) AS asof${head} FROM (
            SELECT coalesce((SELECT h.covered_size FROM keyward.trail_stat_head h WHERE h.tenant_id = wanted), 0) AS covered,
              (SELECT coalesce(max(r.seq) + 1, 0) FROM keyward.trail_record r WHERE r.tenant_id = wanted) AS size) s
        ), ledger AS MATERIALIZED (
          SELECT u.key_id, u.principal, u.op, u.version_id, u.outcome, u.day, u.calls, u.first_at, u.last_at
            FROM keyward.key_use u WHERE u.tenant_id = wanted AND ${counted}
          UNION ALL (
            SELECT ${ROWS} FROM head, keyward.trail_record r
              WHERE r.tenant_id = wanted AND r.seq >= head.covered AND r.seq < head.asof AND ${tail} AND ${USES}
              GROUP BY 1, 2, 3, 4, 5, 6)
        )`;
const ON_OR_AFTER = `l.day >= (since AT TIME ZONE 'UTC')::date`;

/** `sized`: says how long the log is, and is complete only up to there (migration 0101). */
export const keyUsage = (
  sized: boolean,
): string => `CREATE FUNCTION keyward.key_usage(wanted text, of_key text, since timestamptz) RETURNS json
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        ${ledger('u.key_id = of_key', 'r.key_id = of_key', sized ? ', size' : '')}, now AS MATERIALIZED (
          SELECT at, keyward.seq_at(wanted, at - interval '300 seconds') AS low FROM (SELECT clock_timestamp() AS at OFFSET 0) t
        )
        SELECT json_build_object(
          'asOf', head.asof,${sized ? ` 'size', head.size,` : ''}
          'uses', (
            SELECT coalesce(json_agg(to_json(u) ORDER BY u.service, u.operation, u."versionId"), '[]') FROM (
              SELECT l.principal AS service, l.op AS operation, l.version_id AS "versionId",
                  min(l.first_at) FILTER (WHERE l.outcome = 'succeeded') AS "firstUse", max(l.last_at) FILTER (WHERE l.outcome = 'succeeded') AS "lastUse",
                  coalesce(sum(l.calls) FILTER (WHERE l.outcome = 'succeeded'), 0) AS uses,
                  coalesce(sum(l.calls) FILTER (WHERE l.outcome = 'succeeded' AND ${ON_OR_AFTER}), 0) AS "usesLately",
                  coalesce(sum(l.calls) FILTER (WHERE l.outcome <> 'succeeded' AND ${ON_OR_AFTER}), 0) AS "refusedLately"
                FROM ledger l GROUP BY 1, 2, 3) u),
          'leases', (
            SELECT coalesce(json_agg(to_json(h)), '[]') FROM (
              SELECT r.principal AS service, sum(r.calls) AS count, max(held.until) AS until FROM now, keyward.trail_record r, ${HELD}
                WHERE r.tenant_id = wanted AND r.seq >= greatest(now.low, head.asof - ${LEASES_LOOKED_AT}) AND r.seq < head.asof
                  AND r.key_id = of_key AND ${LEASING} AND ${heldBeyond('now.at')}
                GROUP BY 1) h),
          'leasesComplete', (SELECT now.low >= head.asof - ${LEASES_LOOKED_AT}${sized ? ' AND head.asof = head.size' : ''} FROM now))
        FROM head
      $$;`;

/**
 * The usage ledger: per key, service, operation, version and outcome, day by day, how many calls there were, the first and the last. Counted
 * from the records in the pass that counts them for charts, behind each checkpoint: no append waits for it.
 */
export class KeyUses implements MigrationInterface {
  readonly name = 'KeyUses0000000000044';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${mayAppend('keyward_key_plane', OPERATIONS)}

      CREATE TABLE keyward.key_use (
        tenant_id text NOT NULL REFERENCES keyward.tenant,
        key_id text NOT NULL,
        principal text NOT NULL,
        op text NOT NULL,
        -- Empty where a record names none: a refusal before any version was chosen.
        version_id text NOT NULL,
        outcome text NOT NULL,
        day date NOT NULL,
        calls bigint NOT NULL,
        first_at timestamptz NOT NULL,
        last_at timestamptz NOT NULL,
        PRIMARY KEY (tenant_id, key_id, principal, op, version_id, outcome, day)
      );
      ${tenantRows('key_use')}
      GRANT SELECT, INSERT, UPDATE ON keyward.key_use TO keyward_functions;
      -- Counted anew, from the first record on, so that both say the same of the same records.
      TRUNCATE keyward.trail_stat, keyward.trail_stat_head;
      DROP FUNCTION keyward.${ROLL_UP}, keyward.${INVENTORY};
      -- The columns of an insert are those of the table, in its order.
      ${rollUp(COUNT_USES)}
      ${keyInventory(LAST_USE_BY_LEDGER)}

      -- "since": from the beginning of its day, UTC.
      ${keyUsage(false)}

      -- Uses of all keys since the beginning of a day, whatever became of them.
      CREATE FUNCTION keyward.calls_since(wanted text, since timestamptz) RETURNS json
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        ${ledger(ON_OR_AFTER.replace('l.', 'u.'), 'r.recorded_at >= since')}
        SELECT to_json(coalesce(sum(l.calls), 0)) FROM ledger l
      $$;
      ${ownedByFunctions(USAGE, CALLS)}
      ${[USAGE, CALLS].map((signature) => mayExecute(signature, 'keyward_key_plane')).join('')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION keyward.${USAGE}, keyward.${CALLS}, keyward.${ROLL_UP}, keyward.${INVENTORY};
      ${rollUp('')}
      ${keyInventory(LAST_USE)}
      DROP TABLE keyward.key_use;
      ${mayNotAppend(OPERATIONS)}
    `);
  }
}
