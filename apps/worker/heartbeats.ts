import { type Checkpoints, type Clock, heartbeatBody, type IdleLogs, type Trail } from '#core';
import { seldom } from './seldom.js';

/** No log is without a record for longer: whoever reads it knows by then that somebody stopped keeping it. */
export const HEARTBEAT_MS = 300_000;
/** Looking at every head twice a second would be work for nothing. */
const LOOK_MS = 10_000;

export interface HeartbeatParts {
  readonly logs: IdleLogs;
  readonly trail: Trail;
  readonly lead: Pick<Checkpoints, 'asLeader'>;
  readonly clock?: Clock;
  /** As `platformName` says it. */
  readonly platform?: string;
}

/** Appends a record to each log in which nothing happened. What the fence refuses is asked again the next time. */
export class Heartbeats {
  readonly #due: ReturnType<typeof seldom>;

  constructor(private readonly parts: HeartbeatParts) {
    this.#due = seldom(LOOK_MS, parts.clock);
  }

  /** @throws KeywardError unavailable; TrailUnavailable of the first log that could not be written, after all were tried */
  async round(): Promise<void> {
    const { lead, logs, trail, platform } = this.parts;
    const now = this.#due();
    if (now === undefined) return;
    await lead.asLeader(async () => {
      const idle = await logs.idleLogs(HEARTBEAT_MS);
      const appended = idle.map((log) => {
        const { tenant, epochs } = log;
        return trail.append({ tenant, epochs, validUntil: undefined, body: heartbeatBody(log, now, platform) });
      });
      const failed = (await Promise.allSettled(appended)).find((one) => one.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
    });
  }
}
