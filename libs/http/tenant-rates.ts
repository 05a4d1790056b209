import { setTimeout as sleep } from 'node:timers/promises';
import { type CredentialId, type OperationName, PLATFORM, type ProblemCode, QUOTAS, type RateQuota, type TenantId } from '#contract';
import { type Call, KeywardError, OPERATIONS, type RateClass, type RateLimitsOfTenant, type RateQuotaReads, refusalByRole } from '#core';

const LOOK_EVERY_MS = 5000;

type CountedClass = Exclude<RateClass, 'stop'>;

/** What the caller may not call at all is nobody's: else a service spent what the tenant's admins have. */
export const isCounted = (operation: OperationName, call: Call): boolean =>
  refusalByRole(OPERATIONS[operation], call.principal, call) === undefined;

/** Of one class: everybody's windows begin at the same time, and what was counted is forgotten as a whole. */
interface Window {
  readonly quota: RateQuota;
  readonly seconds: number;
  /** Calls that each credential has, whatever others of its tenant do: a loop or a thief keeps nobody from finding what to stop. */
  readonly each: number;
  endsAt: number;
  readonly used: Map<TenantId, number>;
  readonly own: Map<CredentialId, number>;
}
const aWindow = (quota: RateQuota, seconds: number, each: number): Window => ({
  ...{ quota, seconds, each },
  ...{ endsAt: 0, used: new Map(), own: new Map() },
});

/** What a service hears that was granted nothing, or whom nobody can read: it spends the own credential's rate, and not a tenant's. */
const SPARED: ReadonlySet<ProblemCode> = new Set([
  ...(['not-granted', 'not-allowed', 'invalid-request', 'payload-too-large', 'unsupported-media-type'] as const),
]);

type Caller = Pick<Call, 'principal' | 'tenant'>;
const countedFor = ({ principal, tenant }: Caller): TenantId => (principal.role === 'service' ? tenant : principal.tenant);

/**
 * The operator's quotas of calls, of all callers of a tenant together, at this plane. A service's call counts for the tenant that it asks
 * for, unless no grant allows it, and a person's for the own one; stops and the platform's own are not counted. What an operator changes
 * counts from the next look on.
 */
export class TenantRates {
  readonly #windows: Readonly<Record<CountedClass, Window>> = {
    use: aWindow('useRate', 1, 0),
    manage: aWindow('manageRate', 10, 10),
    read: aWindow('readRate', 10, 10),
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
    const own = window.own.get(call.principal.credentialId) ?? 0;
    if (own < window.each) window.own.set(call.principal.credentialId, own + 1);
    else if (tenant !== PLATFORM && over >= 0) {
      const windows = Math.floor(over / (limit * window.seconds));
      const retryAfterSeconds = Math.max(1, Math.ceil((window.endsAt - this.now()) / 1000) + windows * window.seconds);
      throw new KeywardError('too-many-requests', `The quota \`${window.quota}\` of this tenant is ${limit}.`, { retryAfterSeconds });
    }
    if (over < 0) this.count(rateClass, call, 1);
  }

  /** More that an admitted request carries: what goes beyond the limit is owed in the next windows. */
  count(rateClass: CountedClass, call: Caller, calls: number): void {
    const { used } = this.#windows[rateClass];
    const tenant = countedFor(call);
    used.set(tenant, (used.get(tenant) ?? 0) + calls);
  }

  /** Gives back what was counted of a service's calls that ended so. */
  spare(rateClass: RateClass, call: Caller, { code }: KeywardError, calls = 1): void {
    if (rateClass === 'stop' || call.principal.role !== 'service' || !SPARED.has(code)) return;
    const { used } = this.#windows[rateClass];
    used.set(call.tenant, Math.max(0, (used.get(call.tenant) ?? 0) - calls));
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
    window.own.clear();
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
