import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { mayExecute, ownedByFunctions, tenantRows, withTriggerFunction } from './row-security.js';

const ADMINS = ['StartRewrap', 'ListOperations', 'DescribeOperation', 'WatchOperation', 'CancelOperation'];
const SERVICES = ['DescribeRewrap', 'RewrapPage', 'SettleRewrapPage', 'FinishRewrap'];

const OF = 'rewrap_of(text, text, text)';
const TAKE = 'take_rewrap_page(text, text, text, text, text, bigint, boolean)';
const SETTLE = 'settle_rewrap_page(text, text, text, text, text, text, integer, integer, json, bigint)';
const SUSPEND = 'suspend_rewrap(text, text, text, text)';
const FINISH = 'finish_rewrap(text, text, text, bigint)';
const FUNCTIONS = [OF, TAKE, SETTLE, SUSPEND, FINISH];

/** As contract/rewrap.ts has it. */
const NAMED_FAILURES = 100;
const OPEN = `ended_at IS NULL`;
/** Names one project to the service that carries it out: to everybody else there is none. */
const MINE = 'p.tenant_id = wanted AND p.operation_id = operation AND p.service = of_service';
const told = (p: string) => `json_build_object(
          'operationId', ${p}.operation_id, 'state', ${p}.state, 'reason', ${p}.reason, 'keyId', ${p}.key_id,
          'fromVersionId', ${p}.from_version, 'toVersionId', ${p}.to_version, 'service', ${p}.service, 'itemsPerSecond', ${p}.items_per_second,
          'population', ${p}.population, 'done', ${p}.done, 'kept', ${p}.kept, 'failed', ${p}.failed,
          'pacedFrom', ${p}.paced_from, 'pacedAt', ${p}.paced_at, 'pacedBase', ${p}.paced_base,
          'cursor', ${p}.cursor, 'atEnd', ${p}.at_end)`;

/** Re-wrap projects: how far a service has come with moving what it has under one version of a key. No ciphertext is kept. */
export class RewrapProjects implements MigrationInterface {
  readonly name = 'RewrapProjects0000000000100';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${mayAppend('keyward_key_plane', ADMINS)}
      ${mayAppend('keyward_data_plane', SERVICES)}

      CREATE TABLE keyward.rewrap (
        tenant_id text NOT NULL REFERENCES keyward.tenant,
        operation_id text NOT NULL,
        key_id text NOT NULL,
        from_version text NOT NULL,
        to_version text NOT NULL,
        service text NOT NULL,
        items_per_second integer NOT NULL CHECK (items_per_second > 0),
        state text NOT NULL CHECK (state IN ('pending', 'running', 'suspended', 'succeeded', 'failed', 'cancelled')),
        reason text CHECK (length(reason) <= 200),
        created_by text NOT NULL,
        created_at timestamptz NOT NULL,
        started_at timestamptz,
        ended_at timestamptz CHECK ((ended_at IS NOT NULL) = (state IN ('succeeded', 'failed', 'cancelled'))),
        -- Records of its first page and of its end.
        first_seq bigint,
        last_seq bigint,
        -- As the service counted it; when it is over, what was seen.
        population bigint CHECK (population >= 0),
        done bigint NOT NULL DEFAULT 0,
        -- Of them, what was not moved: by its header it was under the newer version, or a later one.
        kept bigint NOT NULL DEFAULT 0 CHECK (kept <= done),
        failed bigint NOT NULL DEFAULT 0,
        failures json NOT NULL DEFAULT '[]',
        -- Where the next page begins, and the last page that is counted.
        cursor text NOT NULL DEFAULT '' CHECK (length(cursor) <= 512),
        acknowledged text,
        at_end boolean NOT NULL DEFAULT false,
        -- The page that was answered and is not counted yet; without "next" it is the last.
        page text,
        page_next text,
        page_done integer,
        page_kept integer,
        page_failures json,
        -- Counted since then, without a pause.
        paced_from timestamptz,
        paced_at timestamptz,
        paced_base bigint NOT NULL DEFAULT 0,
        -- When what was taken so far should have been taken, at its rate.
        next_at timestamptz NOT NULL DEFAULT '-infinity',
        PRIMARY KEY (tenant_id, operation_id),
        FOREIGN KEY (tenant_id, key_id) REFERENCES keyward.cmk
      );
      ${tenantRows('rewrap')}
      CREATE UNIQUE INDEX rewrap_open ON keyward.rewrap (tenant_id, key_id, from_version, service) WHERE ${OPEN};
      -- Whoever counts them, or ends the version meanwhile, looks again.
      ${withTriggerFunction(
        'move_epoch()',
        `CREATE CONSTRAINT TRIGGER moves_epoch AFTER INSERT ON keyward.rewrap
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION keyward.move_epoch();`,
      )}
      GRANT SELECT, INSERT, UPDATE (state, ended_at, reason) ON keyward.rewrap TO keyward_key_plane;
      GRANT SELECT, UPDATE ON keyward.rewrap TO keyward_functions;

      CREATE FUNCTION keyward.rewrap_of(wanted text, operation text, of_service text) RETURNS json
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT ${told('p')} FROM keyward.rewrap p WHERE ${MINE}
      $$;

