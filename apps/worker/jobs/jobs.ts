import { type Due, type JobLedger, KeywardError } from '#core';
import { type JobKind, NotNow, WHOLE } from './job-kind.js';

/** After the first failure in a row, after the second, …: what is down for long is not hammered, and soon noticed when it is back. At most ten minutes (migration 0201). */
const PAUSES_MS = [1, 5, 30, 120, 300].map((seconds) => 1000 * seconds);

export interface Job extends Due {
  readonly kind: string;
}

/** Takes jobs. One that is there already, waiting or under way, is not added again. */
export interface JobQueue {
  add(jobs: readonly Job[]): Promise<void>;
}

export interface JobParts {
  readonly kinds: readonly JobKind[];
  readonly ledger: JobLedger;
  readonly log: { error(fields: object, message: string): void };
  readonly pausesMs?: readonly number[];
}

/**
 * Everything that is done by the clock. The database alone knows what is due: a look finds it and fills the queue, whose jobs name a row and
 * say nothing of it. What a queue loses, repeats or hands to two workers at once costs time, and nothing else.
 */
export class Jobs {
  readonly #kinds: ReadonlyMap<string, JobKind>;

  constructor(private readonly parts: JobParts) {
    this.#kinds = new Map(parts.kinds.map((kind) => [kind.name, kind]));
  }

  /** Looks for what is due, of the kinds whose time has come: one that cannot be put in the queue keeps none of the others from it. */
  async look(queue: JobQueue): Promise<void> {
    const { ledger, kinds } = this.parts;
    for (const { kind, failing, retries } of await ledger.claim(kinds)) {
      const found = [...(await this.#dueOf(this.#kinds.get(kind)!, failing)), ...retries];
      try {
        if (found.length > 0) await queue.add(found.map((of) => ({ kind, ...of })));
      } catch (cause) {
        // Its next look may be an hour away; after a failure it comes sooner.
        await this.#failed(kind, WHOLE, new KeywardError('unavailable', '', { reason: 'queue: not reached', cause }));
      }
    }
  }

  /** A failure is written down; the next look finds the row again when its rest is over. @throws KeywardError unavailable */
  async run({ kind, tenant, subject }: Job): Promise<void> {
    const known = this.#kinds.get(kind);
    // Of a newer worker: one that knows it finds it again.
    if (known === undefined) return;
    const of = { tenant, subject };
    try {
      await known.run(of, (other, error) => this.#failed(kind, other, error));
    } catch (error) {
      return error instanceof NotNow ? undefined : await this.#failed(kind, of, error);
    }
    await this.parts.ledger.done(kind, of);
  }

  async #dueOf({ name, due }: JobKind, failing: boolean): Promise<readonly Due[]> {
    if (due === undefined) return [WHOLE];
    try {
      const found = await due();
      if (failing) await this.parts.ledger.done(name, WHOLE);
      return found;
    } catch (error) {
      await this.#failed(name, WHOLE, error);
      return [];
    }
  }

  async #failed(kind: string, of: Due, error: unknown): Promise<void> {
    const { ledger, log, pausesMs = PAUSES_MS } = this.parts;
    log.error({ err: error, kind, ...of }, 'a job failed; it is tried again');
    await ledger.failed(kind, of, reasonOf(error), pausesMs);
  }
}

/** A tenant may read it: what others wrote stays in the log. */
const reasonOf = (error: unknown): string => (error instanceof KeywardError ? error.reason : 'internal').slice(0, 200);
