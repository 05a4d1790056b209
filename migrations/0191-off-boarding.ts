import type { MigrationInterface, QueryRunner } from 'typeorm';
import { MOST, wanted } from './0082-due-rows.js';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { APPEND_OWN_RECORD, mayExecute, ownedByFunctions, tenantRows } from './row-security.js';

const OF_PEOPLE = [
  ...['OffBoardTenant', 'CancelOffBoarding', 'ListOffBoardings'],
  ...['AgreeToOffBoarding', 'WithdrawFromOffBoarding', 'DescribeOffBoarding'],
];
const OF_THE_WORKER = ['CloseTenant', 'EndTenant'];
const DUE = 'due_off_boardings(text)';
const CLOSE = 'close_tenant(bytea, text, timestamptz)';
const STEP = 'off_board_step(text)';
const END = 'end_tenant(bytea, bytea, text)';
const GONE = 'what_has_gone(text)';
const FUNCTIONS = [DUE, CLOSE, STEP, GONE, END];

/** At most so many rows in one statement. */
const LOT = 300;

/** An auditor's credential in force: it reads the log until its own end. */
const readsOn = (row: string): string =>
  `(${row}.role = 'auditor' AND ${row}.revoked_at IS NULL AND ${row}.expires_at > clock_timestamp())`;

/**
 * What goes with a tenant, in this order: its rows `x`. Not here: its log with all that is derived from it, what its auditors read that by,
 * and its keys' tombstones, which custodians are handed and receipts are of.
 */
const REMOVED: readonly (readonly [table: string, which?: string])[] = [
  ['rewrap_item'],
  ['rewrap'],
  ['secret'],
  ['key_import'],
  ['key_rotation'],
  ['key_wear'],
  ['policy_draft'],
  ['policy_version'],
  ['stop'],
  ['grant_use'],
  ['credential', `NOT ${readsOn('x')}`],
  ['identity_provider', `NOT EXISTS (SELECT FROM keyward.credential c WHERE c.tenant_id = of_tenant AND c.auth_method = 'oidc')`],
  ['expiry_warning'],
  ['job_alert'],
  ['job_failure', `x.kind <> 'off-board-tenant'`],
];
const TABLES = REMOVED.map(([table]) => table);
/** What else is deleted from, whose rows are found by other columns, or last. */
const ALSO = ['sink', 'tenant_quota', 'tenant_suspension'];
/** Those that keyward_functions could delete from before. */
const KNOWN = ['rewrap_item', 'secret', 'job_alert', 'job_failure'];
const NEWLY = [...TABLES, ...ALSO].filter((table) => !KNOWN.includes(table));

/** As records name it. */
const told = (table: string): string => table.replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase());
const remove = ([table, which = 'true']: (typeof REMOVED)[number]): string => `
        DELETE FROM keyward.${table} WHERE ctid IN (
          SELECT x.ctid FROM keyward.${table} x WHERE x.tenant_id = of_tenant AND ${which} LIMIT ${LOT});
        GET DIAGNOSTICS gone = ROW_COUNT;
        IF gone > 0 THEN
          UPDATE keyward.off_boarding o SET removed = o.removed || jsonb_build_object('${told(table)}', coalesce((o.removed ->> '${told(table)}')::bigint, 0) + gone)
            WHERE o.tenant_id = of_tenant;
          RETURN 'rows';
        END IF;`;

/** A tenant leaves: what it began on, how long it waits, and how the worker takes away all but the trail, a lot at a time. */
export class OffBoarding implements MigrationInterface {
  readonly name = 'OffBoarding0000000000191';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${mayAppend('keyward_key_plane', OF_PEOPLE)}
      ${mayAppend('keyward_worker', OF_THE_WORKER)}
      ALTER TABLE keyward.tenant DROP CONSTRAINT tenant_state_check,
        ADD CONSTRAINT tenant_state_check CHECK (state IN ('Pending', 'Active', 'Ended'));

