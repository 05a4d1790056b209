import { setTimeout as sleep } from 'node:timers/promises';
import type { SinkTarget, TenantId } from '#contract';
import { type ClaimedSink, type Clock, type Deliveries, type SinkOpening, systemClock, type Trail, workerRecord } from '#core';
import { type Batch, DeliveryFailed, type Destination, failureOf, type Sender, type Senders } from './sender.js';

/** Sinks under way at once, of all tenants. */
const AT_ONCE = 64;
/** As many as it may have sinks. A turn whose sink was changed meanwhile still waits for its receiver: changes in a row must not take all places. */
const AT_ONCE_OF_A_TENANT = 10;
/** A sink that is far behind gives its place to others after this. */
const TURN_MS = 15_000;
/** After the n-th failure in a row, but for the jitter; the last one again and again. */
const PAUSES_MS = [5, 30, 120, 300, 900, 1800, 3600, 7200, 14_400, 21_600].map((seconds) => 1000 * seconds);
/** Less than a process has to drain. */
const PATIENCE_MS = 5000;
const GIVE_UP_AFTER_MS = 5 * 86_400_000;

export interface DeliveryParts {
  readonly deliveries: Deliveries;
  readonly senders: Senders;
  readonly opening: SinkOpening;
  readonly trail: Trail;
  readonly log: { info(fields: object, message: string): void; error(fields: object, message: string): void };
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly pausesMs?: readonly number[];
  readonly giveUpAfterMs?: number;
}

/**
 * Brings records to sinks: in the order of the log, at least once, none before it is signed. The position in the database is the only
 * truth; what is done here may be done again. A sink that fails, hangs or is slow costs nobody but itself.
 */
export class DeliveryRounds {
  readonly #underWay = new Map<Promise<void>, TenantId>();
  readonly #clock: Clock;
  #stopped = false;

  constructor(private readonly parts: DeliveryParts) {
    this.#clock = parts.clock ?? systemClock;
  }

