import { type Lease, LONGEST_LEASE } from '#contract';

/** What a cache itself allows one data key. */
export interface HoldLimits {
  readonly maxAgeMs: number;
  readonly maxUses: number;
  readonly maxBytes: number;
}

/**
 * How a data key may still be used: the shortest of the tenant's lease and the cache's own limits, from before it was asked for. The
 * first use is free of both, whatever its size: without it nothing could be encrypted at all.
 */
export class HeldLease {
  readonly until: number;
  #usesLeft: number;
  #bytesLeft: number;
  #used = false;

  constructor(askedAt: number, limits: HoldLimits, { maxAgeSeconds, maxUses, maxBytes }: Lease = LONGEST_LEASE) {
    this.until = askedAt + Math.min(limits.maxAgeMs, maxAgeSeconds * 1000);
    this.#usesLeft = Math.min(limits.maxUses, maxUses ?? Number.POSITIVE_INFINITY);
    this.#bytesLeft = Math.min(limits.maxBytes, maxBytes ?? Number.POSITIVE_INFINITY);
  }

  /** Counts one more use; false when there is none left. */
  spend(bytes: number): boolean {
    if (this.#used && (Date.now() >= this.until || this.#usesLeft < 1 || this.#bytesLeft < bytes)) return false;
    this.#used = true;
    this.#usesLeft -= 1;
    this.#bytesLeft -= bytes;
    return true;
  }
}