      CREATE TABLE keyward.off_boarding (
        tenant_id text PRIMARY KEY REFERENCES keyward.tenant CHECK (tenant_id <> 'platform'),
        step text NOT NULL CHECK (step IN ('Agreed', 'Waiting', 'Closing', 'Ended')),
        agreed_by text,
        agreed_at timestamptz,
        -- Where it began on one: it cannot be lifted meanwhile.
        platform text NOT NULL DEFAULT 'platform' CHECK (platform = 'platform'),
        suspension text CHECK (suspension = tenant_id),
        begun_by text,
        begun_at timestamptz,
        reason text,
        -- As it is told: by this database's clock nothing ends before.
        ends_at timestamptz CHECK (ends_at >= begun_at + interval '168 hours'),
        -- The root under which nothing ever is.
        last_root integer CHECK (last_root > 0),
        closed_at timestamptz,
        removed jsonb NOT NULL DEFAULT '{}',
        ended_at timestamptz,
        FOREIGN KEY (platform, suspension) REFERENCES keyward.tenant_suspension (tenant_id, suspended_tenant),
        CHECK ((agreed_by IS NULL) = (agreed_at IS NULL)),
        CONSTRAINT rests_on_something CHECK (step = 'Ended' OR agreed_at IS NOT NULL OR suspension IS NOT NULL),
        CHECK (step = 'Agreed' OR (begun_by IS NOT NULL AND begun_at IS NOT NULL AND ends_at IS NOT NULL AND last_root IS NOT NULL)),
        CHECK ((step IN ('Closing', 'Ended')) = (closed_at IS NOT NULL)),
        CHECK ((step = 'Ended') = (ended_at IS NOT NULL))
      );
      ${tenantRows('off_boarding')}
      -- The operators' part of it, and what they must know for that.
      CREATE POLICY platform_rows ON keyward.off_boarding TO keyward_key_plane
        USING (current_setting('app.tenant_id', true) = 'platform') WITH CHECK (current_setting('app.tenant_id', true) = 'platform');
      CREATE POLICY platform_sees_all ON keyward.tenant_root FOR SELECT TO keyward_key_plane
        USING (current_setting('app.tenant_id', true) = 'platform');
      GRANT SELECT, INSERT, DELETE, UPDATE (step, suspension, begun_by, begun_at, reason, ends_at, last_root)
        ON keyward.off_boarding TO keyward_key_plane;
      GRANT SELECT, UPDATE (step, suspension, closed_at, removed, ended_at) ON keyward.off_boarding TO keyward_functions;
      GRANT SELECT ON keyward.policy_draft TO keyward_functions;
      GRANT UPDATE (state) ON keyward.tenant TO keyward_functions;
      GRANT UPDATE (description) ON keyward.cmk TO keyward_functions;
      GRANT INSERT, UPDATE (root, started_at) ON keyward.tenant_root TO keyward_functions;
      GRANT DELETE ON ${NEWLY.map((table) => `keyward.${table}`).join(', ')} TO keyward_functions;

      -- Those whose wait is over, and those that are on their way.
      CREATE FUNCTION keyward.due_off_boardings(of_tenant text)
      RETURNS TABLE (tenant_id text, due text, log_id text, platform_log_id text, closed boolean)
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT o.tenant_id, o.ends_at::text, l.log_id, p.log_id, o.step = 'Closing'
          FROM keyward.off_boarding o JOIN keyward.log l USING (tenant_id) JOIN keyward.log p ON p.tenant_id = 'platform'
          WHERE (o.step = 'Closing' OR o.step = 'Waiting' AND o.ends_at <= clock_timestamp())
            AND ${wanted('off-board-tenant', 'o.tenant_id', "'tenant'")}
          ORDER BY o.ends_at LIMIT ${MOST}
      $$;

      -- For the last record. receipts: SHA-256 over those of each key's receipt, in the order of the keys' ids, all in hexadecimal.
      CREATE FUNCTION keyward.what_has_gone(of_tenant text) RETURNS json
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT json_build_object(
            'removed', o.removed,
            'destroyedKeys', (SELECT count(*) FROM keyward.key_tombstone t WHERE t.tenant_id = of_tenant),
            'receipts', (
              SELECT encode(sha256(convert_to(coalesce(
                  string_agg(encode(sha256(convert_to(t.receipt, 'UTF8')), 'hex'), '' ORDER BY t.key_id), ''), 'UTF8')), 'hex')
                FROM keyward.key_tombstone t WHERE t.tenant_id = of_tenant))
          FROM keyward.off_boarding o WHERE o.tenant_id = of_tenant AND o.step = 'Closing'
      $$;

      -- NULL: it is not, or not any more, to be closed at this time. The caller decides nothing: what was begun, and is due, is looked at here.
      CREATE FUNCTION keyward.close_tenant(body bytea, of_tenant text, due timestamptz) RETURNS bigint
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        answer bigint;
      BEGIN
        UPDATE keyward.off_boarding o SET step = 'Closing', closed_at = clock_timestamp()
          WHERE o.tenant_id = of_tenant AND o.step = 'Waiting' AND o.ends_at = due AND o.ends_at <= clock_timestamp();
        IF NOT FOUND THEN
          RETURN NULL;
        END IF;
        -- Moves the epoch: nothing that was decided before is accepted after.
        UPDATE keyward.tenant t SET state = 'Ended' WHERE t.tenant_id = of_tenant;
        ${APPEND_OWN_RECORD}
        RETURN answer;
      END $$;

      -- One lot of what is left, in this order; what others do is waited for. Answers core's OffBoardingStep.
      CREATE FUNCTION keyward.off_board_step(of_tenant text) RETURNS text
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        leaving keyward.off_boarding;
        gone bigint;
      BEGIN
        SELECT * INTO leaving FROM keyward.off_boarding o WHERE o.tenant_id = of_tenant AND o.step = 'Closing' FOR UPDATE;
        IF NOT FOUND THEN
          RAISE EXCEPTION 'not closed' USING ERRCODE = 'KW001';
        END IF;

