import type { MigrationInterface, QueryRunner } from 'typeorm';
import { MOST, wanted } from './0082-due-rows.js';
import { LIMIT } from './0132-key-wear.js';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { APPEND_MANY, appendUnder, mayExecute, ownedByFunctions, tenantRows } from './row-security.js';

const SERVICES = ['UploadRewrapItems', 'CollectRewrapResults'];
const WORKER = ['ReWrap'];

const OF = 'rewrap_of(text, text, text)';
const UPLOAD = 'upload_rewrap_items(text, text, text, bigint, text[], bytea[], bytea[], text[])';
const COLLECT = 'collect_rewrap_results(text, text, text, bigint, bigint, integer, boolean)';
const FOR_DATA_PLANE = [UPLOAD, COLLECT];
const DUE = 'due_uploads(text, text)';
const WAITING = 'waiting_items(text, text, integer)';
const SETTLE = 'settle_uploads(bytea, integer[], text, uuid, uuid, timestamptz, text, text[], text[], bytea[], text[])';
const SUSPEND = 'suspend_uploads(bytea, text, uuid, uuid, text, text)';
const DROP = 'drop_uploads(integer)';
const FOR_WORKER = [DUE, WAITING, SETTLE, SUSPEND, DROP];

/** As contract/rewrap.ts has it. */
const NAMED_FAILURES = 100;
/** As core/handlers/uploads.ts has it. */
const MOST_HELD = 50_000;
/** At a time: however many projects one tenant has, nobody else's wait behind them. */
const OF_A_TENANT = 4;
/** Uploaded items, and results that nobody fetched, are kept so long after the end of their project. */
const KEPT_FOR = '7 days';
/** Before a project that the rules do not let through is looked at again. */
const RESTS_FOR = '5 seconds';
const MINE = 'p.tenant_id = wanted AND p.operation_id = operation AND p.service = of_service';
const ITS = 'i.tenant_id = wanted AND i.operation_id = operation';

const rewrapOf = (more: string): string => `
      CREATE FUNCTION keyward.rewrap_of(wanted text, operation text, of_service text) RETURNS json
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT json_build_object(
          'operationId', p.operation_id, 'state', p.state, 'reason', p.reason, 'keyId', p.key_id,
          'fromVersionId', p.from_version, 'toVersionId', p.to_version, 'service', p.service, 'itemsPerSecond', p.items_per_second,
          'population', p.population, 'done', p.done, 'kept', p.kept, 'failed', p.failed,
          'pacedFrom', p.paced_from, 'pacedAt', p.paced_at, 'pacedBase', p.paced_base,
          'cursor', p.cursor, 'atEnd', p.at_end${more}) FROM keyward.rewrap p WHERE ${MINE}
      $$;
      ${ownedByFunctions(OF)}
      ${mayExecute(OF, 'keyward_data_plane')}`;

/** Re-wrap projects by upload: services hand their ciphertexts over, the worker moves them, services fetch what came of them. */
export class Uploads implements MigrationInterface {
  readonly name = 'Uploads0000000000140';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${mayAppend('keyward_data_plane', SERVICES)}
      ${mayAppend('keyward_worker', WORKER)}

      ALTER TABLE keyward.rewrap
        ADD COLUMN mode text NOT NULL DEFAULT 'pages' CHECK (mode IN ('pages', 'upload')),
        -- By upload the project is the worker's grant.
        ADD COLUMN mac bytea CHECK (length(mac) = 32),
        ADD CONSTRAINT bound_by_upload CHECK ((mac IS NOT NULL) = (mode = 'upload')),
        -- Items that were handed over; of them, those that are settled; of them, those whose results were acknowledged.
        ADD COLUMN uploaded bigint NOT NULL DEFAULT 0,
        ADD COLUMN settled bigint NOT NULL DEFAULT 0,
        ADD COLUMN acknowledged_to bigint NOT NULL DEFAULT 0,
        ADD CONSTRAINT in_order CHECK (acknowledged_to <= settled AND settled <= uploaded),
        -- When the worker made the last ciphertext under to_version.
        ADD COLUMN sealed_at timestamptz;
      CREATE INDEX rewrap_uploads ON keyward.rewrap (next_at, tenant_id) WHERE mode = 'upload' AND ended_at IS NULL;
      CREATE INDEX rewrap_of_key ON keyward.rewrap (tenant_id, key_id) WHERE mode = 'upload';

