import { type Clock, type Due, KeywardError } from '#core';
import { NotNow } from './jobs/job-kind.js';

/** A clock that jumps may be set back: nothing ends before its wait was seen to be over twice, so long apart. */
export const SEEN_DUE_FOR_MS = 10_000;
/** What was not seen for so long is seen for the first time again. */
const FORGOTTEN_MS = 60_000;

/** A row whose wait is over; `due` as the database writes it: another time is another wait. */
interface Found extends Due {
  readonly due: string;
  readonly dueAt: Date;
}
interface Sight {
  readonly due: string;
  readonly since: number;
  readonly last: number;
}

/**
 * What this process saw twice, so far apart by its own monotonic clock: of what a look finds, and of what a job reads. A job may have stood
 * in the queue since another look, or be another try after a failure: that somebody once saw it twice says nothing about now.
 * And nothing ends for good by one clock alone: what the database says is over must be over by this process's clock too. Both are set by
 * others; only one that is wrong in the same direction on both hosts, and stays so, ends anything early.
 */
export function seenTwice(ms: number, clock: Clock, look: () => Promise<readonly Found[]>) {
  let seen = new Map<string, Sight>();
  const seeing = (of: Found): Sight => {
    const now = performance.now();
    const before = seen.get(nameOf(of));
    const goesOn = before?.due === of.due && now - before.last < FORGOTTEN_MS;
    return { due: of.due, since: goesOn ? before.since : now, last: now };
  };
  const isSure = ({ since, last }: Sight) => last - since >= ms;
  return {
    due: async (): Promise<readonly Due[]> => {
      const found = (await look()).map((of) => ({ of, sight: seeing(of) }));
      seen = new Map(found.map(({ of, sight }) => [nameOf(of), sight]));
      return found.filter(({ sight }) => isSure(sight)).map(({ of: { tenant, subject } }) => ({ tenant, subject }));
    },
    /** @throws NotNow, and KeywardError unavailable where the clocks disagree: the job fails, is told as failing, and is tried again */
    mustBeOver: (of: Found): void => {
      const sight = seeing(of);
      seen.set(nameOf(of), sight);
      if (!isSure(sight)) throw new NotNow();
      if (of.dueAt.getTime() > clock.now().getTime())
        throw new KeywardError('unavailable', '', { reason: "clock: the wait is over by the database's, not by the worker's" });
    },
  };
}

const nameOf = ({ tenant, subject }: Due): string => `${tenant}/${subject}`;
