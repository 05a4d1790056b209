import type { Lease, RecordedLease } from '#contract';
import type { RecordDetails } from './record.js';

/** What the record keeps of a lease that begins now: whoever counts from before asking does not pass it. */
export const leased = (details: RecordDetails, { maxAgeSeconds, ...most }: Lease, now: number): RecordDetails => {
  const lease: RecordedLease = { until: new Date(now + maxAgeSeconds * 1000).toISOString(), ...most };
  return { ...details, crypto: { ...details.crypto, lease } };
};