      CREATE TABLE keyward.rewrap_item (
        tenant_id text NOT NULL,
        operation_id text NOT NULL,
        -- The service's own name for it.
        item_id text NOT NULL CHECK (length(item_id) BETWEEN 1 AND 256),
        -- In the order of the upload, from 1.
        position bigint NOT NULL,
        -- SHA-256 of ciphertext and context: the same again is no other item.
        digest bytea NOT NULL CHECK (length(digest) = 32),
        -- As uploaded, until it is settled.
        ciphertext bytea,
        context json,
        -- In the order in which they were settled, from 1.
        place bigint,
        status text CHECK (status IN ('moved', 'kept', 'failed')),
        -- Of one that was moved, until it is acknowledged.
        result bytea,
        code text CHECK ((code IS NOT NULL) = (status IS NOT DISTINCT FROM 'failed')),
        PRIMARY KEY (tenant_id, operation_id, item_id),
        FOREIGN KEY (tenant_id, operation_id) REFERENCES keyward.rewrap,
        CHECK ((place IS NULL) = (status IS NULL) AND (place IS NULL) = (ciphertext IS NOT NULL) AND (place IS NULL) = (context IS NOT NULL)),
        CHECK (result IS NULL OR status = 'moved')
      );
      ${tenantRows('rewrap_item')}
      CREATE UNIQUE INDEX rewrap_item_waiting ON keyward.rewrap_item (tenant_id, operation_id, position) WHERE place IS NULL;
      CREATE UNIQUE INDEX rewrap_item_settled ON keyward.rewrap_item (tenant_id, operation_id, place) WHERE place IS NOT NULL;
      GRANT SELECT, INSERT, UPDATE, DELETE ON keyward.rewrap_item TO keyward_functions;

      DROP FUNCTION keyward.${OF};
      ${rewrapOf(`, 'mode', p.mode, 'uploaded', p.uploaded, 'settled', p.settled`)}

      -- Of each item: it is there (now, or before), another one of this name is, or none is, since the project takes no more. NULL: no such
      -- project.
      CREATE FUNCTION keyward.upload_rewrap_items(
        wanted text, operation text, of_service text, announced bigint, ids text[], digests bytea[], ciphertexts bytea[], contexts text[]
      ) RETURNS json LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        r keyward.rewrap;
        stored bigint := 0;
      BEGIN
        SELECT p.* INTO r FROM keyward.rewrap p WHERE ${MINE} AND p.mode = 'upload' FOR UPDATE;
        IF NOT FOUND THEN
          RETURN NULL;
        END IF;
        IF r.ended_at IS NULL AND r.uploaded - r.acknowledged_to + cardinality(ids) <= ${MOST_HELD} THEN
          INSERT INTO keyward.rewrap_item (tenant_id, operation_id, item_id, position, digest, ciphertext, context)
            SELECT wanted, operation, f.id, r.uploaded + row_number() OVER (ORDER BY f.n), f.digest, f.ciphertext, f.context::json
              FROM (
                SELECT DISTINCT ON (g.id) g.* FROM unnest(ids, digests, ciphertexts, contexts) WITH ORDINALITY g (id, digest, ciphertext, context, n)
                  ORDER BY g.id, g.n) f
              WHERE NOT EXISTS (SELECT FROM keyward.rewrap_item i WHERE ${ITS} AND i.item_id = f.id);
          GET DIAGNOSTICS stored = ROW_COUNT;
        END IF;
        UPDATE keyward.rewrap p SET uploaded = r.uploaded + stored, population = coalesce(announced, p.population),
            at_end = p.at_end AND stored = 0
          WHERE ${MINE} AND p.ended_at IS NULL;
        RETURN (
          SELECT json_agg(CASE WHEN i.item_id IS NULL THEN 'not-stored' WHEN i.digest = g.digest THEN 'accepted' ELSE 'different' END ORDER BY g.n)
            FROM unnest(ids, digests) WITH ORDINALITY g (id, digest, n)
            LEFT JOIN keyward.rewrap_item i ON ${ITS} AND i.item_id = g.id);
      END $$;

