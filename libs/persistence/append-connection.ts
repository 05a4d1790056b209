import pg from 'pg';
import { setTimeout as sleep } from 'node:timers/promises';
import { ANSWER_TIMEOUT_MS, connectionOptions, type DatabaseSettings, sqlState, surelyFailed } from './connection.js';
import { batchParameters, type Waiting } from './append-batch.js';

const BACK_OFF_MS = { first: 25, longest: 500 } as const;
const APPEND = 'SELECT keyward.trail_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)';
/** Another batch holds every head of this one (lock_not_available), or they wait for each other (deadlock_detected). */
const BUSY_STATES = new Set(['55P03', '40P01']);

export type FlushResult =
  | { readonly outcome: 'answered'; readonly answers: readonly bigint[] }
  /** Nothing was written; the batch may be sent again. */
  | { readonly outcome: 'busy' }
  /** Nothing was written, and would not be the next time. */
  | { readonly outcome: 'failed'; readonly reason: string }
  /** It may have been written: never to be sent again. */
  | { readonly outcome: 'unknown' };

export type ConnectionState = 'connecting' | 'ready' | 'waiting' | 'closed';

/** One session that runs nothing but trail_append, prepared once, and reconnects by itself. */
export class AppendConnection {
  #client: pg.Client | undefined;
  #state: ConnectionState = 'connecting';
  #warnings = 0;
  readonly #closing = new AbortController();
  #loop: Promise<void> = Promise.resolve();

  constructor(
    private readonly settings: DatabaseSettings,
    private readonly onStateChange: () => void,
  ) {}

  get state(): ConnectionState {
    return this.#state;
  }

  open(): void {
    this.#loop = this.#stayConnected();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#client?.end().catch(() => undefined);
    await this.#loop;
  }

  /** Call only while `ready`, one at a time. Never throws. */
  async flush(batch: readonly Waiting[]): Promise<FlushResult> {
    const client = this.#client;
    if (client === undefined) return { outcome: 'failed', reason: 'not connected' };
    const timer = setTimeout(() => client.connection.stream.destroy(), ANSWER_TIMEOUT_MS);
    const before = this.#warnings;
    try {
      // The promise resolves after ReadyForQuery, hence after the commit; rows arrive before it.
      const { rows } = await client.query<[string]>({
        name: 'trail-append',
        text: APPEND,
        values: batchParameters(batch),
        rowMode: 'array',
        types: AS_TEXT,
      });
      return this.#warnings > before ? { outcome: 'unknown' } : { outcome: 'answered', answers: parseAnswers(rows[0]?.[0]) };
    } catch (error) {
      const state = sqlState(error);
      if (!surelyFailed(error) || state === undefined) return { outcome: 'unknown' };
      return BUSY_STATES.has(state) ? { outcome: 'busy' } : { outcome: 'failed', reason: state };
    } finally {
      clearTimeout(timer);
    }
  }

  #isClosing(): boolean {
    return this.#closing.signal.aborted;
  }

  async #stayConnected(): Promise<void> {
    let pause: number = BACK_OFF_MS.first;
    while (!this.#isClosing()) {
      this.#become('connecting');
      const client = new pg.Client(connectionOptions(this.settings));
      const gone = new Promise<void>((resolve) => client.once('end', resolve));
      client.on('error', (error) => this.settings.onConnectionError?.(sqlState(error) ?? 'connection'));
      // With synchronous standbys a cancelled wait for them commits with a warning: not durable enough to answer for.
      client.on('notice', () => {
        this.#warnings += 1;
      });
      try {
        await client.connect();
        this.#client = client;
        // Closed while it was being made: nobody else will end it.
        if (this.#isClosing()) await client.end();
        pause = BACK_OFF_MS.first;
        this.#become('ready');
        await gone;
      } catch (error) {
        this.settings.onConnectionError?.(sqlState(error) ?? 'connection');
        client.connection.stream.destroy();
      }
      this.#client = undefined;
      this.#become('waiting');
      await sleep(pause, undefined, { signal: this.#closing.signal }).catch(() => undefined);
      pause = Math.min(2 * pause, BACK_OFF_MS.longest);
    }
    this.#become('closed');
  }

  #become(state: ConnectionState): void {
    this.#state = state;
    this.onStateChange();
  }
}

const AS_TEXT = { getTypeParser: () => (text: string) => text };

/** `{12,13,-1}` as PostgreSQL writes bigint[]. */
function parseAnswers(text: string | undefined): bigint[] {
  return text === undefined || text.length < 3 ? [] : text.slice(1, -1).split(',').map(BigInt);
}
