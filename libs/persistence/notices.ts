import type pg from 'pg';
import { z } from 'zod';
import { keyId, keyVersionId, type RecordBody, role, tenantId, type TenantId } from '#contract';
import type { Due, DueWarning, ExpiryWarnings, JobAlerts, JobEpisode, KeyWear, TellingWear } from '#core';
import { reading } from './database-error.js';
import { orNone, parsed, recordedBy } from './function-answer.js';
import { recordBytes } from './record-bytes.js';

const told = { tenant_id: tenantId, subject: z.string(), log_id: z.string() };
const episodeRow = z
  .object({
    ...told,
    kind: z.string(),
    failing: z.boolean(),
    failures: z.int(),
    failing_since: z.date(),
    since: z.string(),
    last_error: z.string(),
  })
  .transform(
    ({ tenant_id: tenant, log_id: logId, failing_since: failingSince, last_error: lastError, ...row }): JobEpisode => ({
      ...row,
      ...{ tenant, logId, failingSince, lastError },
    }),
  );
const warningRow = z
  .object({
    ...told,
    ...{ key_id: orNone(keyId), role: orNone(role), service: orNone(z.string()) },
    ...{ expires_at: z.date(), at: z.string(), days: z.int() },
  })
  .transform(
    ({ tenant_id: tenant, log_id: logId, key_id: id, expires_at: expiresAt, ...row }): DueWarning => ({
      ...row,
      ...{ tenant, logId, keyId: id, expiresAt },
    }),
  );

const wearRow = z
  .object({
    ...{ tenant_id: tenantId, key_id: keyId, version_id: keyVersionId, log_id: z.string() },
    ...{ sealed: z.coerce.bigint(), exhausted: z.boolean() },
  })
  .transform(
    ({ tenant_id: tenant, key_id: id, version_id: versionId, log_id: logId, ...row }): TellingWear => ({
      ...row,
      ...{ tenant, keyId: id, versionId, logId },
    }),
  );

/** What the worker tells tenants of itself: what it cannot do, what ends soon, what is worn (migrations 0130 to 0132). */
export class DatabaseNotices implements JobAlerts, ExpiryWarnings, KeyWear {
  constructor(private readonly pool: pg.Pool) {}

  async episodes(of?: TenantId): Promise<readonly JobEpisode[]> {
    const { rows } = await reading(() => this.pool.query('SELECT * FROM keyward.job_episodes($1)', [of]));
    return parsed('job_episodes', z.array(episodeRow), rows);
  }

  async report({ tenant, kind, subject, since, failing }: JobEpisode, body: RecordBody): Promise<bigint | undefined> {
    const values = [recordBytes(body), tenant, kind, subject, since, failing];
    return await recordedBy(this.pool, 'report_job', values, 'report of a job failed');
  }

  async dueWarnings(of?: Due): Promise<readonly DueWarning[]> {
    const { rows } = await reading(() => this.pool.query('SELECT * FROM keyward.due_warnings($1, $2)', [of?.tenant, of?.subject]));
    return parsed('due_warnings', z.array(warningRow), rows);
  }

  async warn({ tenant, subject, at, days }: DueWarning, body: RecordBody): Promise<bigint | undefined> {
    return await recordedBy(this.pool, 'warn_of_expiry', [recordBytes(body), tenant, subject, at, days], 'warning of an end failed');
  }

  async wearToTell(of?: Due): Promise<readonly TellingWear[]> {
    const { rows } = await reading(() => this.pool.query('SELECT * FROM keyward.wear_to_tell($1, $2)', [of?.tenant, of?.subject]));
    return parsed('wear_to_tell', z.array(wearRow), rows);
  }

  async tellWear({ tenant, versionId, exhausted }: TellingWear, body: RecordBody): Promise<bigint | undefined> {
    return await recordedBy(this.pool, 'tell_wear', [recordBytes(body), tenant, versionId, exhausted], 'end of a version failed');
  }
}
