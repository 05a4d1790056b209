import { type Clock, type DueWarning, type ExpiryWarnings, systemClock, workerRecord } from '#core';
import { keyVersionId } from '#contract';
import type { JobKind } from './jobs/job-kind.js';

export interface WarningParts {
  readonly warnings: ExpiryWarnings;
  readonly clock?: Clock;
  /** As `platformName` says it. */
  readonly platform?: string;
}

/** Tells a tenant in its log, and by that at its sinks, that a credential or imported material ends in 30 days, 7 days, one day: each once. */
export const warnOfExpiry = ({ warnings, clock = systemClock, platform }: WarningParts): JobKind => ({
  ...{ name: 'warn-of-expiry', everyMs: 60_000 },
  due: async () => await warnings.dueWarnings(),
  run: async (of) => {
    for (const due of await warnings.dueWarnings(of)) await warnings.warn(due, warningBody(due, clock.now().getTime(), platform));
  },
});

function warningBody({ subject, keyId, role, service, expiresAt, days, logId }: DueWarning, now: number, platform?: string) {
  const change = { expiresAt: expiresAt.toISOString(), days };
  return keyId === undefined
    ? workerRecord(logId, now, {
        ...{ op: 'CredentialExpiring', category: 'management', platform },
        change: { credentialId: subject, ...(role && { role }), ...(service !== undefined && { service }), ...change },
      })
    : workerRecord(logId, now, {
        ...{ op: 'MaterialExpiring', category: 'management', platform },
        ...{ key: { id: keyId, versionId: keyVersionId.parse(subject) }, change },
      });
}
