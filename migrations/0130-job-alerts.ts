import type { MigrationInterface, QueryRunner } from 'typeorm';
import { MOST } from './0082-due-rows.js';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { APPEND_OWN_RECORD, mayExecute, ownedByFunctions, tenantRows } from './row-security.js';

const EPISODES = 'job_episodes(text)';
const REPORT = 'report_job(bytea, text, text, text, text, boolean)';
const OPERATIONS = ['JobFailing', 'JobRecovered'];

/** Failures in a row, minutes after the first one: what a restart mends is nobody's alert. */
const ALARMING = 5;

/** What fails again and again is told in the log of the tenant whose row it is, once, and so is that it works again. */
export class JobAlerts implements MigrationInterface {
  readonly name = 'JobAlerts0000000000130';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${mayAppend('keyward_worker', OPERATIONS)}

      -- From the record that it fails until the record that it works again.
      CREATE TABLE keyward.job_alert (
        tenant_id text NOT NULL REFERENCES keyward.tenant,
        kind text NOT NULL REFERENCES keyward.job_kind,
        subject text NOT NULL,
        failing_since timestamptz NOT NULL,
        PRIMARY KEY (tenant_id, kind, subject)
      );
      ${tenantRows('job_alert')}
      GRANT SELECT, INSERT, DELETE ON keyward.job_alert TO keyward_functions;

      -- What is to be told. Reports themselves are not: where none can be written, none of that could be. A log begins with an enrolment.
      CREATE FUNCTION keyward.job_episodes(of_tenant text) RETURNS TABLE (
        tenant_id text, kind text, subject text, failing boolean, failures integer, failing_since timestamptz, since text, last_error text, log_id text
      ) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT e.tenant_id, e.kind, e.subject, e.failing, e.failures, e.failing_since, e.failing_since::text, e.last_error, l.log_id
          FROM (
            SELECT f.tenant_id, f.kind, f.subject, true AS failing, f.failures, f.failing_since, f.last_error FROM keyward.job_failure f
              WHERE f.failures >= ${ALARMING} AND f.kind <> 'report-jobs'
                AND NOT EXISTS (SELECT FROM keyward.job_alert a WHERE a.tenant_id = f.tenant_id AND a.kind = f.kind AND a.subject = f.subject)
            UNION ALL
            SELECT a.tenant_id, a.kind, a.subject, false, 0, a.failing_since, '' FROM keyward.job_alert a
              WHERE NOT EXISTS (
                SELECT FROM keyward.job_failure f
                  WHERE f.tenant_id = a.tenant_id AND f.kind = a.kind AND f.subject = a.subject AND f.failing_since = a.failing_since)) e
          JOIN keyward.log l USING (tenant_id) JOIN keyward.tenant_head h USING (tenant_id)
          WHERE h.size > 0 AND (of_tenant = e.tenant_id OR of_tenant IS NULL AND NOT keyward.job_rests('report-jobs', e.tenant_id, 'jobs'))
          ORDER BY e.failing_since LIMIT ${MOST}
      $$;

      -- With its record or not at all. NULL: it is not so any more, or somebody told it.
      CREATE FUNCTION keyward.report_job(body bytea, of_tenant text, of_kind text, of_subject text, of_since text, is_failing boolean) RETURNS bigint
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        answer bigint;
      BEGIN
        IF NOT EXISTS (
          SELECT FROM keyward.job_episodes(of_tenant) e
            WHERE e.kind = of_kind AND e.subject = of_subject AND e.since = of_since AND e.failing = is_failing) THEN
          RETURN NULL;
        END IF;
        IF is_failing THEN
          INSERT INTO keyward.job_alert VALUES (of_tenant, of_kind, of_subject, of_since::timestamptz) ON CONFLICT DO NOTHING;
        ELSE
          DELETE FROM keyward.job_alert a
            WHERE a.tenant_id = of_tenant AND a.kind = of_kind AND a.subject = of_subject AND a.failing_since = of_since::timestamptz;
        END IF;
        IF NOT FOUND THEN
          RETURN NULL;
        END IF;${APPEND_OWN_RECORD}
        RETURN answer;
      END $$;
      ${ownedByFunctions(EPISODES, REPORT)}
      ${[EPISODES, REPORT].map((signature) => mayExecute(signature, 'keyward_worker')).join('')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION keyward.${EPISODES}, keyward.${REPORT};
      DROP TABLE keyward.job_alert;
      ${mayNotAppend(OPERATIONS)}
    `);
  }
}
