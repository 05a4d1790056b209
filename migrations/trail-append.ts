import { mayExecute, ownedByFunctions } from './row-security.js';

/** What later migrations add to the function of migration 0008. */
export interface AlsoAppended {
  /** The version of the key that a record names, as a column. */
  readonly versions: boolean;
  /** Personal fields, stored in the statement that stores the record that carries their digests. */
  readonly disclosures: boolean;
}

const OLDEST: AlsoAppended = { versions: false, disclosures: false };
const NAME = 'trail_append';
const TYPES = 'bytea, integer[], text[], uuid[], uuid[], timestamptz[], text[], integer[], integer[]';

export const appendSignature = ({ disclosures }: AlsoAppended = OLDEST): string =>
  `${NAME}(${TYPES}${disclosures ? ', integer[], text[], text[], text[], boolean[]' : ''})`;

/**
 * The statement that judges, orders and stores a batch. There are two of it, so that a batch of which no record is charged pays nothing
 * for limits. No batch straddles a minute: records are counted in the minute that they tell.
 */
const store = (judging: 'fenced' | 'limited', limits: string, version: (of?: string) => string): string => String.raw`
        WITH head AS MATERIALIZED (
          SELECT h.tenant_id, h.size, h.epoch, l.log_id, h.tenant_id = ANY (locked) AS ours, t.base,
              -- No record of this batch tells a later time, so none that ended before it is accepted by a time that it does not tell.
              t.base + (cardinality(lengths) - 1) * interval '1 microsecond' AS latest
            FROM keyward.tenant_head h JOIN keyward.log l USING (tenant_id), LATERAL (
              SELECT greatest(clock_timestamp(), h.last_at + interval '1 microsecond') AS earliest OFFSET 0) b, LATERAL (
              SELECT greatest(b.earliest, date_trunc('minute', b.earliest + cardinality(lengths) * interval '1 microsecond', 'UTC')) AS base OFFSET 0) t
            WHERE h.tenant_id = ANY (tenants)
        ), fenced AS (
          SELECT e.*, head.tenant_id, head.size, head.base,
              CASE
                WHEN e.op IS NULL OR e.calls IS NULL OR (e.log = head.log_id) IS NOT TRUE THEN -3
                WHEN NOT head.ours THEN -4
                WHEN (e.epoch = head.epoch AND e.platform_epoch = (SELECT p.epoch FROM keyward.tenant_head p WHERE p.tenant_id = 'platform')) IS NOT TRUE THEN -1
                WHEN e.until < head.latest THEN -2
                ELSE 0
              END AS verdict
            FROM unnest(starts, lengths, tenants, epochs, platform_epochs, valid_until, logs, ops, outcomes, key_ids, principals, request_ids, charges, per_minute, per_day, counts, lease_ends${version().replace('version_id', 'version_ids')})
              WITH ORDINALITY e (start, len, tenant, epoch, platform_epoch, until, log, op, outcome, key_id, principal, request_id, rule, per_minute, per_day, calls, lease_until${version()}, ord)
            LEFT JOIN head ON head.tenant_id = e.tenant
        )${limits}, judged AS MATERIALIZED (
          SELECT v.ord, v.start, v.len, v.tenant_id, v.op, v.outcome, v.key_id, v.principal, v.request_id, v.calls, v.lease_until${version('v')}, v.verdict,
              v.size + count(*) FILTER (WHERE v.verdict = 0) OVER in_order - 1 AS seq,
              v.base + (count(*) FILTER (WHERE v.verdict = 0) OVER in_order - 1) * interval '1 microsecond' AS at
            FROM ${judging} v
            WINDOW in_order AS (PARTITION BY v.tenant_id ORDER BY v.ord)
        ), stored AS (
          INSERT INTO keyward.trail_record (tenant_id, seq, bytes, leaf_hash, recorded_at, op, outcome, key_id, principal, request_id, calls, lease_until${version()})
            SELECT s.tenant_id, s.seq, s.bytes, sha256('\x00'::bytea || s.bytes), s.at, s.op, s.outcome, s.key_id, s.principal, s.request_id, s.calls, s.lease_until${version('s')}
              FROM (
                SELECT j.*, convert_to(
                    '{"seq":' || j.seq || to_char(j.at AT TIME ZONE 'UTC', '",\"recordedAt\":\""YYYY-MM-DD"T"HH24:MI:SS.US"Z\",\"writer\":\""') || session_user || '",', 'UTF8')
                    || substring(batch FROM j.start + 1 FOR j.len - 1) AS bytes
                  FROM judged j WHERE j.verdict = 0
                  OFFSET 0) s
        ), moved AS (
          UPDATE keyward.tenant_head h SET size = n.last_seq + 1, last_at = n.last_at
            FROM (SELECT j.tenant_id, max(j.seq) AS last_seq, max(j.at) AS last_at FROM judged j WHERE j.verdict = 0 GROUP BY j.tenant_id) n
            WHERE h.tenant_id = n.tenant_id
        )
        SELECT array_agg(CASE j.verdict WHEN 0 THEN j.seq ELSE j.verdict END ORDER BY j.ord) INTO answers FROM judged j;`;

