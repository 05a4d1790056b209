import { type Checkpoints, type Clock, type EndingLogKeys, type LogKeyRemoval, retiredBody } from '#core';
import { seldom } from './seldom.js';

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
  readonly #due: ReturnType<typeof seldom>;

  constructor(private readonly parts: LogKeyParts) {
    this.#due = seldom(LOOK_MS, parts.clock);
  }

  /** @throws KeywardError unavailable, CustodyUnavailable; what could not be done is tried again */
  async round(): Promise<void> {
    const { keys, custody, lead, platform } = this.parts;
    const now = this.#due();
    if (now === undefined) return;
    await lead.asLeader(async () => {
      for (const key of await keys.due()) {
        if (!key.retired) await keys.retire(key, retiredBody(key, now, platform));
        await custody.destroyLogKey(key.tenant, key.number);
        await keys.destroyed(key);
      }
    });
  }
}
