import { InvalidCall, KeywardError } from '../errors.js';
import { Sweep } from '../sweep.js';

/** How long values stay in this process. */
export interface SecretsCache {
  /** So long a value is served from memory, in ms; 0: never. Default 60,000. */
  readonly ttlMs: number;
  /** A value that is read when it is older than this is fetched anew meanwhile, in ms. Default: three quarters of `ttlMs`. */
  readonly refreshAfterMs: number;
  /** So much longer it is served while Keyward does not answer, in ms; a refusal ends it at once. Default 0. */
  readonly staleWhileUnavailableMs: number;
  /** Values held at once. Default 1000. */
  readonly maxEntries: number;
}

const DEFAULT_TTL_MS = 60_000;
const DEFAULT_ENTRIES = 1000;

/** @throws InvalidCall for a time or a number that is none */
export function cacheOf(given: Partial<SecretsCache>): SecretsCache {
  const ttlMs = given.ttlMs ?? DEFAULT_TTL_MS;
  const cache = {
    ttlMs,
    refreshAfterMs: given.refreshAfterMs ?? ttlMs * 0.75,
    staleWhileUnavailableMs: given.staleWhileUnavailableMs ?? 0,
    maxEntries: given.maxEntries ?? DEFAULT_ENTRIES,
  };
  for (const [name, value] of Object.entries(cache))
    if (!Number.isFinite(value) || value < 0)
      throw new InvalidCall(`${name} must be a number that is not negative.`, { code: 'invalid-request' });
  return cache;
}

/** A secret's value in memory. */
export interface HeldValue {
  readonly value: Uint8Array;
}

interface Held<Value extends HeldValue> {
  readonly tenant: string;
  readonly value: Value;
  /** From before it was asked for. */
  readonly askedAt: number;
}

/** Values of secrets by name, oldest use first; each is wiped when its time is over, it is replaced, or its tenant's rules have changed. */
export class HeldSecrets<Value extends HeldValue> {
  readonly #held = new Map<string, Held<Value>>();
  readonly #fetching = new Map<string, Promise<Value>>();
  readonly #sweep = new Sweep((now) => this.#wipeExpired(now));
  /** What was asked for before a wipe is not kept when it comes. */
  #wipes = 0;

  constructor(private readonly limits: SecretsCache) {}

  /** A copy of the value: held, or from `load`. @throws what `load` throws, unless what is held may still be served */
  async get(name: string, tenant: string, load: () => Promise<Value>): Promise<Value> {
    const held = this.fresh(name);
    if (held !== undefined) {
      if (this.#ageOf(name) >= this.limits.refreshAfterMs) this.#fetch(name, tenant, load).catch(() => undefined);
      return held;
    }
    try {
      return copied(await this.#fetch(name, tenant, load));
    } catch (error) {
      const stale = this.#held.get(name);
      if (stale === undefined || this.#ageOf(name) >= this.#longest) throw error;
      return copied(stale.value);
    }
  }

  /** A copy of what is held and in its time. */
  fresh(name: string): Value | undefined {
    const held = this.#held.get(name);
    if (held === undefined || this.#ageOf(name) >= this.limits.ttlMs) return undefined;
    this.#held.delete(name);
    this.#held.set(name, held); // now the youngest use
    return copied(held.value);
  }

  /** To be called before values are asked for: what it answers takes them when they come. */
  asking(tenant: string): { came(name: string, value: Value): void; failed(name: string, error: unknown): void } {
    const askedAt = Date.now();
    const wipes = this.#wipes;
    return {
      came: (name, value) => {
        if (wipes === this.#wipes && this.#longest > 0) this.#keep(name, { tenant, value: copied(value), askedAt });
      },
      failed: (name, error) => {
        // Nobody answered: that says nothing about the value. Everything else does.
        if (!(error instanceof KeywardError) || !error.retryable) this.#remove(name);
      },
    };
  }

  /** Of one tenant, or of all. */
  wipe(tenant?: string): void {
    this.#wipes++;
    this.#fetching.clear();
    for (const [name, held] of this.#held) if (tenant === undefined || held.tenant === tenant) this.#remove(name);
  }

  close(): void {
    this.wipe();
    this.#sweep.stop();
  }

  get #longest(): number {
    return this.limits.ttlMs === 0 ? 0 : this.limits.ttlMs + this.limits.staleWhileUnavailableMs;
  }

  #ageOf(name: string): number {
    return Date.now() - (this.#held.get(name)?.askedAt ?? 0);
  }

  /** Once for everybody who waits for this name. */
  #fetch(name: string, tenant: string, load: () => Promise<Value>): Promise<Value> {
    const under = this.#fetching.get(name);
    if (under !== undefined) return under;
    const asking = this.asking(tenant);
    const loading = load().then(
      (value) => {
        asking.came(name, value);
        return value;
      },
      (error: unknown) => {
        asking.failed(name, error);
        throw error;
      },
    );
    this.#fetching.set(name, loading);
    const done = () => {
      if (this.#fetching.get(name) === loading) this.#fetching.delete(name);
    };
    loading.then(done, done);
    return loading;
  }

  #keep(name: string, held: Held<Value>): void {
    this.#remove(name);
    this.#held.set(name, held);
    const oldest = this.#held.keys().next();
    if (this.#held.size > this.limits.maxEntries && !oldest.done) this.#remove(oldest.value);
    this.#sweep.by(held.askedAt + this.#longest);
  }

  #wipeExpired(now: number): number {
    for (const [name, { askedAt }] of this.#held) if (askedAt + this.#longest <= now) this.#remove(name);
    return Math.min(...[...this.#held.values()].map(({ askedAt }) => askedAt + this.#longest));
  }

  #remove(name: string): void {
    this.#held.get(name)?.value.value.fill(0);
    this.#held.delete(name);
  }
}

const copied = <Value extends HeldValue>(value: Value): Value => ({ ...value, value: Uint8Array.from(value.value) });
