import { setTimeout as sleep } from 'node:timers/promises';
import { PLATFORM, QUOTAS, type RateQuota, type TenantId } from '#contract';
import { type Call, KeywardError, type RateClass, type RateLimitsOfTenant, type RateQuotaReads } from '#core';

const LOOK_EVERY_MS = 5000;

type CountedClass = Exclude<RateClass, 'stop'>;

/** Of one class: everybody's windows begin at the same time, and what was counted is forgotten as a whole. */
interface Window {
  readonly quota: RateQuota;
  readonly seconds: number;
  endsAt: number;
  readonly used: Map<TenantId, number>;
}
const aWindow = (quota: RateQuota, seconds: number): Window => ({ quota, seconds, endsAt: 0, used: new Map() });

type Caller = Pick<Call, 'principal' | 'tenant'>;
const countedFor = ({ principal, tenant }: Caller): TenantId => (principal.role === 'service' ? tenant : principal.tenant);

/**
 * The operator's quotas of calls, of all callers of a tenant together, at this plane. A service's call counts for the tenant that it asks
 * for, a person's for the own one; stops and the platform's own are not counted. What an operator changes counts from the next look on.
 */
export class TenantRates {
  readonly #windows: Readonly<Record<CountedClass, Window>> = {
    use: aWindow('useRate', 1),
    manage: aWindow('manageRate', 10),
    read: aWindow('readRate', 10),
  };
  readonly #closing = new AbortController();
  #limits: ReadonlyMap<TenantId, RateLimitsOfTenant> = new Map();

  constructor(private readonly now: () => number = () => performance.now()) {}

  /** Counts one call. @throws KeywardError too-many-requests, which names the quota and its limit; what is refused is not counted */
  admit(rateClass: CountedClass, call: Caller): void {
    const window = this.#windows[rateClass];
    this.#roll(window);
    const tenant = countedFor(call);
    const limit = this.#limitOf(tenant, window);
    const over = (window.used.get(tenant) ?? 0) - limit * window.seconds;
    if (tenant !== PLATFORM && over >= 0) {
      const windows = Math.floor(over / (limit * window.seconds));
      const retryAfterSeconds = Math.max(1, Math.ceil((window.endsAt - this.now()) / 1000) + windows * window.seconds);
      throw new KeywardError('too-many-requests', `The quota \`${window.quota}\` of this tenant is ${limit}.`, { retryAfterSeconds });
    }
    this.count(rateClass, call, 1);
  }

  /** More that an admitted request carries: what goes beyond the limit is owed in the next windows. */
  count(rateClass: CountedClass, call: Caller, calls: number): void {
    const { used } = this.#windows[rateClass];
    const tenant = countedFor(call);
    used.set(tenant, (used.get(tenant) ?? 0) + calls);
  }

  #limitOf(tenant: TenantId, { quota }: Window): number {
    return this.#limits.get(tenant)?.[quota] ?? QUOTAS[quota].standard;
  }

  #roll(window: Window): void {
    const now = this.now();
    if (now < window.endsAt) return;
    const past = 1 + Math.floor((now - window.endsAt) / (window.seconds * 1000));
    for (const [tenant, used] of window.used) {
      const owed = used - past * this.#limitOf(tenant, window) * window.seconds;
      if (owed > 0) window.used.set(tenant, owed);
      else window.used.delete(tenant);
    }
    window.endsAt = now + window.seconds * 1000;
  }

  /** Looks at once, and then again and again, until it is closed. What cannot be read stays as it was. */
  follow(reads: RateQuotaReads, onFailure: (error: unknown) => void): void {
    void this.#follow(reads, onFailure);
  }

  close(): void {
    this.#closing.abort();
  }

  async #follow(reads: RateQuotaReads, onFailure: (error: unknown) => void): Promise<void> {
    const { signal } = this.#closing;
    for (let failing = false; !signal.aborted; ) {
      try {
        this.#limits = await reads.rateQuotas();
        failing = false;
      } catch (error) {
        if (!failing) onFailure(error);
        failing = true;
      }
      await sleep(LOOK_EVERY_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }
}
