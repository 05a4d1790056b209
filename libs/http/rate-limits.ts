import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { CredentialId } from '#contract';
import type { RateClass } from '#core';
import { TenantRates } from './tenant-rates.js';
import { Turns } from './turns.js';

/**
 * Calls that a credential may make within so many seconds. Far above what one plane can serve of `use`: this stops loops, it is no quota
 * (tenant-rates.ts).
 * Stops are not counted: who may stop is never told to come back later, whatever else it did (turns.ts).
 */
export const RATE_LIMITS = {
  use: { points: 100_000, duration: 1 },
  manage: { points: 3000, duration: 10 },
  read: { points: 6000, duration: 10 },
} as const satisfies Limits;

/** Failed authentications of one address with one credential: a proxy's address is that of all its clients, and one must not lock out the others. */
export const FAILURE_LIMIT = { points: 100, duration: 10 } as const;

/** Of one tenant: more wait behind each other, so that a tenant's flood fills neither the custodian's queue nor the trail's. */
const BATCHES_AT_ONCE = 8;
/** Of one more than these counts as several: two of 500 keep a plane and its HSM busy, and more only make other tenants wait. */
const ITEMS_OF_A_BATCH = 125;
export const batchWeight = (items: number): number => Math.ceil(items / ITEMS_OF_A_BATCH);
const CALLS_AT_ONCE = 512;
const CALLS_WAITING = 4096;
/** While other tenants call too, so many more than they have under way: a storm of one adds as much to their waiting as so many calls do. */
const CALLS_BESIDE = 8;
const BATCHES_BESIDE = 4;

type CountedClass = Exclude<RateClass, 'stop'>;
type Limits = { readonly [Name in CountedClass]: { readonly points: number; readonly duration: number } };

/** What a caller has left of its class, and the seconds to wait if that is less than nothing. */
export interface Spent {
  readonly wait: number | undefined;
  /** Fields of draft-ietf-httpapi-ratelimit-headers-10, as they go on the wire. */
  readonly headers: { readonly ratelimit: string; readonly 'ratelimit-policy': string };
}

/** Tells whether a caller must wait: seconds, or undefined when it may go on. */
export class RateLimits {
  readonly stops = new Turns();
  readonly batches = new Turns({ atOnce: BATCHES_AT_ONCE, beside: BATCHES_BESIDE });
  readonly calls: Turns;
  readonly tenants = new TenantRates();
  readonly #classes: Readonly<Record<CountedClass, RateLimiterMemory>>;
  readonly #failures = new RateLimiterMemory(FAILURE_LIMIT);

  constructor({ use, manage, read }: Limits = RATE_LIMITS, callsAtOnce = CALLS_AT_ONCE) {
    this.calls = new Turns({ atOnce: callsAtOnce, waiting: CALLS_WAITING, beside: CALLS_BESIDE });
    this.#classes = {
      use: new RateLimiterMemory(use),
      manage: new RateLimiterMemory(manage),
      read: new RateLimiterMemory(read),
    };
  }

  /** Counts one call, or as many as a request carries. */
  async spend(rateClass: CountedClass, credentialId: CredentialId, calls = 1): Promise<Spent> {
    const limiter = this.#classes[rateClass];
    const { spent, isOver } = await consume(limiter, credentialId, calls);
    const reset = seconds(spent);
    return {
      wait: isOver ? reset : undefined,
      headers: {
        ratelimit: `"${rateClass}";r=${Math.max(0, spent.remainingPoints)};t=${reset}`,
        'ratelimit-policy': `"${rateClass}";q=${limiter.points};w=${limiter.duration}`,
      },
    };
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

async function consume(limiter: RateLimiterMemory, key: string, points = 1): Promise<{ spent: RateLimiterRes; isOver: boolean }> {
  try {
    return { spent: await limiter.consume(key, points), isOver: false };
  } catch (refusal) {
    if (!(refusal instanceof RateLimiterRes)) throw refusal;
    return { spent: refusal, isOver: true };
  }
}

const seconds = ({ msBeforeNext }: RateLimiterRes): number => Math.max(1, Math.ceil(msBeforeNext / 1000));