/**
 * Who is fenced off pays nothing; the others pay in their order while there is room, for every call that their record counts or for none,
 * and who finds too little leaves no record: the answer tells the room.
 */
const limits = (version: string): string => `, limited AS MATERIALIZED (
          SELECT c.ord, c.start, c.len, c.tenant_id, c.op, c.outcome, c.key_id, c.principal, c.request_id, c.size, c.base, c.rule, c.calls, c.lease_until${version}, c.minute, c.day,
              CASE WHEN c.verdict = 0 AND c.rule IS NOT NULL AND c.calls > r.room THEN -5 - greatest(r.room, 0) ELSE c.verdict END AS verdict
            FROM (
              SELECT f.*, date_trunc('minute', f.base, 'UTC') AS minute, (f.base AT TIME ZONE 'UTC')::date AS day,
                  sum(f.calls) FILTER (WHERE f.verdict = 0) OVER (PARTITION BY f.tenant_id, f.rule ORDER BY f.ord) - f.calls AS before
                FROM fenced f) c
            LEFT JOIN keyward.grant_use u ON u.tenant_id = c.tenant_id AND u.rule_id = c.rule
            CROSS JOIN LATERAL (
              SELECT least(
                  c.per_minute - CASE WHEN u.minute = c.minute THEN u.used_minute ELSE 0 END,
                  c.per_day - CASE WHEN u.day = c.day THEN u.used_day ELSE 0 END) - c.before AS room) r
        ), paid AS (
          INSERT INTO keyward.grant_use AS u (tenant_id, rule_id, minute, used_minute, day, used_day)
            SELECT l.tenant_id, l.rule, l.minute, sum(l.calls), l.day, sum(l.calls)
              FROM limited l WHERE l.verdict = 0 AND l.rule IS NOT NULL GROUP BY l.tenant_id, l.rule, l.minute, l.day
            ON CONFLICT (tenant_id, rule_id) DO UPDATE SET
              minute = excluded.minute,
              used_minute = excluded.used_minute + CASE WHEN u.minute = excluded.minute THEN u.used_minute ELSE 0 END,
              day = excluded.day,
              used_day = excluded.used_day + CASE WHEN u.day = excluded.day THEN u.used_day ELSE 0 END
        )`;

const PARAMETERS = `,
        disclosing integer[] DEFAULT NULL, field_names text[] DEFAULT NULL, abouts text[] DEFAULT NULL, disclosures text[] DEFAULT NULL,
        shared boolean[] DEFAULT NULL`;

/** disclosing: the place in the batch, from 1, of the record that carries each. One that is there already is the same one. */
const DISCLOSE = `
        IF disclosing IS NOT NULL THEN
          INSERT INTO keyward.trail_disclosure (tenant_id, digest, seq, name, about, shared, disclosure)
            SELECT tenants[d.place], sha256(convert_to(d.disclosure, 'UTF8')), answers[d.place], d.name, d.about, d.shared, d.disclosure
              FROM unnest(disclosing, field_names, abouts, disclosures, shared) d (place, name, about, disclosure, shared)
              WHERE answers[d.place] >= 0
              ORDER BY d.place
            ON CONFLICT DO NOTHING;
        END IF;`;

