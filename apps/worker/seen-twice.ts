import type { Due } from '#core';
import { NotNow } from './jobs/job-kind.js';

/** A clock that jumps may be set back: nothing ends before its wait was seen to be over twice, so long apart. */
export const SEEN_DUE_FOR_MS = 10_000;
/** What was not seen for so long is seen for the first time again. */
const FORGOTTEN_MS = 60_000;

/** A row whose wait is over; `due` as the database writes it: another time is another wait. */
interface Found extends Due {
  readonly due: string;
}
interface Sight {
  readonly due: string;
  readonly since: number;
  readonly last: number;
}

/**
 * What this process saw twice, so far apart by its own monotonic clock: of what a look finds, and of what a job reads. A job may have stood
 * in the queue since another look, or be another try after a failure: that somebody once saw it twice says nothing about now.
 */
export function seenTwice(ms: number, look: () => Promise<readonly Found[]>) {
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
    /** @throws NotNow */
    mustBeSure: (of: Found): void => {
      const sight = seeing(of);
      seen.set(nameOf(of), sight);
      if (!isSure(sight)) throw new NotNow();
    },
  };
}

const nameOf = ({ tenant, subject }: Due): string => `${tenant}/${subject}`;
