import type { MigrationInterface, QueryRunner } from 'typeorm';
import { MOST, wanted } from './0082-due-rows.js';
import { LIMIT } from './0132-key-wear.js';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { APPEND_MANY, appendUnder, mayExecute, ownedByFunctions } from './row-security.js';

const DUE = 'due_secret_moves(text, text)';
const WAITING = 'secrets_to_move(text, text, text, integer)';
const SETTLE = 'settle_secret_moves(bytea, integer[], text, uuid, uuid, timestamptz, text, text, text[], bytea[], text[])';
const SUSPEND = 'suspend_secret_moves(bytea, text, uuid, uuid, text, text)';
const END = 'end_secret_moves(bytea, text, uuid, uuid, text, text)';
const FUNCTIONS = [DUE, WAITING, SETTLE, SUSPEND, END];

/** As contract/rewrap.ts has it. */
const NAMED_FAILURES = 100;
/** At a time: however many projects one tenant has, nobody else's wait behind them. */
const OF_A_TENANT = 4;
/** Before a project that the rules do not let through is looked at again. */
const RESTS_FOR = '5 seconds';
const ITS = 'p.tenant_id = wanted AND p.operation_id = operation';
const OPEN = `${ITS} AND p.mode = 'secrets' AND p.ended_at IS NULL`;
/** A version of a secret in one text, as failures name it: an id of a secret has 30 characters. */
const NAME = (version: string) => `${version}.secret_id || '/' || ${version}.version_id`;
const named = (text: string) => `(left(${text}, 30), substr(${text}, 32))`;

/** Re-wrap projects of secrets: the worker moves the data keys of their values from one version of a key to a newer one. */
export class RewrapsOfSecrets implements MigrationInterface {
  readonly name = 'RewrapsOfSecrets0000000000180';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${mayAppend('keyward_worker', ['EndRewrap'])}

      ALTER TABLE keyward.rewrap
        ALTER COLUMN service DROP NOT NULL,
        DROP CONSTRAINT rewrap_mode_check,
        ADD CONSTRAINT rewrap_mode_check CHECK (mode IN ('pages', 'upload', 'secrets')),
        -- What the worker carries out is its grant.
        DROP CONSTRAINT bound_by_upload,
        ADD CONSTRAINT bound_for_worker CHECK ((mac IS NOT NULL) = (mode <> 'pages')),
        ADD CONSTRAINT of_a_service CHECK ((service IS NULL) = (mode = 'secrets'));
      CREATE UNIQUE INDEX rewrap_open_of_secrets ON keyward.rewrap (tenant_id, key_id, from_version) WHERE mode = 'secrets' AND ended_at IS NULL;
      CREATE INDEX rewrap_of_secrets ON keyward.rewrap (next_at, tenant_id) WHERE mode = 'secrets' AND ended_at IS NULL;

      -- In the order in which they are moved.
      DROP INDEX keyward.secret_version_of_key;
      CREATE INDEX secret_version_of_key ON keyward.secret_version (tenant_id, key_version, secret_id, version_id);
      GRANT UPDATE (edk, key_version) ON keyward.secret_version TO keyward_functions;

      -- Projects that are not over, and not ahead of their rate by more than a second. "cursor": everything up to it was looked at.
      CREATE FUNCTION keyward.due_secret_moves(of_tenant text, of_operation text) RETURNS TABLE (
        tenant_id text, operation_id text, key_id text, from_version text, to_version text, items_per_second integer, mac bytea, cursor text,
        exhausted boolean, at timestamptz
      ) LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT d.tenant_id, d.operation_id, d.key_id, d.from_version, d.to_version, d.items_per_second, d.mac, d.cursor,
            -- By the count itself: what is no primary version any more is marked by nobody.
            keyward.sealed_under(d.tenant_id, d.key_id, d.to_version) >= ${LIMIT}, clock_timestamp()
          FROM (
            SELECT p.*, row_number() OVER (PARTITION BY p.tenant_id ORDER BY p.next_at) AS n FROM keyward.rewrap p
              WHERE p.mode = 'secrets' AND p.ended_at IS NULL AND p.next_at <= clock_timestamp() + interval '1 second'
                AND (of_operation = p.operation_id OR of_operation IS NULL) AND ${wanted('move-secrets', 'p.tenant_id', 'p.operation_id')}) d
          WHERE d.n <= ${OF_A_TENANT} ORDER BY d.next_at LIMIT ${MOST}
      $$;