/** Creates the function, and lets the planes and (later) the worker execute it. */
export function trailAppend(also: AlsoAppended = OLDEST, ...roles: readonly string[]): string {
  const { versions, disclosures } = also;
  const version = (of?: string) => (versions ? `, ${of === undefined ? '' : `${of}.`}version_id` : '');
  const signature = appendSignature(also);
  return String.raw`
      -- One answer a record, in order: its seq, or -1 stale, -2 expired, -3 malformed, -4 busy (its tenant's head is held),
      -- -5 - n over limit, with room for n calls. charges: the grant that pays for each record, NULL for none; for no record of the
      -- batch: NULL itself. It pays for as many calls as the record says.
      CREATE FUNCTION keyward.${NAME}(
        batch bytea, lengths integer[], tenants text[], epochs uuid[], platform_epochs uuid[], valid_until timestamptz[],
        charges text[] DEFAULT NULL, per_minute integer[] DEFAULT NULL, per_day integer[] DEFAULT NULL${disclosures ? PARAMETERS : ''}
      ) RETURNS bigint[] LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        one_by_one boolean := false;
        starts integer[];
        logs text[];
        ops text[];
        outcomes text[];
        key_ids text[];
        principals text[];
        request_ids text[];
        counts integer[];
        lease_ends text[];${
          versions
            ? `
        version_ids text[];`
            : ''
        }
        locked text[];
        answers bigint[];
      BEGIN
        -- The commit obeys the session's setting, whatever a function sets for itself.
        IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
          RAISE EXCEPTION 'synchronous_commit is too weak' USING ERRCODE = 'KW004';
        END IF;
        IF 0 >= ANY (lengths) OR (SELECT sum(l) FROM unnest(lengths) l) IS DISTINCT FROM length(batch) THEN
          RAISE EXCEPTION 'lengths do not fit the batch' USING ERRCODE = 'KW003';
        END IF;

        -- Parsed before any lock is taken. A bad record costs the batch a slower pass, not the others their place; its op is NULL.
        LOOP
          BEGIN
            SELECT array_agg(r.start), array_agg(r.doc ->> 'log'), array_agg(r.doc ->> 'outcome'), array_agg(r.doc #>> '{key,id}'),
                array_agg(r.doc #>> '{actor,principal}'), array_agg(r.doc #>> '{request,requestId}'),
                array_agg(CASE WHEN r.doc #> '{request,dryRun}' = 'true' THEN 0 ELSE substring(coalesce(r.doc ->> 'count', '1') FROM '^[1-9][0-9]{0,5}$')::integer END),
                array_agg(substring(r.doc #>> '{crypto,lease,until}' FROM '^[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-9:]{8}[.][0-9]{3}Z$')),
                ${
                  versions
                    ? `array_agg(r.doc #>> '{key,versionId}'),
                `
                    : ''
                }array_agg(CASE WHEN r.len <= 8000 AND get_byte(batch, r.start - 1) = 123 AND jsonb_typeof(r.doc -> 'outcome') = 'string'
                    AND NOT r.doc ?| ARRAY['seq', 'recordedAt', 'writer']
                    AND r.doc ->> 'op' = ANY (ARRAY(SELECT p.op FROM keyward.plane_operation p WHERE p.role = session_user))
                  THEN r.doc ->> 'op' END)
              INTO starts, logs, outcomes, key_ids, principals, request_ids, counts, lease_ends${versions ? ', version_ids' : ''}, ops
              FROM (
                SELECT e.start, e.len,
                    CASE WHEN one_by_one THEN keyward.json_or_null(substring(batch FROM e.start FOR e.len))
                      ELSE convert_from(substring(batch FROM e.start FOR e.len), 'UTF8')::jsonb END AS doc
                  FROM (SELECT u.ord, u.len, (sum(u.len) OVER (ORDER BY u.ord) - u.len + 1)::integer AS start FROM unnest(lengths) WITH ORDINALITY u (len, ord)) e
                  ORDER BY e.ord
                  OFFSET 0) r;
            EXIT;
          EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
            one_by_one := true;
          END;
        END LOOP;

        PERFORM pg_advisory_xact_lock_shared(7710);
        -- A held head costs its own tenant's records a verdict, not every tenant in the batch its turn.
        locked := ARRAY(SELECT h.tenant_id FROM keyward.tenant_head h WHERE h.tenant_id = ANY (tenants) ORDER BY h.tenant_id FOR UPDATE SKIP LOCKED);
        IF cardinality(locked) = 0 THEN
          -- Only busy tenants here: wait for the one in front of us rather than spin. 55P03 after 20 ms means busy, all of them.
          PERFORM set_config('lock_timeout', '20ms', true);
          locked := ARRAY(SELECT h.tenant_id FROM keyward.tenant_head h WHERE h.tenant_id = ANY (tenants) ORDER BY h.tenant_id FOR UPDATE);
        END IF;

        -- A later statement: it sees what was committed while we waited for the locks.
        IF charges IS NULL THEN
          ${store('fenced', '', version)}
        ELSE
          ${store('limited', limits(version('c')), version)}
        END IF;
${disclosures ? DISCLOSE : ''}
        RETURN answers;
      END $$;
      ${ownedByFunctions(signature)}
      ${mayExecute(signature, ...roles)}`;
}
