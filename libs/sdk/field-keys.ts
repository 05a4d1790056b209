import type { FieldKey } from './field-key.js';
import { InvalidCall } from './errors.js';

export interface FieldLimits {
  /** A data key is used no longer than this, 300,000 at most. It also bounds how long a stop leaves this process able to work. */
  readonly maxAgeMs: number;
  /** Fields and bytes that one data key encrypts at most. */
  readonly maxFields: number;
  readonly maxBytes: number;
  /** Data keys held at once. */
  readonly capacity: number;
}
export const DEFAULT_FIELD_LIMITS: FieldLimits = { maxAgeMs: 60_000, maxFields: 1_000_000, maxBytes: 1024 ** 3, capacity: 1_000 };

interface Held {
  readonly tenant: string;
  readonly key: FieldKey;
  readonly until: number;
  fieldsLeft: number;
  bytesLeft: number;
}

/**
 * Data keys of fields, by name, oldest use first. Each is wiped when its time or its use is over, or something pushes it out; all of a
 * tenant when told to. Whoever asks for a key that is being fetched waits for that one.
 */
export class FieldKeys {
  readonly #held = new Map<string, Held>();
  /** What a wipe takes out of here is wiped when it comes, and who waits for it asks again. */
  readonly #fetching = new Map<string, { readonly tenant: string; readonly loading: Promise<Held> }>();
  #sweep: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(private readonly limits: FieldLimits) {}

  /** A key for `bytes` more; undefined if none is held that may still be used. */
  take(name: string, bytes: number): FieldKey | undefined {
    const held = this.#held.get(name);
    if (held === undefined) return undefined;
    if (Date.now() >= held.until || held.fieldsLeft < 1 || held.bytesLeft < bytes) {
      this.#remove(name);
      return undefined;
    }
    this.#held.delete(name);
    this.#held.set(name, held); // now the youngest use
    return spend(held, bytes);
  }

  /** Fetched once, for everybody who waits for this name. */
  async fetch(name: string, tenant: string, bytes: number, load: () => Promise<FieldKey>): Promise<FieldKey> {
    this.#requireOpen();
    const held = await (this.#fetching.get(name)?.loading ?? this.#load(name, tenant, load));
    this.#requireOpen();
    return spend(held, bytes);
  }

  /** Of one tenant, or of all. */
  wipe(tenant?: string): void {
    const isMeant = (one: { readonly tenant: string }) => tenant === undefined || one.tenant === tenant;
    for (const [name, fetching] of this.#fetching) if (isMeant(fetching)) this.#fetching.delete(name);
    for (const [name, held] of this.#held) if (isMeant(held)) this.#remove(name);
  }

  /** Wipes, and holds none ever again. */
  close(): void {
    this.#closed = true;
    this.wipe();
    clearTimeout(this.#sweep);
  }

  #load(name: string, tenant: string, load: () => Promise<FieldKey>): Promise<Held> {
    // The time of a key begins before it was asked for.
    const until = Date.now() + this.limits.maxAgeMs;
    const loading: Promise<Held> = load().then((key) => {
      const held = { tenant, key, until, fieldsLeft: this.limits.maxFields, bytesLeft: this.limits.maxBytes };
      if (this.#fetching.get(name)?.loading === loading) this.#keep(name, held);
      else key.wipe();
      return held;
    });
    this.#fetching.set(name, { tenant, loading });
    const done = () => {
      if (this.#fetching.get(name)?.loading === loading) this.#fetching.delete(name);
    };
    loading.then(done, done);
    return loading;
  }

  #keep(name: string, held: Held): void {
    this.#remove(name);
    this.#held.set(name, held);
    const oldest = this.#held.keys().next();
    if (this.#held.size > this.limits.capacity && !oldest.done) this.#remove(oldest.value);
    // Unreferenced: a held key must not keep the process alive.
    this.#sweep ??= setTimeout(() => this.#wipeExpired(), this.limits.maxAgeMs).unref();
  }

  #wipeExpired(): void {
    const now = Date.now();
    for (const [name, { until }] of this.#held) if (until <= now) this.#remove(name);
    const next = Math.min(...[...this.#held.values()].map(({ until }) => until - now));
    this.#sweep = Number.isFinite(next) ? setTimeout(() => this.#wipeExpired(), next).unref() : undefined;
  }

  #remove(name: string): void {
    this.#held.get(name)?.key.wipe();
    this.#held.delete(name);
  }

  #requireOpen(): void {
    if (this.#closed) throw new InvalidCall('This Fields is closed.', { code: 'invalid-request' });
  }
}

function spend(held: Held, bytes: number): FieldKey {
  held.fieldsLeft -= 1;
  held.bytesLeft -= bytes;
  return held.key;
}