      -- Those of secrets that are to be purged, too: they may be restored.
      CREATE FUNCTION keyward.secrets_to_move(wanted text, of_version text, behind text, most integer)
      RETURNS TABLE (item_id text, secret_id text, name text, version_id text, edk bytea)
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT ${NAME('v')}, v.secret_id, s.name, v.version_id, v.edk
          FROM keyward.secret_version v JOIN keyward.secret s USING (tenant_id, secret_id)
          WHERE v.tenant_id = wanted AND v.key_version = of_version AND (v.secret_id, v.version_id) > ${named('behind')}
          ORDER BY v.secret_id, v.version_id LIMIT most
      $$;

      -- Moved data keys, counts and records in one transaction; one without a moved key failed. NULL: the project is over. Raises KW001 when a
      -- value is not there any more, somebody else moved it, or a rule came in between.
      CREATE FUNCTION keyward.settle_secret_moves(
        bodies bytea, lengths integer[], wanted text, epoch uuid, platform_epoch uuid, valid_until timestamptz, operation text, read_cursor text,
        ids text[], edks bytea[], codes text[]
      ) RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        r keyward.rewrap;
        now timestamptz := clock_timestamp();
        failing bigint := cardinality(array_positions(edks, NULL));
        moving bigint := cardinality(ids) - failing;
        changed bigint;
        many integer := cardinality(lengths);
        answers bigint[];
      BEGIN
        SELECT p.* INTO r FROM keyward.rewrap p WHERE ${OPEN} FOR UPDATE;
        IF NOT FOUND THEN
          RETURN NULL;
        END IF;
        UPDATE keyward.secret_version v SET edk = g.edk, key_version = r.to_version
          FROM unnest(ids, edks) g (id, edk)
          WHERE v.tenant_id = wanted AND (v.secret_id, v.version_id) = ${named('g.id')} AND v.key_version = r.from_version AND g.edk IS NOT NULL;
        GET DIAGNOSTICS changed = ROW_COUNT;
        IF r.cursor <> read_cursor OR changed <> moving THEN
          RAISE EXCEPTION 'moved or gone meanwhile' USING ERRCODE = 'KW001';
        END IF;
        IF r.paced_at IS NULL OR now > r.paced_at + interval '30 seconds' THEN
          r.paced_from := now;
          r.paced_base := r.done + r.failed;
        END IF;
        UPDATE keyward.rewrap p SET done = r.done + moving, failed = r.failed + failing, cursor = ids[cardinality(ids)],
            failures = (
              SELECT coalesce(json_agg(f.one ORDER BY f.part, f.n), '[]') FROM (
                SELECT 1 AS part, a.n, a.one FROM json_array_elements(r.failures) WITH ORDINALITY a (one, n)
                UNION ALL SELECT 2, g.n, json_build_object('itemId', g.id, 'code', g.code)
                  FROM unnest(ids, codes) WITH ORDINALITY g (id, code, n) WHERE g.code IS NOT NULL
                ORDER BY 1, 2 LIMIT ${NAMED_FAILURES}) f),
            state = 'running', reason = NULL, started_at = coalesce(r.started_at, now),
            paced_from = r.paced_from, paced_at = now, paced_base = r.paced_base,
            sealed_at = CASE WHEN moving > 0 THEN now ELSE r.sealed_at END,
            next_at = greatest(r.next_at, now) + cardinality(ids) * interval '1 second' / r.items_per_second
          WHERE ${ITS};
        -- The ledger counts what services and admins seal.
        INSERT INTO keyward.key_wear AS w (tenant_id, version_id, key_id, sealed)
          SELECT wanted, r.to_version, r.key_id, moving WHERE moving > 0
          ON CONFLICT (tenant_id, version_id) DO UPDATE SET sealed = w.sealed + excluded.sealed;${APPEND_MANY}
        UPDATE keyward.rewrap p SET first_seq = answers[1] WHERE ${ITS} AND p.first_seq IS NULL;
        RETURN answers[1];
      END $$;

