import { setTimeout as sleep } from 'node:timers/promises';
import { isOver, type LongOperation } from '#contract';
import { KeywardError } from './errors.js';

const LOOK_EVERY_MS = 1000;
/** Then the listener comes back, and its credential is looked at again. */
const LONGEST_MS = 60_000;
/** Of one process: each costs a connection. */
const MOST_LISTENERS = 1000;
const ALIVE = Buffer.from(': alive\n\n');

/** Tells how far a long operation is, as an event stream (HTML, server-sent events): `progress`, whose data is the operation, until it is over. */
export class OperationWatch {
  readonly #closing = new AbortController();
  #listeners = 0;

  constructor(private readonly lookEveryMs: number = LOOK_EVERY_MS) {}

  /** `look` is asked once a second. @throws KeywardError unavailable when too many listen */
  events(first: LongOperation, look: () => Promise<LongOperation>): AsyncIterable<Uint8Array> {
    if (this.#closing.signal.aborted || this.#listeners >= MOST_LISTENERS)
      throw new KeywardError('unavailable', '', { reason: 'too many listen' });
    return this.#stream(first, look);
  }

  close(): void {
    this.#closing.abort();
  }

  async *#stream(first: LongOperation, look: () => Promise<LongOperation>): AsyncGenerator<Uint8Array> {
    const until = performance.now() + LONGEST_MS;
    this.#listeners++;
    try {
      let told = '';
      for (let operation = first; ; operation = await look()) {
        const line = JSON.stringify(operation);
        yield line === told ? ALIVE : Buffer.from(`event: progress\ndata: ${line}\n\n`);
        told = line;
        if (isOver(operation.state) || performance.now() > until) return;
        await sleep(this.lookEveryMs, undefined, { signal: this.#closing.signal });
      }
    } catch {
      // It cannot be read, or this process ends: the listener hears the end, and comes back.
    } finally {
      this.#listeners--;
    }
  }
}
