import { setTimeout as sleep } from 'node:timers/promises';
import { PLATFORM, type TenantId } from '#contract';
import { KeywardError } from './errors.js';
import type { EpochReads } from './ports/epochs.js';
import type { Epochs } from './ports/rules.js';

const LOOK_EVERY_MS = 250;
const ALIVE_EVERY_MS = 2000;
/** Of one process: each costs a connection. */
const MOST_LISTENERS = 10_000;

/** Lines of an event stream (HTML, server-sent events). `changed` says nothing more: who needs to know asks, and is decided on. */
const LINES = {
  alive: Buffer.from(': alive\n\n'),
  changed: Buffer.from('event: changed\ndata: {}\n\n'),
} as const;
type Event = keyof typeof LINES | 'end';

/**
 * Tells services at once that rules of a tenant have changed, so that they wipe the data keys they hold. A courtesy to honest SDKs, no part
 * of the fence. It speaks only while it can read the database: silence means that nobody knows.
 */
export class RuleWatch {
  readonly #listeners = new Set<Listener>();
  #looking = false;
  #closed = false;

  constructor(
    private readonly reads: EpochReads,
    private readonly lookEveryMs: number = LOOK_EVERY_MS,
  ) {}

  /**
   * Changes from `since` on. `named`: does some grant of the tenant name this service? `mayHear` asks at every change; whom it names neither before nor after
   * does not learn of it, so that nobody can tell a foreign tenant from none.
   * @throws KeywardError unavailable when too many listen
   */
  events(tenant: TenantId, since: Epochs, named: boolean, mayHear: () => Promise<boolean>): AsyncIterable<Uint8Array> {
    if (this.#closed || this.#listeners.size >= MOST_LISTENERS) throw new KeywardError('unavailable', '', { reason: 'too many listen' });
    return this.#stream(new Listener(tenant, since, named, mayHear));
  }

  /** Ends every stream: the listeners go to another replica. */
  close(): void {
    this.#closed = true;
    for (const listener of this.#listeners) listener.tell('end');
  }

  async *#stream(listener: Listener): AsyncGenerator<Uint8Array> {
    this.#listeners.add(listener);
    if (!this.#looking) void this.#look();
    try {
      yield LINES.alive;
      for (let event = await listener.next(); event !== 'end' && !this.#closed; event = await listener.next()) yield LINES[event];
    } finally {
      this.#listeners.delete(listener);
    }
  }

  async #look(): Promise<void> {
    this.#looking = true;
    while (this.#listeners.size > 0 && !this.#closed) {
      const tenants = new Set([PLATFORM, ...[...this.#listeners].map(({ tenant }) => tenant)]);
      // What cannot be read is not told: the listeners hear the silence.
      const epochs = await this.reads.epochs([...tenants]).catch(() => undefined);
      if (epochs !== undefined) await Promise.all([...this.#listeners].map((listener) => listener.see(epochs)));
      await sleep(this.lookEveryMs);
    }
    this.#looking = false;
  }
}

/** One stream: what it has seen, and what it has not yet been able to say. */
class Listener {
  readonly #waiting: Event[] = [];
  #wake: (() => void) | undefined;
  #told = performance.now();
  #tenantEpoch: string | undefined;
  #platformEpoch: string | undefined;

  constructor(
    readonly tenant: TenantId,
    { tenant: tenantEpoch, platform }: Epochs,
    private named: boolean,
    private readonly mayHear: () => Promise<boolean>,
  ) {
    this.#tenantEpoch = tenantEpoch === '' ? undefined : tenantEpoch;
    this.#platformEpoch = platform === '' ? undefined : platform;
  }

  async see(epochs: ReadonlyMap<string, string>): Promise<void> {
    const platform = epochs.get(PLATFORM);
    this.#platformEpoch ??= platform;
    // Its own credential may be among what changed: whoever still has one comes back.
    if (platform !== this.#platformEpoch) return this.tell('end');
    const tenant = epochs.get(this.tenant);
    if (tenant !== this.#tenantEpoch) await this.#changed(tenant);
    if (performance.now() - this.#told >= ALIVE_EVERY_MS) this.tell('alive');
  }

  tell(event: Event): void {
    this.#told = performance.now();
    if (!this.#waiting.includes(event)) this.#waiting.push(event);
    this.#wake?.();
  }

  async next(): Promise<Event> {
    while (this.#waiting.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.#waiting.shift()!;
  }

  async #changed(epoch: string | undefined): Promise<void> {
    this.#tenantEpoch = epoch;
    const before = this.named;
    try {
      this.named = await this.mayHear();
      if (before || this.named) this.tell('changed');
    } catch {
      this.tell('end');
    }
  }
}
