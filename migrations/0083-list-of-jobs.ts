import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { mayExecute, ownedByFunctions } from './row-security.js';

const LIST = 'jobs_of(text)';
const OPERATIONS = ['ListJobs'];
const MOST = 100;
const iso = (time: string): string => `to_char(${time} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/** Every kind of timed work, with the tenant's rows that fail; to operators also what fails elsewhere, as a number, and what was done. */
export class ListOfJobs implements MigrationInterface {
  readonly name = 'ListOfJobs0000000000083';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${mayAppend('keyward_key_plane', OPERATIONS)}

      -- When a job was done last, and how many, tells of other tenants: to the platform only.
      CREATE FUNCTION keyward.jobs_of(wanted text) RETURNS json
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT coalesce(json_agg(json_strip_nulls(json_build_object(
            'kind', j.kind, 'lookedAt', ${iso('j.looked_at')}, 'nextAt', CASE WHEN isfinite(j.next_at) THEN ${iso('j.next_at')} END,
            'doneAt', CASE WHEN wanted = 'platform' THEN ${iso('j.done_at')} END, 'done', CASE WHEN wanted = 'platform' THEN j.done END,
            'failing', (SELECT count(*) FROM keyward.job_failure f WHERE f.kind = j.kind AND (wanted = 'platform' OR f.tenant_id = wanted)),
            'failures', (
              SELECT coalesce(json_agg(json_build_object('subject', r.subject, 'failures', r.failures, 'failingSince', ${iso('r.failing_since')},
                  'nextAttemptAt', ${iso('r.next_attempt_at')}, 'lastError', r.last_error) ORDER BY r.failing_since), '[]')
                FROM (SELECT * FROM keyward.job_failure f WHERE f.kind = j.kind AND f.tenant_id = wanted ORDER BY f.failing_since LIMIT ${MOST}) r)
          )) ORDER BY j.kind), '[]')
          FROM keyward.job_kind j
      $$;
      ${ownedByFunctions(LIST)}
      ${mayExecute(LIST, 'keyward_key_plane')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP FUNCTION keyward.${LIST}; ${mayNotAppend(OPERATIONS)}`);
  }
}
