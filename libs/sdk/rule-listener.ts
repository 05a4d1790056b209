import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KeywardClient } from './client.js';

/** `Fields` and `Envelope` are such. */
export interface HoldsDataKeys {
  /** Of one tenant; or of all, by who cannot tell them apart. */
  wipe(tenant?: string): void;
}

export interface ListenerOptions {
  /** After so long without a sign of life nobody knows whether there was a stop: everything is wiped, and again each time. */
  readonly silenceMs?: number;
}

const SILENCE_MS = 10_000;
const BACKOFF_MS = { first: 50, longest: 2_000 } as const;
const CHANGED = 'event: changed';

/**
 * Listens to a tenant's stops and other changes of its rules, and wipes the data keys of that tenant when it hears of one: well under a
 * second after the stop has returned. Also whenever the stream begins anew, for what was missed, and when it has been silent for ten
 * seconds. `clients` are tried in turn: name several replicas, and one may die. Close it at the end; until then it keeps the process alive.
 */
export class RuleListener {
  readonly #silence: NodeJS.Timeout;
  #stream: IncomingMessage | undefined;
  #closed = false;
  readonly #done: Promise<void>;

  constructor(
    private readonly clients: readonly Pick<KeywardClient, 'events'>[],
    private readonly tenant: string,
    private readonly holders: readonly HoldsDataKeys[],
    { silenceMs = SILENCE_MS }: ListenerOptions = {},
  ) {
    this.#silence = setInterval(() => this.#silent(), silenceMs);
    this.#done = this.#listen(silenceMs);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#silence);
    this.#stream?.destroy();
    await this.#done;
  }

  async #listen(silenceMs: number): Promise<void> {
    let backoff: number = BACKOFF_MS.first;
    for (let turn = 0; !this.#closed; turn++) {
      try {
        this.#stream = await this.clients[turn % this.clients.length]!.events(this.tenant, silenceMs);
        backoff = BACKOFF_MS.first;
        this.#wipe();
        await this.#hear(this.#stream);
      } catch {
        // Whatever it was: the next one is tried, and the silence is heard.
      }
      await sleep(Math.random() * backoff);
      backoff = Math.min(2 * backoff, BACKOFF_MS.longest);
    }
  }

  async #hear(stream: IncomingMessage): Promise<void> {
    if (this.#closed) stream.destroy();
    let text = '';
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      this.#silence.refresh();
      text += chunk.toString('latin1');
      if (text.includes(CHANGED)) this.#wipe();
      text = text.slice(text.lastIndexOf('\n') + 1);
    }
  }

  #silent(): void {
    this.#wipe();
    this.#stream?.destroy();
  }

  #wipe(): void {
    for (const holder of this.holders) holder.wipe(this.tenant);
  }
}