      -- Results behind a place, once those up to the acknowledged one are counted; for good, or as if. NULL: no such project, or no such place.
      CREATE FUNCTION keyward.collect_rewrap_results(
        wanted text, operation text, of_service text, acked bigint, after_place bigint, most integer, for_good boolean
      ) RETURNS json LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        r keyward.rewrap;
        now timestamptz := clock_timestamp();
        since bigint;
        counted record;
      BEGIN
        SELECT p.* INTO r FROM keyward.rewrap p WHERE ${MINE} AND p.mode = 'upload' FOR UPDATE;
        IF NOT FOUND OR acked > r.settled THEN
          RETURN NULL;
        END IF;
        since := greatest(r.acknowledged_to, acked);
        IF for_good THEN
          SELECT count(*) FILTER (WHERE i.status <> 'failed') AS done, count(*) FILTER (WHERE i.status = 'kept') AS kept,
              count(*) FILTER (WHERE i.status = 'failed') AS failed,
              coalesce(json_agg(json_build_object('itemId', i.item_id, 'code', i.code) ORDER BY i.place) FILTER (WHERE i.status = 'failed'), '[]') AS failures
            INTO counted FROM keyward.rewrap_item i WHERE ${ITS} AND i.place > r.acknowledged_to AND i.place <= since;
          UPDATE keyward.rewrap_item i SET result = NULL WHERE ${ITS} AND i.place > r.acknowledged_to AND i.place <= since AND i.result IS NOT NULL;
          IF since > r.acknowledged_to AND (r.paced_at IS NULL OR now > r.paced_at + interval '30 seconds') THEN
            r.paced_from := now;
            r.paced_base := r.done + r.failed;
          END IF;
          UPDATE keyward.rewrap p SET acknowledged_to = since, at_end = since = p.uploaded,
              done = p.done + counted.done, kept = p.kept + counted.kept, failed = p.failed + counted.failed,
              failures = (
                SELECT coalesce(json_agg(f.one ORDER BY f.part, f.n), '[]') FROM (
                  SELECT 1 AS part, a.n, a.one FROM json_array_elements(p.failures) WITH ORDINALITY a (one, n)
                  UNION ALL SELECT 2, b.n, b.one FROM json_array_elements(counted.failures) WITH ORDINALITY b (one, n)
                  ORDER BY 1, 2 LIMIT ${NAMED_FAILURES}) f),
              paced_from = r.paced_from, paced_base = r.paced_base,
              paced_at = CASE WHEN since > r.acknowledged_to THEN now ELSE p.paced_at END
            WHERE ${MINE};
        END IF;
        RETURN json_build_object('acknowledged', since, 'uploaded', r.uploaded, 'settled', r.settled, 'items', (
          SELECT coalesce(json_agg(json_build_object('itemId', n.item_id, 'status', n.status, 'code', n.code, 'place', n.place,
              'ciphertext', translate(encode(n.result, 'base64'), E'\\n', '')) ORDER BY n.place), '[]')
            FROM (
              SELECT i.* FROM keyward.rewrap_item i WHERE ${ITS} AND i.place > greatest(since, after_place) ORDER BY i.place LIMIT most) n));
      END $$;

      -- Projects that have items which wait, and are not ahead of their rate by more than a second.
      CREATE FUNCTION keyward.due_uploads(of_tenant text, of_operation text) RETURNS TABLE (
        tenant_id text, operation_id text, key_id text, from_version text, to_version text, service text, items_per_second integer, mac bytea,
        exhausted boolean, at timestamptz
      ) LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT d.tenant_id, d.operation_id, d.key_id, d.from_version, d.to_version, d.service, d.items_per_second, d.mac,
            -- By the count itself: what is no primary version any more is marked by nobody.
            keyward.sealed_under(d.tenant_id, d.key_id, d.to_version) >= ${LIMIT}, clock_timestamp()
          FROM (
            SELECT p.*, row_number() OVER (PARTITION BY p.tenant_id ORDER BY p.next_at) AS n FROM keyward.rewrap p
              WHERE p.mode = 'upload' AND p.ended_at IS NULL AND p.settled < p.uploaded AND p.next_at <= clock_timestamp() + interval '1 second'
                AND (of_operation = p.operation_id OR of_operation IS NULL) AND ${wanted('move-uploads', 'p.tenant_id', 'p.operation_id')}) d
          WHERE d.n <= ${OF_A_TENANT} ORDER BY d.next_at LIMIT ${MOST}
      $$;

      CREATE FUNCTION keyward.waiting_items(wanted text, operation text, most integer)
      RETURNS TABLE (item_id text, ciphertext bytea, context json)
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT i.item_id, i.ciphertext, i.context FROM keyward.rewrap_item i
          WHERE ${ITS} AND i.place IS NULL ORDER BY i.position LIMIT most
      $$;

