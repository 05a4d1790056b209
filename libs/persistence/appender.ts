import { type Appended, type Trail, type TrailEntry, TrailUnavailable } from '#core';
import { isPlainEntry, rejectAll, settle, type Waiting } from './append-batch.js';
import { recordBytes } from './record-bytes.js';
import { AppendConnection } from './append-connection.js';
import type { DatabaseSettings } from './connection.js';

export interface AppenderOptions extends DatabaseSettings {
  /** Operations between arrival and answer, now: a quarter of them is a batch, so that plane, custodian and database are all busy. */
  readonly operationsInFlight?: (() => number) | undefined;
  /** Batches on their way at once. Default 1. */
  readonly connections?: number | undefined;
}

const BATCH = { smallest: 32, largest: 500, shareInFlight: 4 } as const;
const QUEUE_LIMIT = 4096;
/** How long a record waits for a tenant whose head somebody holds. */
const BUSY_LIMIT_MS = 2000;
/** How long a record waits for a connection that is being made. */
const CONNECT_PATIENCE_MS = 250;

/**
 * Natural group commit: while one batch is being committed the next one gathers. No timer, no delay for a lone record. A full one does not
 * wait for the answer: over another connection it is parsed while the one before it is committed, and stands next in line at the head.
 * A batch whose outcome is unknown is never sent again: its records may exist without an answer, never twice.
 */
export class Appender implements Trail {
  readonly #connections: readonly AppendConnection[];
  readonly #flying = new Map<AppendConnection, Promise<void>>();
  #queue: Waiting[] = [];
  #inFlight = 0;
  #scheduled = false;
  #patience: NodeJS.Timeout | undefined;

  constructor(private readonly options: AppenderOptions) {
    this.#connections = Array.from(
      { length: options.connections ?? 1 },
      () => new AppendConnection(options, () => this.#connectionChanged()),
    );
    for (const connection of this.#connections) connection.open();
  }

  /** Resolves once durable or refused. @throws TrailUnavailable when down, full, unknown or malformed */
  async append(entry: TrailEntry): Promise<Appended> {
    this.#mustTake([entry]);
    return await this.#append(entry, entry);
  }

  /** The records are queued together and are never parted. @throws TrailUnavailable as `append` does, for all of them */
  async appendAll(entries: readonly TrailEntry[]): Promise<Appended[]> {
    this.#mustTake(entries);
    return await Promise.all(entries.map((entry) => this.#append(entry, entries)));
  }

  /** All of a request or nothing: what is refused here was surely not recorded. */
  #mustTake(entries: readonly TrailEntry[]): void {
    if (this.#queue.length >= QUEUE_LIMIT) throw new TrailUnavailable('queue is full');
    if (this.#connections.every(({ state }) => state === 'waiting' || state === 'closed')) throw new TrailUnavailable('no connection');
    if (!entries.every(isPlainEntry)) throw new TrailUnavailable('malformed entry');
  }

  #append(entry: TrailEntry, request: object): Promise<Appended> {
    const { tenant, epochs, validUntil, charge, body, disclosures = [] } = entry;
    return new Promise((resolve, reject) => {
      const encoded = recordBytes(body);
      const giveUpAt = performance.now() + BUSY_LIMIT_MS;
      const until = validUntil?.toISOString();
      this.#queue.push({
        tenant,
        epoch: epochs.tenant,
        platformEpoch: epochs.platform,
        validUntil: until,
        charge,
        body: encoded,
        disclosures,
        request,
        giveUpAt,
        resolve,
        reject,
      });
      this.#schedule();
    });
  }

  /** @throws TrailUnavailable while nothing could be appended */
  mustBeConnected(): void {
    if (!this.#connections.some(({ state }) => state === 'ready')) throw new TrailUnavailable('no connection');
  }

  /** Rejects what still waits, and lets batches under way end. */
  async close(): Promise<void> {
    clearTimeout(this.#patience);
    rejectAll(this.#queue.splice(0), 'closing');
    await Promise.all(this.#flying.values());
    await Promise.all(this.#connections.map((connection) => connection.close()));
  }

  /** After this turn of the event loop, so that records of one turn travel together. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      for (const connection of this.#connections) {
        if (connection.state === 'ready' && !this.#flying.has(connection) && this.#mayLeave())
          this.#flying.set(connection, this.#flush(connection));
      }
    });
  }

  #mayLeave(): boolean {
    const { length } = this.#queue;
    return this.#flying.size === 0 ? length > 0 : length >= this.#batchSize();
  }

  async #flush(connection: AppendConnection): Promise<void> {
    const batch = this.#queue.splice(0, this.#batchEnd());
    this.#inFlight += batch.length;
    const result = await connection.flush(batch);
    this.#flying.delete(connection);
    this.#inFlight -= batch.length;
    if (result.outcome === 'answered') this.#tryAgain(settle(batch, result.answers));
    else if (result.outcome === 'busy') this.#tryAgain(batch);
    else rejectAll(batch, result.outcome === 'failed' ? `append failed: ${result.reason}` : 'outcome unknown');
    if (this.#queue.length > 0) this.#schedule();
  }

  /** A request's records stay together, so the last one may make the batch longer. */
  #batchEnd(): number {
    let end = this.#batchSize();
    while (end < this.#queue.length && this.#queue[end]!.request === this.#queue[end - 1]!.request) end++;
    return end;
  }

  #batchSize(): number {
    const operations = this.options.operationsInFlight?.() ?? this.#queue.length + this.#inFlight;
    return Math.min(BATCH.largest, Math.max(BATCH.smallest, Math.ceil(operations / BATCH.shareInFlight)));
  }

  /** Records that were surely not written, because somebody holds their tenant's head: first in the next batch, but not for ever. */
  #tryAgain(busy: readonly Waiting[]): void {
    if (busy.length === 0) return;
    const now = performance.now();
    rejectAll(
      busy.filter(({ giveUpAt }) => giveUpAt < now),
      'tenant busy',
    );
    this.#queue.unshift(...busy.filter(({ giveUpAt }) => giveUpAt >= now));
  }

  #connectionChanged(): void {
    clearTimeout(this.#patience);
    const states = this.#connections.map(({ state }) => state);
    if (states.includes('ready')) this.#schedule();
    else if (states.includes('connecting')) this.#patience = setTimeout(() => this.#refuseQueue(), CONNECT_PATIENCE_MS);
    else this.#refuseQueue();
  }

  #refuseQueue(): void {
    rejectAll(this.#queue.splice(0), 'no connection');
  }
}