      -- Says whether the page at this cursor may be taken (NULL: none is wanted) once the acknowledged one is counted. Only if it may, and
      -- for good, is that counted, once.
      CREATE FUNCTION keyward.take_rewrap_page(
        wanted text, operation text, of_service text, acked text, at_cursor text, announced bigint,
        for_good boolean
      ) RETURNS json LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        r keyward.rewrap;
        now timestamptz := clock_timestamp();
        verdict text;
      BEGIN
        SELECT p.* INTO r FROM keyward.rewrap p WHERE ${MINE} FOR UPDATE;
        IF NOT FOUND THEN
          RETURN NULL;
        END IF;
        IF r.${OPEN} AND acked = r.page THEN
          IF r.paced_at IS NULL OR now > r.paced_at + interval '30 seconds' THEN
            r.paced_from := now;
            r.paced_base := r.done + r.failed;
          END IF;
          r.paced_at := now;
          r.done := r.done + r.page_done;
          r.kept := r.kept + r.page_kept;
          r.failed := r.failed + json_array_length(r.page_failures);
          r.failures := (
            SELECT coalesce(json_agg(f.one ORDER BY f.part, f.place), '[]') FROM (
              SELECT 1 AS part, a.place, a.one FROM json_array_elements(r.failures) WITH ORDINALITY a (one, place)
              UNION ALL SELECT 2, b.place, b.one FROM json_array_elements(r.page_failures) WITH ORDINALITY b (one, place)
              ORDER BY 1, 2 LIMIT ${NAMED_FAILURES}) f);
          r.cursor := coalesce(r.page_next, r.cursor);
          r.at_end := r.page_next IS NULL;
          r.acknowledged := acked;
          r.page := NULL;
        END IF;
        verdict := CASE
          WHEN r.ended_at IS NOT NULL THEN 'ended'
          WHEN acked IS DISTINCT FROM r.acknowledged AND acked IS NOT NULL THEN 'elsewhere'
          WHEN at_cursor IS NOT NULL AND (r.at_end OR at_cursor <> r.cursor) THEN 'elsewhere'
          WHEN at_cursor IS NOT NULL AND r.next_at > now + interval '1 second' THEN 'early'
          ELSE 'taken' END;
        IF verdict = 'taken' AND for_good THEN
          UPDATE keyward.rewrap p SET done = r.done, kept = r.kept, failed = r.failed, failures = r.failures, cursor = r.cursor,
              at_end = r.at_end, acknowledged = r.acknowledged, page = r.page,
              population = CASE WHEN at_cursor IS NULL THEN r.population ELSE coalesce(announced, r.population) END,
              paced_from = r.paced_from, paced_at = r.paced_at, paced_base = r.paced_base
            WHERE ${MINE} AND p.${OPEN};
        END IF;
        RETURN json_build_object('verdict', verdict, 'waitSeconds', CASE verdict WHEN 'early' THEN ceil(extract(epoch FROM r.next_at - now)) ELSE 0 END,
          'rewrap', ${told('r')});
      END $$;

      CREATE FUNCTION keyward.settle_rewrap_page(
        wanted text, operation text, of_service text, of_page text, at_cursor text, next text, done_of_it integer, kept_of_it integer,
        not_done json, seq bigint
      ) RETURNS boolean LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        WITH settled AS (
          UPDATE keyward.rewrap p SET page = of_page, page_next = next, page_done = done_of_it, page_kept = kept_of_it,
              page_failures = not_done,
              state = 'running', reason = NULL, started_at = coalesce(p.started_at, clock_timestamp()), first_seq = coalesce(p.first_seq, seq),
              next_at = greatest(p.next_at, clock_timestamp())
                + (done_of_it + json_array_length(not_done)) * interval '1 second' / p.items_per_second
            WHERE ${MINE} AND p.${OPEN} AND NOT p.at_end AND p.cursor = at_cursor RETURNING 1)
        SELECT EXISTS (SELECT FROM settled)
      $$;

      CREATE FUNCTION keyward.suspend_rewrap(wanted text, operation text, of_service text, why text) RETURNS void
      LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        UPDATE keyward.rewrap p SET state = 'suspended', reason = why WHERE ${MINE} AND p.${OPEN}
      $$;

      -- It ended when its last page was acknowledged: what is used from then on was used since.
      CREATE FUNCTION keyward.finish_rewrap(wanted text, operation text, of_service text, seq bigint) RETURNS json
      LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        WITH finished AS (
          UPDATE keyward.rewrap p SET state = CASE p.failed WHEN 0 THEN 'succeeded' ELSE 'failed' END, reason = NULL,
              population = p.done + p.failed, ended_at = coalesce(p.paced_at, clock_timestamp()), last_seq = seq
            WHERE ${MINE} AND p.${OPEN} AND p.at_end RETURNING p.*)
        SELECT ${told('f')} FROM finished f
      $$;
      ${ownedByFunctions(...FUNCTIONS)}
      ${FUNCTIONS.map((signature) => mayExecute(signature, 'keyward_data_plane')).join('')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION ${FUNCTIONS.map((signature) => `keyward.${signature}`).join(', ')};
      DROP TABLE keyward.rewrap;
      ${mayNotAppend([...ADMINS, ...SERVICES])}
    `);
  }
}
