import { type Clock, type DueOffBoarding, type OffBoardings, systemClock, workerRecord } from '#core';
import { type JobKind, NotNow } from './jobs/job-kind.js';
import { SEEN_DUE_FOR_MS, seenTwice } from './seen-twice.js';

/** A tenant with very much goes over many jobs: one must end before a process that drains does. */
const LOTS_A_JOB = 20;

export interface OffBoardingParts {
  readonly offBoardings: OffBoardings;
  readonly seenDueForMs?: number;
  readonly clock?: Clock;
  /** As `platformName` says it. */
  readonly platform?: string;
}

/**
 * Ends the tenants whose wait is over: nobody of it gets in, then its keys end as every key does, then the root that wrapped them, then what
 * else it had, a lot at a time; its log stays. Each step may be repeated, and the next one begins where the database says.
 */
export function offBoardTenants({
  offBoardings,
  seenDueForMs = SEEN_DUE_FOR_MS,
  clock = systemClock,
  platform,
}: OffBoardingParts): JobKind {
  const found = ({ tenant, due, dueAt }: DueOffBoarding) => ({ tenant, subject: 'tenant', due, dueAt });
  const { due: sure, mustBeOver } = seenTwice(seenDueForMs, clock, async () => (await offBoardings.dueOffBoardings()).map(found));
  const record = (logId: string, op: 'CloseTenant' | 'EndTenant', change: Record<string, string | number>) =>
    workerRecord(logId, clock.now().getTime(), { op, category: 'management', platform, change });
  return {
    ...{ name: 'off-board-tenant', everyMs: 1000 },
    due: sure,
    run: async ({ tenant }) => {
      const [due] = await offBoardings.dueOffBoardings(tenant);
      if (due === undefined) return;
      if (!due.closed) {
        mustBeOver(found(due));
        return void (await offBoardings.close(due, record(due.logId, 'CloseTenant', { offBoarding: 'closing' })));
      }
      for (let lot = 0; lot < LOTS_A_JOB; lot++) {
        const left = await offBoardings.step(tenant);
        if (left === 'keys' || left === 'rows') continue;
        if (left !== 'end') throw new NotNow();
        return await end(due);
      }
    },
  };

  async function end(due: DueOffBoarding): Promise<void> {
    const gone = await offBoardings.whatHasGone(due.tenant);
    if (gone === undefined) return;
    const { removed, ...keys } = gone;
    const own = record(due.logId, 'EndTenant', { ...keys, ...removed });
    await offBoardings.end(due, own, record(due.platformLogId, 'EndTenant', { leavingTenant: due.tenant, ...keys, ...removed }));
  }
}
