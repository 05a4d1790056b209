import { type Checkpoints, type Clock, type EndingLogKeys, type LogKeyRemoval, retiredBody, systemClock } from '#core';

const LOOK_MS = 10_000;

export interface LogKeyParts {
  readonly keys: EndingLogKeys;
  readonly custody: LogKeyRemoval;
  readonly lead: Pick<Checkpoints, 'asLeader'>;
  readonly clock?: Clock;
  readonly platform?: string;
}

/**
 * Ends the older keys of logs: first no checkpoint is signed with it, which is recorded; then it leaves the HSM; then its row says so. Each
 * step may be made again, and after a crash the next round goes on where the row is.
 */
export class LogKeyEndings {
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly parts: LogKeyParts) {}

  /** @throws KeywardError unavailable, CustodyUnavailable; what could not be done is tried again */
  async round(): Promise<void> {
    const { keys, custody, lead, platform, clock = systemClock } = this.parts;
    const now = clock.now().getTime();
    if (now - this.#lookedAt < LOOK_MS) return;
    this.#lookedAt = now;
    await lead.asLeader(async () => {
      for (const key of await keys.due()) {
        if (!key.retired) await keys.retire(key, retiredBody(key, now, platform));
        await custody.destroyLogKey(key.tenant, key.number);
        await keys.destroyed(key);
      }
    });
  }
}
