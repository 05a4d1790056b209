import type { Lease } from '#contract';
import { errorOf, InvalidCall } from './errors.js';
import { HeldLease, type HoldLimits } from './held-lease.js';
import { Sweep } from './sweep.js';

/** Key material in this process. */
export interface Wipeable {
  readonly isWiped: boolean;
  wipe(): void;
}

/** A key as it came, and how long it may be held. */
export interface Leased<Key extends Wipeable> {
  readonly key: Key;
  readonly lease: Lease | undefined;
}

/** Which key is wanted, how much of it, and where it comes from if it is not held. */
export interface KeyWanted<Key extends Wipeable> {
  readonly name: string;
  readonly tenant: string;
  readonly bytes: number;
  readonly load: () => Promise<Leased<Key>>;
}

interface Held<Key extends Wipeable> {
  readonly tenant: string;
  readonly key: Key;
  readonly lease: HeldLease;
}

const ATTEMPTS = 3;

/**
 * Data keys, by name, oldest use first. Each is wiped when its time or its use is over, or something pushes it out; all of a
 * tenant when told to. Whoever asks for a key that is being fetched waits for that one.
 */
export class HeldKeys<Key extends Wipeable> {
  readonly #held = new Map<string, Held<Key>>();
  /** What a wipe takes out of here is wiped when it comes, and who waits for it asks again. */
  readonly #fetching = new Map<string, { readonly tenant: string; readonly loading: Promise<Held<Key>> }>();
  readonly #sweep = new Sweep((now) => this.#wipeExpired(now));
  #closed = false;

  constructor(
    private readonly limits: HoldLimits,
    /** Held at once. */
    private readonly capacity: number,
  ) {}

  /**
   * Uses the key, held or fetched. Between its arrival and its use it may be wiped, by a stop or by others that are more: then it is asked
   * for again.
   */
  async use<Answer>(wanted: KeyWanted<Key>, use: (key: Key) => Answer): Promise<Answer> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const key = this.#take(wanted) ?? (await this.#fetch(wanted));
      if (!key.isWiped) return use(key);
    }
    throw errorOf('Data keys were wiped before they could be used.', { code: 'unavailable', retryable: true });
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

  /** One that is held and may still be used. */
  #take({ name, bytes }: KeyWanted<Key>): Key | undefined {
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
  async #fetch(wanted: KeyWanted<Key>): Promise<Key> {
    for (;;) {
      this.#requireOpen();
      const held = await (this.#fetching.get(wanted.name)?.loading ?? this.#load(wanted));
      this.#requireOpen();
      if (held.lease.spend(wanted.bytes)) return held.key;
    }
  }

  #load({ name, tenant, load }: KeyWanted<Key>): Promise<Held<Key>> {
    // The time of a key begins before it was asked for.
    const askedAt = Date.now();
    const loading: Promise<Held<Key>> = load().then(({ key, lease }) => {
      const held = { tenant, key, lease: new HeldLease(askedAt, this.limits, lease) };
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

  #keep(name: string, held: Held<Key>): void {
    this.#remove(name);
    this.#held.set(name, held);
    const oldest = this.#held.keys().next();
    if (this.#held.size > this.capacity && !oldest.done) this.#remove(oldest.value);
    this.#sweep.by(held.lease.until);
  }

  /** Answers when the next one's time is over. */
  #wipeExpired(now: number): number {
    for (const [name, { lease }] of this.#held) if (lease.until <= now) this.#remove(name);
    return Math.min(...[...this.#held.values()].map(({ lease }) => lease.until));
  }

  #remove(name: string): void {
    this.#held.get(name)?.key.wipe();
    this.#held.delete(name);
  }

  #requireOpen(): void {
    if (this.#closed) throw new InvalidCall('This is closed.', { code: 'invalid-request' });
  }
}
