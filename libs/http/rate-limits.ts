import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { CredentialId } from '#contract';
import type { RateClass } from '#core';
import { Turns } from './turns.js';

/**
 * Calls that a credential may make within so many seconds. Far above what one plane can serve of `use`: this stops loops, it is no quota.
 * Stops are not counted: who may stop is never told to come back later, whatever else it did (turns.ts).
 */
export const RATE_LIMITS = {
  use: { points: 100_000, duration: 1 },
  manage: { points: 3000, duration: 10 },
  read: { points: 6000, duration: 10 },
} as const satisfies Limits;

/** Failed authentications of one address with one credential: a proxy's address is that of all its clients, and one must not lock out the others. */
export const FAILURE_LIMIT = { points: 100, duration: 10 } as const;

/** Of one tenant. */
const BATCHES_AT_ONCE = 8;

type CountedClass = Exclude<RateClass, 'stop'>;
type Limits = { readonly [Name in CountedClass]: { readonly points: number; readonly duration: number } };

/** Tells whether a caller must wait: seconds, or undefined when it may go on. */
export class RateLimits {
  readonly stops = new Turns();
  readonly batches = new Turns(BATCHES_AT_ONCE);
  readonly #classes: Readonly<Record<CountedClass, RateLimiterMemory>>;
  readonly #failures = new RateLimiterMemory(FAILURE_LIMIT);

  constructor({ use, manage, read }: Limits = RATE_LIMITS) {
    this.#classes = {
      use: new RateLimiterMemory(use),
      manage: new RateLimiterMemory(manage),
      read: new RateLimiterMemory(read),
    };
  }

  /** Counts one call, or as many as a request carries. */
  async wait(rateClass: CountedClass, credentialId: CredentialId, calls = 1): Promise<number | undefined> {
    return await consume(this.#classes[rateClass], credentialId, calls);
  }

  /** Counts one failed authentication of this address as that credential, or person. */
  async failed(address: string | undefined, claimed: string): Promise<void> {
    await consume(this.#failures, `${address} ${claimed}`);
  }

  /** Asked before a credential is looked up in the database. */
  async waitAfterFailures(address: string | undefined, claimed: string): Promise<number | undefined> {
    const spent = await this.#failures.get(`${address} ${claimed}`);
    return spent !== null && spent.consumedPoints > FAILURE_LIMIT.points ? seconds(spent) : undefined;
  }
}

async function consume(limiter: RateLimiterMemory, key: string, points = 1): Promise<number | undefined> {
  try {
    await limiter.consume(key, points);
    return undefined;
  } catch (refusal) {
    if (!(refusal instanceof RateLimiterRes)) throw refusal;
    return seconds(refusal);
  }
}

const seconds = ({ msBeforeNext }: RateLimiterRes): number => Math.max(1, Math.ceil(msBeforeNext / 1000));