      -- The record says why, once: it is looked at again and again. NULL: that is told already, or it is over.
      CREATE FUNCTION keyward.suspend_secret_moves(body bytea, wanted text, epoch uuid, platform_epoch uuid, operation text, why text)
      RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        r keyward.rewrap;
        answer bigint;
      BEGIN
        SELECT p.* INTO r FROM keyward.rewrap p WHERE ${OPEN} FOR UPDATE;
        UPDATE keyward.rewrap p SET state = 'suspended', reason = why, next_at = clock_timestamp() + interval '${RESTS_FOR}' WHERE ${OPEN};
        IF NOT FOUND OR r.state = 'suspended' AND r.reason = why THEN
          RETURN NULL;
        END IF;${appendUnder('wanted')}
        RETURN answer;
      END $$;

      -- Its record is the last of the project. NULL: it is over, or something waits.
      CREATE FUNCTION keyward.end_secret_moves(body bytea, wanted text, epoch uuid, platform_epoch uuid, operation text, read_cursor text)
      RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        answer bigint;
        now timestamptz := clock_timestamp();
      BEGIN
        UPDATE keyward.rewrap p SET state = CASE p.failed WHEN 0 THEN 'succeeded' ELSE 'failed' END, reason = NULL,
            population = p.done + p.failed, started_at = coalesce(p.started_at, now), ended_at = now
          WHERE ${OPEN} AND p.cursor = read_cursor
            AND NOT EXISTS (SELECT FROM keyward.secrets_to_move(wanted, p.from_version, p.cursor, 1));
        IF NOT FOUND THEN
          RETURN NULL;
        END IF;${appendUnder('wanted')}
        UPDATE keyward.rewrap p SET first_seq = coalesce(p.first_seq, answer), last_seq = answer WHERE ${ITS};
        RETURN answer;
      END $$;
      ${ownedByFunctions(...FUNCTIONS)}
      ${FUNCTIONS.map((signature) => mayExecute(signature, 'keyward_worker')).join('')}
    `);
  }

  /** Projects of secrets go: the tables of before have no place for them. */
  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION ${FUNCTIONS.map((signature) => `keyward.${signature}`).join(', ')};
      REVOKE UPDATE (edk, key_version) ON keyward.secret_version FROM keyward_functions;
      DROP INDEX keyward.secret_version_of_key, keyward.rewrap_open_of_secrets, keyward.rewrap_of_secrets;
      CREATE INDEX secret_version_of_key ON keyward.secret_version (tenant_id, key_version);
      GRANT DELETE ON keyward.rewrap TO keyward_functions;
      SET LOCAL ROLE keyward_functions;
      DELETE FROM keyward.rewrap WHERE mode = 'secrets';
      SET LOCAL ROLE keyward_owner;
      REVOKE DELETE ON keyward.rewrap FROM keyward_functions;
      ALTER TABLE keyward.rewrap
        DROP CONSTRAINT of_a_service,
        DROP CONSTRAINT bound_for_worker,
        ADD CONSTRAINT bound_by_upload CHECK ((mac IS NOT NULL) = (mode = 'upload')),
        DROP CONSTRAINT rewrap_mode_check,
        ADD CONSTRAINT rewrap_mode_check CHECK (mode IN ('pages', 'upload')),
        ALTER COLUMN service SET NOT NULL;
      ${mayNotAppend(['EndRewrap'])}
    `);
  }
}