  /** Starts what is due; waits for no receiver. @throws KeywardError unavailable */
  async round(): Promise<void> {
    const free = AT_ONCE - this.#underWay.size;
    if (free === 0 || this.#stopped) return;
    for (const sink of await this.parts.deliveries.claim(free)) {
      const full = [...this.#underWay.values()].filter((tenant) => tenant === sink.tenant).length >= AT_ONCE_OF_A_TENANT;
      const turn = (full ? this.#giveBack(sink) : this.#turn(sink)).finally(() => this.#underWay.delete(turn));
      this.#underWay.set(turn, sink.tenant);
    }
  }

  /** Lets the steps that are under way end, if they do so soon; else their leases will. */
  async close(): Promise<void> {
    this.#stopped = true;
    const enough = new AbortController();
    await Promise.race([
      Promise.all(this.#underWay.keys()),
      sleep(PATIENCE_MS, undefined, { signal: enough.signal }).catch(() => undefined),
    ]);
    enough.abort();
  }

  async #turn(sink: ClaimedSink): Promise<void> {
    const opened: Opened = {};
    try {
      // One step a lease lasts: what waits is delivered in the next turn.
      if (sink.testRequested) await this.#test(sink, opened);
      else await this.#deliver(sink, opened);
    } catch (err) {
      this.#left(sink, err);
    } finally {
      opened.plain?.fill(0);
    }
  }

  async #giveBack(sink: ClaimedSink): Promise<void> {
    await this.parts.deliveries.release(sink, undefined).catch((err: unknown) => this.#left(sink, err));
  }

  /** The lease ends by itself; then it is tried again, here or elsewhere. */
  #left({ tenant, sinkId }: ClaimedSink, err: unknown): void {
    this.parts.log.error({ err, tenant, sinkId }, 'a delivery had to be left');
  }

  async #test(sink: ClaimedSink, opened: Opened): Promise<void> {
    const failure = await failureIn(async () => {
      const to = await this.#destination(sink, opened);
      await this.#sender(to).test(to);
    });
    await this.parts.deliveries.tested(sink, failure?.error);
    await this.parts.deliveries.release(sink, undefined);
  }

  async #deliver(sink: ClaimedSink, opened: Opened): Promise<void> {
    const { deliveries } = this.parts;
    const until = this.#clock.now().getTime() + TURN_MS;
    let restMs = 0;
    let [next, failures, since] = [sink.nextSeq, sink.failures, sink.failingSince];
    while (next < sink.signed.size && this.#clock.now().getTime() < until && !this.#stopped) {
      const failure = await failureIn(async () => {
        const to = await this.#destination(sink, opened);
        const sender = this.#sender(to);
        restMs = sender.restMs;
        next = await sender.deliver(to, { from: next, read: this.#reader(sink) });
      });
      if (failure !== undefined) return await this.#fail(sink, { ...failure, next, failures, since });
      if (!(await deliveries.advance(sink, next))) return;
      [failures, since] = [0, undefined];
    }
    await deliveries.release(sink, next < sink.signed.size ? 0 : restMs);
  }

  async #fail(sink: ClaimedSink, { error, forGood, next, failures, since }: Failed): Promise<void> {
    const { deliveries, trail, log, random = Math.random, pausesMs = PAUSES_MS, giveUpAfterMs = GIVE_UP_AFTER_MS } = this.parts;
    const now = this.#clock.now().getTime();
    const disable = forGood || (since !== undefined && now - since.getTime() > giveUpAfterMs);
    log.info({ tenant: sink.tenant, sinkId: sink.sinkId, error, failures: failures + 1, disable }, 'a delivery failed');
    if (disable) {
      const { tenant, epochs, sinkId } = sink;
      const change = { sinkId, nextSeq: next, failures: failures + 1, error };
      const body = workerRecord(sink.log.logId, now, { op: 'SinkDisabled', category: 'management', change });
      const { verdict } = await trail.append({ tenant, epochs, validUntil: undefined, body });
      // A rule changed since it was claimed: the next attempt knows the new epoch.
      if (verdict !== 'durable') return await deliveries.release(sink, 0, { error, disable: false });
    }
    const pause = pausesMs[Math.min(failures, pausesMs.length - 1)] ?? 0;
    await deliveries.release(sink, pause * (0.8 + 0.4 * random()), { error, disable });
  }

  /** Opened once a turn, and wiped behind it. @throws DeliveryFailed for what cannot be read, or was sealed with another key */
  async #destination(sink: ClaimedSink, opened: Opened): Promise<Destination<SinkTarget['type']>> {
    const { target } = sink;
    if (target === undefined) throw new DeliveryFailed('its target cannot be read any more: give it again');
    if (sink.sealed !== undefined && opened.plain === undefined)
      opened.plain = await this.parts.opening.open(sink.tenant, sink.sinkId, sink.sealed).catch((err: unknown) => {
        this.parts.log.error({ err, tenant: sink.tenant, sinkId: sink.sinkId }, 'what a sink is opened with cannot be read');
        throw new DeliveryFailed('what it is opened with cannot be read any more: make it anew');
      });
    return { sink, target, plain: opened.plain };
  }

  #reader(sink: ClaimedSink): Batch['read'] {
    return async (from, most) => {
      const records = await this.parts.deliveries.records(sink, from, most);
      const gap = records.findIndex(({ seq }, at) => seq !== from + at);
      const whole = gap < 0 ? records : records.slice(0, gap);
      if (whole.length === 0) throw new DeliveryFailed(`record ${from} is missing from the log`);
      return whole;
    };
  }

  /** Its type says which. */
  #sender({ target }: Destination<SinkTarget['type']>): Sender<SinkTarget['type']> {
    return this.parts.senders[target.type] as Sender<SinkTarget['type']>;
  }
}

interface Opened {
  plain?: Uint8Array;
}

interface Failed {
  readonly error: string;
  readonly forGood: boolean;
  readonly next: number;
  readonly failures: number;
  readonly since: Date | undefined;
}

/** What the receiver is to blame for; everything else is thrown on. */
async function failureIn(work: () => Promise<void>): Promise<Pick<Failed, 'error' | 'forGood'> | undefined> {
  try {
    await work();
    return undefined;
  } catch (caught) {
    const error = failureOf(caught);
    if (error === undefined) throw caught;
    return { error, forGood: caught instanceof DeliveryFailed && caught.forGood };
  }
}
