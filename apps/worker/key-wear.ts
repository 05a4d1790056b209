import { type Clock, type KeyWear, systemClock, workerRecord } from '#core';
import type { JobKind } from './jobs/job-kind.js';

export interface WearParts {
  readonly wear: KeyWear;
  readonly clock?: Clock;
  /** As `platformName` says it. */
  readonly platform?: string;
}

/**
 * Ends the sealing of versions that have sealed as much as random IVs allow, before they could have sealed more, and tells their tenants;
 * and tells at half of that of keys that nobody rotates automatically.
 */
export const tellWear = ({ wear, clock = systemClock, platform }: WearParts): JobKind => ({
  ...{ name: 'tell-wear', everyMs: 5000 },
  due: async () => (await wear.wearToTell()).map(({ tenant, versionId }) => ({ tenant, subject: versionId })),
  run: async (of) => {
    for (const worn of await wear.wearToTell(of)) {
      const { keyId, versionId, sealed, exhausted, logId } = worn;
      const body = workerRecord(logId, clock.now().getTime(), {
        ...{ op: exhausted ? 'KeyExhausted' : 'KeyWorn', category: 'management', platform },
        ...{ key: { id: keyId, versionId }, change: { sealed: Number(sealed) } },
      });
      await wear.tellWear(worn, body);
    }
  },
});