        -- Keys end as every key does: their wait is over from now on, protected or not.
        UPDATE keyward.cmk SET state = 'PendingDeletion', deletion_at = clock_timestamp(),
            state_before = CASE state WHEN 'PendingDeletion' THEN state_before ELSE state END
          WHERE ctid IN (
            SELECT k.ctid FROM keyward.cmk k
              WHERE k.tenant_id = of_tenant AND k.state <> 'Destroyed' AND (k.deletion_at <= clock_timestamp()) IS NOT TRUE LIMIT ${LOT});
        IF FOUND THEN
          RETURN 'keys';
        END IF;
        IF EXISTS (SELECT FROM keyward.cmk k WHERE k.tenant_id = of_tenant AND k.state <> 'Destroyed') THEN
          RETURN 'destroying';
        END IF;

        -- The root under which they were goes as in every rotation of a root: to one under which nothing is.
        INSERT INTO keyward.tenant_root AS r (tenant_id, root, started_at) VALUES (of_tenant, leaving.last_root, clock_timestamp())
          ON CONFLICT (tenant_id) DO UPDATE SET root = excluded.root, started_at = excluded.started_at, rewrapped = false, ended_at = NULL
            WHERE r.ended_at IS NOT NULL AND r.root < excluded.root;
        IF FOUND OR EXISTS (SELECT FROM keyward.tenant_root r WHERE r.tenant_id = of_tenant AND r.ended_at IS NULL) THEN
          RETURN 'root';
        END IF;
        IF EXISTS (
          SELECT FROM keyward.key_tombstone t
            WHERE t.tenant_id = of_tenant AND (t.receipt IS NULL OR t.signed_under < leaving.last_root)) THEN
          RETURN 'receipts';
        END IF;

        ${REMOVED.map(remove).join('')}
        DELETE FROM keyward.tenant_quota q WHERE q.limited_tenant = of_tenant;
        UPDATE keyward.cmk SET description = '' WHERE ctid IN (
          SELECT k.ctid FROM keyward.cmk k WHERE k.tenant_id = of_tenant AND k.description <> '' LIMIT ${LOT});
        IF FOUND THEN
          RETURN 'rows';
        END IF;

        -- Sinks hear of all of this first, if they can within a day.
        IF leaving.closed_at > clock_timestamp() - interval '1 day' AND EXISTS (
          SELECT FROM keyward.sink s JOIN keyward.tenant_head h USING (tenant_id)
            WHERE s.tenant_id = of_tenant AND s.state = 'Active' AND s.next_seq < h.size) THEN
          RETURN 'sinks';
        END IF;
        DELETE FROM keyward.sink s WHERE s.tenant_id = of_tenant;
        RETURN 'end';
      END $$;

      -- The last of its records, in its own log and in the platform's. NULL: it is over, or something is left.
      CREATE FUNCTION keyward.end_tenant(tenant_body bytea, platform_body bytea, leaving text) RETURNS bigint
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        own bigint;
      BEGIN
        PERFORM FROM keyward.off_boarding o WHERE o.tenant_id = leaving AND o.step = 'Closing' FOR UPDATE;
        IF NOT FOUND OR keyward.off_board_step(leaving) <> 'end' THEN
          RETURN NULL;
        END IF;
        UPDATE keyward.off_boarding o SET step = 'Ended', suspension = NULL, ended_at = clock_timestamp() WHERE o.tenant_id = leaving;
        DELETE FROM keyward.tenant_suspension s WHERE s.tenant_id = 'platform' AND s.suspended_tenant = leaving;
        DECLARE
          of_tenant text := leaving;
          body bytea := tenant_body;
          answer bigint;
        BEGIN${APPEND_OWN_RECORD}
          own := answer;
          of_tenant := 'platform';
          body := platform_body;${APPEND_OWN_RECORD}
        END;
        RETURN own;
      END $$;
      ${ownedByFunctions(...FUNCTIONS)}
      ${FUNCTIONS.map((signature) => mayExecute(signature, 'keyward_worker')).join('')}
    `);
  }

  /** Not while there are tenants that have left: an older version would not know that they have. */
  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE keyward.tenant DROP CONSTRAINT tenant_state_check,
        ADD CONSTRAINT tenant_state_check CHECK (state IN ('Pending', 'Active'));
      DROP FUNCTION ${FUNCTIONS.map((signature) => `keyward.${signature}`).join(', ')};
      DROP POLICY platform_sees_all ON keyward.tenant_root;
      DROP TABLE keyward.off_boarding;
      REVOKE DELETE ON ${NEWLY.map((table) => `keyward.${table}`).join(', ')} FROM keyward_functions;
      REVOKE SELECT ON keyward.policy_draft FROM keyward_functions;
      REVOKE INSERT, UPDATE (root, started_at) ON keyward.tenant_root FROM keyward_functions;
      REVOKE UPDATE (description) ON keyward.cmk FROM keyward_functions;
      REVOKE UPDATE (state) ON keyward.tenant FROM keyward_functions;
      ${mayNotAppend([...OF_PEOPLE, ...OF_THE_WORKER])}
    `);
  }
}
