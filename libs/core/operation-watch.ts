import { setTimeout as sleep } from 'node:timers/promises';
import { type CredentialId, isOver, type LongOperation } from '#contract';
import { KeywardError } from './errors.js';

const LOOK_EVERY_MS = 1000;
/** Then the listener comes back, and is decided on again. */
const LONGEST_MS = 60_000;
/** Of one process: each costs a connection. */
const MOST_LISTENERS = 1000;
const MOST_OF_ONE_CREDENTIAL = 10;
const ALIVE = Buffer.from(': alive\n\n');

interface OperationListener {
  readonly credentialId: CredentialId;
  /** How long its credential counts yet. */
  readonly forMs: number;
}

/** Tells how far a long operation is, as an event stream (HTML, server-sent events): `progress`, whose data is the operation, until it is over. */
export class OperationWatch {
  readonly #closing = new AbortController();
  readonly #listeners: CredentialId[] = [];

  constructor(private readonly lookEveryMs: number = LOOK_EVERY_MS) {}

  /**
   * `look` is asked once a second, and rejects when the listener may hear no more.
   * @throws KeywardError unavailable when too many listen, too-many-requests when too many do with this credential
   */
  events(listener: OperationListener, first: LongOperation, look: () => Promise<LongOperation>): AsyncIterable<Uint8Array> {
    if (this.#closing.signal.aborted || this.#listeners.length >= MOST_LISTENERS)
      throw new KeywardError('unavailable', '', { reason: 'too many listen' });
    if (this.#hasMost(listener.credentialId))
      throw new KeywardError('too-many-requests', `At most ${MOST_OF_ONE_CREDENTIAL} streams at a time.`, { retryAfterSeconds: 1 });
    return this.#stream(listener, first, look);
  }

  close(): void {
    this.#closing.abort();
  }

  #hasMost(credentialId: CredentialId): boolean {
    return this.#listeners.filter((id) => id === credentialId).length >= MOST_OF_ONE_CREDENTIAL;
  }

  async *#stream(
    { credentialId, forMs }: OperationListener,
    first: LongOperation,
    look: () => Promise<LongOperation>,
  ): AsyncGenerator<Uint8Array> {
    // Others may have come since it was let in.
    if (this.#hasMost(credentialId)) return;
    const until = performance.now() + Math.min(LONGEST_MS, forMs);
    this.#listeners.push(credentialId);
    try {
      let told = '';
      for (let operation = first; ; operation = await look()) {
        const line = JSON.stringify(operation);
        yield line === told ? ALIVE : Buffer.from(`event: progress\ndata: ${line}\n\n`);
        told = line;
        if (isOver(operation.state)) return;
        await sleep(this.lookEveryMs, undefined, { signal: this.#closing.signal });
        if (performance.now() > until) return;
      }
    } catch {
      // It cannot or must not be read, or this process ends: the listener hears the end, and comes back.
    } finally {
      this.#listeners.splice(this.#listeners.indexOf(credentialId), 1);
    }
  }
}
