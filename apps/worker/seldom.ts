import { type Clock, systemClock } from '#core';

/** For what is done once in `everyMs` milliseconds: answers the time when it is due, and undefined in between. Due at first. */
export function seldom(everyMs: number, clock: Clock = systemClock): () => number | undefined {
  let last = Number.NEGATIVE_INFINITY;
  return () => {
    const now = clock.now().getTime();
    if (now - last < everyMs) return undefined;
    last = now;
    return now;
  };
}
