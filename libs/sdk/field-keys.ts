import type { Lease } from '#contract';
import type { FieldKey } from './field-key.js';
import { InvalidCall } from './errors.js';
import { HeldLease } from './held-lease.js';
import { Sweep } from './sweep.js';

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
  readonly lease: HeldLease;
}

/** A key as it came, and how long it may be held. */
export interface LeasedFieldKey {
  readonly key: FieldKey;
  readonly lease: Lease | undefined;
}

/**
 * Data keys of fields, by name, oldest use first. Each is wiped when its time or its use is over, or something pushes it out; all of a
 * tenant when told to. Whoever asks for a key that is being fetched waits for that one.
 */
export class FieldKeys {
  readonly #held = new Map<string, Held>();
  /** What a wipe takes out of here is wiped when it comes, and who waits for it asks again. */
  readonly #fetching = new Map<string, { readonly tenant: string; readonly loading: Promise<Held> }>();
  readonly #sweep = new Sweep((now) => this.#wipeExpired(now));
  #closed = false;

  constructor(private readonly limits: FieldLimits) {}

  /** A key for `bytes` more; undefined if none is held that may still be used. */
  take(name: string, bytes: number): FieldKey | undefined {
    const held = this.#held.get(name);
    if (held === undefined) return undefined;
    if (!held.lease.spend(bytes)) {
      this.#remove(name);
      return undefined;
    }
    this.#held.delete(name);
    this.#held.set(name, held); // now the youngest use
    return held.key;
  }

  /** Fetched once, for everybody who waits for this name and whom its lease still serves: the others wait for the next. */
  async fetch(name: string, tenant: string, bytes: number, load: () => Promise<LeasedFieldKey>): Promise<FieldKey> {
    for (;;) {
      this.#requireOpen();
      const held = await (this.#fetching.get(name)?.loading ?? this.#load(name, tenant, load));
      this.#requireOpen();
      if (held.lease.spend(bytes)) return held.key;
    }
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
    this.#sweep.stop();
  }

  #load(name: string, tenant: string, load: () => Promise<LeasedFieldKey>): Promise<Held> {
    // The time of a key begins before it was asked for.
    const askedAt = Date.now();
    const { maxAgeMs, maxFields, maxBytes } = this.limits;
    const loading: Promise<Held> = load().then(({ key, lease }) => {
      const held = { tenant, key, lease: new HeldLease(askedAt, { maxAgeMs, maxUses: maxFields, maxBytes }, lease) };
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
    this.#sweep.by(held.lease.until);
  }

  /** Answers when the next one's time is over. */
  #wipeExpired(now: number): number {
    for (const [name, { lease }] of this.#held) if (lease.until <= now) this.#remove(name);
    return Math.min(...this.#held.values().map(({ lease }) => lease.until));
  }

  #remove(name: string): void {
    this.#held.get(name)?.key.wipe();
    this.#held.delete(name);
  }

  #requireOpen(): void {
    if (this.#closed) throw new InvalidCall('This Fields is closed.', { code: 'invalid-request' });
  }
}