      -- Results, counts and records in one transaction. NULL: the project is over. Raises KW001 when an item is settled already, or a rule came
      -- in between.
      CREATE FUNCTION keyward.settle_uploads(
        bodies bytea, lengths integer[], wanted text, epoch uuid, platform_epoch uuid, valid_until timestamptz, operation text, ids text[],
        statuses text[], results bytea[], codes text[]
      ) RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        r keyward.rewrap;
        now timestamptz := clock_timestamp();
        changed bigint;
        many integer := cardinality(lengths);
        answers bigint[];
      BEGIN
        SELECT p.* INTO r FROM keyward.rewrap p
          WHERE p.tenant_id = wanted AND p.operation_id = operation AND p.mode = 'upload' AND p.ended_at IS NULL FOR UPDATE;
        IF NOT FOUND THEN
          RETURN NULL;
        END IF;
        UPDATE keyward.rewrap_item i SET place = r.settled + g.n, status = g.status, result = g.result, code = g.code, ciphertext = NULL, context = NULL
          FROM unnest(ids, statuses, results, codes) WITH ORDINALITY g (id, status, result, code, n)
          WHERE ${ITS} AND i.item_id = g.id AND i.place IS NULL;
        GET DIAGNOSTICS changed = ROW_COUNT;
        IF changed <> cardinality(ids) THEN
          RAISE EXCEPTION 'settled meanwhile' USING ERRCODE = 'KW001';
        END IF;
        UPDATE keyward.rewrap p SET settled = r.settled + changed, state = 'running', reason = NULL, started_at = coalesce(p.started_at, now),
            sealed_at = CASE WHEN 'moved' = ANY (statuses) THEN now ELSE p.sealed_at END,
            next_at = greatest(p.next_at, now) + changed * interval '1 second' / p.items_per_second
          WHERE p.tenant_id = wanted AND p.operation_id = operation;
        -- The ledger counts what services seal.
        INSERT INTO keyward.key_wear AS w (tenant_id, version_id, key_id, sealed)
          SELECT wanted, r.to_version, r.key_id, m.many FROM (SELECT cardinality(array_positions(statuses, 'moved')) AS many) m WHERE m.many > 0
          ON CONFLICT (tenant_id, version_id) DO UPDATE SET sealed = w.sealed + excluded.sealed;${APPEND_MANY}
        IF r.first_seq IS NULL THEN
          UPDATE keyward.rewrap p SET first_seq = answers[1] WHERE p.tenant_id = wanted AND p.operation_id = operation;
        END IF;
        RETURN answers[1];
      END $$;

      -- The record says why, once: it is looked at again and again. NULL: that is told already, or it is over.
      CREATE FUNCTION keyward.suspend_uploads(body bytea, wanted text, epoch uuid, platform_epoch uuid, operation text, why text) RETURNS bigint
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        r keyward.rewrap;
        answer bigint;
      BEGIN
        SELECT p.* INTO r FROM keyward.rewrap p
          WHERE p.tenant_id = wanted AND p.operation_id = operation AND p.mode = 'upload' AND p.ended_at IS NULL FOR UPDATE;
        IF NOT FOUND THEN
          RETURN NULL;
        END IF;
        UPDATE keyward.rewrap p SET state = 'suspended', reason = why, next_at = clock_timestamp() + interval '${RESTS_FOR}'
          WHERE p.tenant_id = wanted AND p.operation_id = operation;
        IF r.state = 'suspended' AND r.reason = why THEN
          RETURN NULL;
        END IF;${appendUnder('wanted')}
        RETURN answer;
      END $$;

      CREATE FUNCTION keyward.drop_uploads(most integer) RETURNS bigint
      LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        WITH gone AS (
          DELETE FROM keyward.rewrap_item i USING (
              SELECT o.tenant_id, o.operation_id, o.item_id FROM keyward.rewrap p JOIN keyward.rewrap_item o USING (tenant_id, operation_id)
                WHERE p.mode = 'upload' AND p.ended_at < clock_timestamp() - interval '${KEPT_FOR}' LIMIT most) o
            WHERE i.tenant_id = o.tenant_id AND i.operation_id = o.operation_id AND i.item_id = o.item_id RETURNING 1)
        SELECT count(*) FROM gone
      $$;
      ${ownedByFunctions(...FOR_DATA_PLANE, ...FOR_WORKER)}
      ${FOR_DATA_PLANE.map((signature) => mayExecute(signature, 'keyward_data_plane')).join('')}
      ${FOR_WORKER.map((signature) => mayExecute(signature, 'keyward_worker')).join('')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION ${[...FOR_DATA_PLANE, ...FOR_WORKER, OF].map((signature) => `keyward.${signature}`).join(', ')};
      DROP TABLE keyward.rewrap_item;
      DROP INDEX keyward.rewrap_uploads, keyward.rewrap_of_key;
      ALTER TABLE keyward.rewrap DROP COLUMN mode, DROP COLUMN mac, DROP COLUMN uploaded, DROP COLUMN settled, DROP COLUMN acknowledged_to,
        DROP COLUMN sealed_at;
      ${rewrapOf('')}
      ${mayNotAppend([...SERVICES, ...WORKER])}
    `);
  }
}
