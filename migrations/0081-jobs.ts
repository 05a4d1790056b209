import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayExecute, ownedByFunctions, tenantRows } from './row-security.js';

const RESTS = 'job_rests(text, text, text)';
const CLAIM = 'claim_job_kinds(text[], interval[])';
const DONE = 'job_done(text, text, text)';
const FAILED = 'job_failed(text, text, text, text, interval[])';

/** Longer than any pause: a time further off was written by a clock that has been set back since. */
const LONGEST_PAUSE = '1 day';

export const jobRests = (
  longest = LONGEST_PAUSE,
): string => `CREATE FUNCTION keyward.job_rests(of_kind text, of_tenant text, of_subject text) RETURNS boolean
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT EXISTS (SELECT FROM keyward.job_failure f WHERE f.tenant_id = of_tenant AND f.kind = of_kind AND f.subject = of_subject
          AND f.next_attempt_at > clock_timestamp() AND f.next_attempt_at < clock_timestamp() + interval '${longest}')
      $$;`;

/** Of kind `j`: its last look failed, or its job where it is due as a whole. */
const FAILING = `EXISTS (SELECT FROM keyward.job_failure f WHERE f.tenant_id = 'platform' AND f.kind = j.kind AND f.subject = '')`;

/**
 * What is done by the clock. When anything is due stands in the row that it concerns; here stands when each kind was looked at last, and
 * which rows failed, how often, and when they are tried again. A queue that forgets everything is filled again by the next look.
 */
export class Jobs implements MigrationInterface {
  readonly name = 'Jobs0000000000081';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE keyward.job_kind (
        kind text PRIMARY KEY,
        -- Of looks for what is due; the first one is due at once.
        looked_at timestamptz,
        next_at timestamptz NOT NULL DEFAULT '-infinity',
        -- Of jobs that ended well.
        done_at timestamptz,
        done bigint NOT NULL DEFAULT 0
      );
      GRANT SELECT, INSERT, UPDATE ON keyward.job_kind TO keyward_functions;

      -- Gone when it succeeds. subject: the row's own name within the tenant, never empty; empty, and of the platform: the kind as a whole.
      CREATE TABLE keyward.job_failure (
        tenant_id text NOT NULL REFERENCES keyward.tenant,
        kind text NOT NULL REFERENCES keyward.job_kind,
        subject text NOT NULL,
        failures integer NOT NULL DEFAULT 1,
        failing_since timestamptz NOT NULL DEFAULT clock_timestamp(),
        next_attempt_at timestamptz NOT NULL,
        last_error text NOT NULL CHECK (length(last_error) <= 200),
        PRIMARY KEY (tenant_id, kind, subject)
      );
      ${tenantRows('job_failure')}
      GRANT SELECT, INSERT, UPDATE, DELETE ON keyward.job_failure TO keyward_functions;

      -- Every function that answers what is due asks it of each row, so that rows that fail keep none of the others from their turn.
      ${jobRests()}

      -- Kinds to look at now, by whoever asks first: at their rhythm, and when they failed and have rested; whether the last look failed; and rows that failed and have rested, which may not be
      -- due any more. A clock that was set back keeps nothing from being looked at.
      CREATE FUNCTION keyward.claim_job_kinds(kinds text[], pauses interval[]) RETURNS TABLE (kind text, failing boolean, retries json)
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      BEGIN
        INSERT INTO keyward.job_kind AS j (kind) SELECT unnest(kinds) ON CONFLICT DO NOTHING;
        RETURN QUERY
          WITH due AS (
            SELECT j.kind, asked.pause FROM keyward.job_kind j JOIN unnest(kinds, pauses) asked (kind, pause) ON asked.kind = j.kind
              WHERE (j.next_at <= clock_timestamp() OR j.next_at > clock_timestamp() + asked.pause OR ${FAILING})
                AND NOT keyward.job_rests(j.kind, 'platform', '')
              FOR UPDATE OF j SKIP LOCKED)
          UPDATE keyward.job_kind j SET looked_at = clock_timestamp(), next_at = clock_timestamp() + due.pause
            FROM due WHERE j.kind = due.kind
            RETURNING j.kind, ${FAILING}, (
              SELECT coalesce(json_agg(json_build_object('tenant', r.tenant_id, 'subject', r.subject)), '[]') FROM (
                SELECT f.tenant_id, f.subject FROM keyward.job_failure f
                  WHERE f.kind = j.kind AND NOT (f.tenant_id = 'platform' AND f.subject = '') AND NOT keyward.job_rests(f.kind, f.tenant_id, f.subject)
                  ORDER BY f.next_attempt_at LIMIT 100) r);
      END $$;

      CREATE FUNCTION keyward.job_done(of_kind text, of_tenant text, of_subject text) RETURNS void
      LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        DELETE FROM keyward.job_failure f WHERE f.tenant_id = of_tenant AND f.kind = of_kind AND f.subject = of_subject;
        UPDATE keyward.job_kind j SET done_at = clock_timestamp(), done = j.done + 1 WHERE j.kind = of_kind;
      $$;

      -- pauses: after the first failure, after the second, …; the last one again and again.
      CREATE FUNCTION keyward.job_failed(of_kind text, of_tenant text, of_subject text, error text, pauses interval[]) RETURNS void
      LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        INSERT INTO keyward.job_failure AS f (tenant_id, kind, subject, next_attempt_at, last_error)
          VALUES (of_tenant, of_kind, of_subject, clock_timestamp() + pauses[1], left(error, 200))
          ON CONFLICT (tenant_id, kind, subject) DO UPDATE SET failures = f.failures + 1, last_error = excluded.last_error,
            next_attempt_at = clock_timestamp() + pauses[least(f.failures + 1, cardinality(pauses))]
      $$;
      ${ownedByFunctions(RESTS, CLAIM, DONE, FAILED)}
      ${[CLAIM, DONE, FAILED].map((signature) => mayExecute(signature, 'keyward_worker')).join('')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION ${[CLAIM, DONE, FAILED, RESTS].map((signature) => `keyward.${signature}`).join(', ')};
      DROP TABLE keyward.job_failure, keyward.job_kind;
    `);
  }
}
