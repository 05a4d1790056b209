import { keyId, type RecordBody } from '#contract';
import { type Clock, type JobAlerts, type JobEpisode, systemClock, workerRecord } from '#core';
import type { JobKind } from './jobs/job-kind.js';

export interface ReportParts {
  readonly alerts: JobAlerts;
  readonly clock?: Clock;
  /** As `platformName` says it. */
  readonly platform?: string;
}

/**
 * Tells a tenant in its log, and by that at its sinks, what the worker fails to do for it, and when that works again: each once. What
 * concerns the platform as a whole is told in the platform's log.
 */
export const reportJobs = ({ alerts, clock = systemClock, platform }: ReportParts): JobKind => ({
  ...{ name: 'report-jobs', everyMs: 5000 },
  due: async () => [...new Set((await alerts.episodes()).map(({ tenant }) => tenant))].map((tenant) => ({ tenant, subject: 'jobs' })),
  run: async ({ tenant }) => {
    for (const episode of await alerts.episodes(tenant)) await alerts.report(episode, reportBody(episode, clock.now().getTime(), platform));
  },
});

function reportBody({ kind, subject, failing, failures, failingSince, lastError, logId }: JobEpisode, now: number, platform?: string) {
  const key = keyId.safeParse(subject);
  const failed: Pick<RecordBody, 'outcome' | 'error'> = { outcome: 'failed', error: { code: 'unavailable', reason: lastError } };
  return workerRecord(logId, now, {
    ...{ op: failing ? 'JobFailing' : 'JobRecovered', category: 'platform', platform },
    ...(failing && failed),
    ...(key.success && { key: { id: key.data } }),
    change: { kind, ...(subject !== '' && { subject }), failingSince: failingSince.toISOString(), ...(failing && { failures }) },
  });
}
