import { type Clock, type DuePurge, type SecretPurges, systemClock, workerRecord } from '#core';
import type { JobKind } from './jobs/job-kind.js';
import { SEEN_DUE_FOR_MS, seenTwice } from './seen-twice.js';

export interface PurgeParts {
  readonly purges: SecretPurges;
  readonly seenDueForMs?: number;
  readonly clock?: Clock;
  /** As `platformName` says it. */
  readonly platform?: string;
}

/** Secrets whose recovery window is over go for good, with all their versions; the record stands in the same transaction. */
export function purgeSecrets({ purges, seenDueForMs = SEEN_DUE_FOR_MS, clock = systemClock, platform }: PurgeParts): JobKind {
  const found = ({ tenant, secretId, due, dueAt }: DuePurge) => ({ tenant, subject: secretId, due, dueAt });
  const { due: sure, mustBeOver } = seenTwice(seenDueForMs, clock, async () => (await purges.duePurges()).map(found));
  return {
    ...{ name: 'purge-secret', everyMs: 1000 },
    due: sure,
    run: async (of) => {
      for (const due of await purges.duePurges(of)) {
        mustBeOver(found(due));
        const body = workerRecord(due.logId, clock.now().getTime(), {
          ...{ op: 'PurgeSecret', category: 'management', platform, secret: { id: due.secretId, name: due.name } },
          change: { state: { before: 'PendingDeletion', after: null } },
        });
        await purges.purge(due, body);
      }
    },
  };
}
