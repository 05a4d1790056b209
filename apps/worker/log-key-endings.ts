import { type Clock, type EndingLogKeys, type LogKeyRemoval, retiredBody, systemClock } from '#core';
import type { JobKind } from './jobs/job-kind.js';

export interface LogKeyParts {
  readonly keys: EndingLogKeys;
  readonly custody: LogKeyRemoval;
  readonly clock?: Clock;
  readonly platform?: string;
}

/**
 * Ends the older keys of logs: first no checkpoint is signed with it, which is recorded; then it leaves the HSM; then its row says so. Each
 * step may be made again, and after a crash the next job goes on where the row is.
 */
export const endLogKeys = ({ keys, custody, clock = systemClock, platform }: LogKeyParts): JobKind => ({
  ...{ name: 'end-log-key', everyMs: 10_000 },
  due: async () => [...new Set((await keys.due()).map(({ tenant }) => tenant))].map((tenant) => ({ tenant, subject: 'log' })),
  run: async ({ tenant }) => {
    for (const key of await keys.due(tenant)) {
      if (!key.retired) await keys.retire(key, retiredBody(key, clock.now().getTime(), platform));
      await custody.destroyLogKey(tenant, key.number);
      await keys.destroyed(key);
    }
  },
});
