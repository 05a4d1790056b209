import { type Clock, heartbeatBody, type IdleLogs, systemClock, type Trail } from '#core';
import type { JobKind } from './jobs/job-kind.js';

/** No log is without a record for longer: whoever reads it knows by then that somebody stopped keeping it. */
export const HEARTBEAT_MS = 300_000;

export interface HeartbeatParts {
  readonly logs: IdleLogs;
  readonly trail: Trail;
  readonly clock?: Clock;
  /** As `platformName` says it. */
  readonly platform?: string;
}

/** Appends a record to each log in which nothing happened: of all logs in one job, in few commits. What the fence refuses is asked again the next time. */
export const heartbeats = ({ logs, trail, clock = systemClock, platform }: HeartbeatParts): JobKind => ({
  ...{ name: 'heartbeats', everyMs: 10_000 },
  run: async () => {
    const now = clock.now().getTime();
    const appended = (await logs.idleLogs(HEARTBEAT_MS)).map((log) => {
      const { tenant, epochs } = log;
      return trail.append({ tenant, epochs, validUntil: undefined, body: heartbeatBody(log, now, platform) });
    });
    const failed = (await Promise.allSettled(appended)).find((one) => one.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  },
});
