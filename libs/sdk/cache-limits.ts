import { LONGEST_DATA_KEY_LEASE_MS } from '#contract';

/** @throws RangeError for a data key that would be held longer than a stop's receipt promises, or not at all */
export function requireLease(maxAgeMs: number, capacity: number): void {
  if (!(maxAgeMs <= LONGEST_DATA_KEY_LEASE_MS))
    throw new RangeError(
      `cache.maxAgeMs must be at most ${LONGEST_DATA_KEY_LEASE_MS}: a stop's receipt promises that no data key is held longer.`,
    );
  if (!(capacity >= 1)) throw new RangeError('cache.capacity must be at least 1.');
}
