import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Justification,
  isOver,
  MAX_BATCH_ITEMS,
  type RewrapAnswer,
  type RewrapPageAnswer,
  rewrapAnswer,
  rewrapPageAnswer,
} from '#contract';
import type { Told } from './answers.js';
import { bearerOf } from './bearer.js';
import { DEFAULT_DATA_PLANE, type KeywardClientOptions } from './client.js';
import { type ErrorCode, errorOf, InvalidCall, KeywardError } from './errors.js';
import { type LongPatience, patiently } from './patience.js';
import { at, PlaneCalls } from './plane-calls.js';
import { collectResults, type RewrapCollection, type RewrapUpload, uploadItems } from './rewrap-uploads.js';
import type { StoredItem } from './stored-item.js';
import { Transport } from './transport.js';

export interface SourcePage<Item extends StoredItem> {
  /** At most 500, 1 MiB in all. */
  readonly items: readonly Item[];
  /** Where the next page begins, in words of your own, at most 512 characters; absent: this is the last. */
  readonly next?: string | undefined;
}
/** What became of one item: `kept` was under another version already, `failed` stays as it is. */
export type RewrapOutcome<Item extends StoredItem> =
  | { readonly item: Item; readonly status: 'moved'; readonly ciphertext: Uint8Array }
  | { readonly item: Item; readonly status: 'kept' }
  | { readonly item: Item; readonly status: 'failed'; readonly code: ErrorCode };

export interface RewrapRun<Item extends StoredItem> extends LongPatience {
  readonly tenant: string;
  /** As the tenant's admin got it from the start of the re-wrap. */
  readonly operationId: string;
  /** Rows from there on (undefined: from the first), in an order that does not change: by primary key, say. */
  readonly source: (cursor: string | undefined) => Promise<SourcePage<Item>>;
  /** Writes back what was moved, each only where the row still holds `item.ciphertext`. May be called again with the same rows. */
  readonly sink: (outcomes: readonly RewrapOutcome<Item>[]) => Promise<void>;
  /** How many rows there are in all, for the progress that the tenant sees. */
  readonly population?: number | undefined;
  readonly justification?: Justification | undefined;
  readonly onProgress?: ((progress: RewrapAnswer['progress']) => void) | undefined;
}

const PROGRESS_EVERY_MS = 1000;

/**
 * Carries out re-wraps: pages from the ISV's database to Keyward and back. Where the project is, the server keeps: whatever dies at
 * whatever moment, `run` again goes on there, and no row counts twice.
 */
export class Rewraps {
  readonly #calls: PlaneCalls;

  constructor({ url = DEFAULT_DATA_PLANE, ca, allowPlainHttp, ...options }: KeywardClientOptions) {
    this.#calls = new PlaneCalls(new Transport({ url, ca, allowPlainHttp, keepAlive: true }), bearerOf(options), options);
  }

  describe(tenant: string, operationId: string): Promise<RewrapAnswer & Told> {
    return this.#calls.read(rewrapAnswer, at`/v1/tenants/${tenant}/rewraps/${operationId}`);
  }

  /**
   * Until it is over; of one that is over, how it ended.
   * @throws Stopped, KeyDisabled, Refused when the tenant does not allow it now: the project is suspended where it is. Unavailable once
   * patience ends; the reason of `signal`; whatever `source` and `sink` throw
   */
  async run<Item extends StoredItem>(run: RewrapRun<Item>): Promise<RewrapAnswer> {
    const { tenant, operationId } = run;
    for (;;) {
      const project = await patiently(run, () => this.describe(tenant, operationId));
      if (isOver(project.state)) return project;
      try {
        const acknowledge = await this.#pages(run, project);
        const body = { acknowledge };
        const ended = await patiently(run, () =>
          this.#calls.ask(rewrapAnswer, at`/v1/tenants/${tenant}/rewraps/${operationId}/finish`, body),
        );
        run.onProgress?.(ended.progress);
        if (isOver(ended.state)) return ended;
      } catch (error) {
        // Another run went on meanwhile, or an acknowledgement was lost: the server knows where it is.
        if (!(error instanceof KeywardError) || error.code !== 'precondition-failed') throw error;
      }
    }
  }

  /**
   * By upload: hands rows over, which the worker moves. Ends when all are there; made again after an interruption, it repeats nothing.
   * @throws Stopped, KeyDisabled, Refused; InvalidCall for another item of the same name; Unavailable once patience ends: results are to be
   * collected first, or Keyward is away
   */
  upload(upload: RewrapUpload): Promise<void> {
    return uploadItems(this.#calls, upload);
  }

  /** By upload: fetches what came of the rows, has it written back, and acknowledges it. Whatever dies, made again it goes on there. */
  collect(collection: RewrapCollection): Promise<RewrapAnswer> {
    return collectResults(this.#calls, collection);
  }

  /** From where the project is to the end. Answers the last page, which is yet to be acknowledged. */
  async #pages<Item extends StoredItem>(run: RewrapRun<Item>, project: RewrapAnswer): Promise<string | undefined> {
    let { cursor } = project;
    let acknowledge: string | undefined;
    let tellAt = 0;
    for (let next: string | undefined = project.atEnd ? undefined : cursor; next !== undefined; ) {
      const begun = performance.now();
      const page = await run.source(cursor === '' ? undefined : cursor);
      mustFit(page);
      const answer = await this.#page(run, page, { acknowledge, cursor });
      await run.sink(page.items.map((item, index) => outcomeOf(item, answer.items[index]!)));
      [acknowledge, next] = [answer.page, page.next];
      cursor = page.next ?? cursor;
      if (run.onProgress !== undefined && performance.now() > tellAt) {
        run.onProgress((await patiently(run, () => this.describe(run.tenant, run.operationId))).progress);
        tellAt = performance.now() + PROGRESS_EVERY_MS;
      }
      const pace = (1000 * page.items.length) / project.itemsPerSecond;
      await sleep(Math.max(0, pace - (performance.now() - begun)), undefined, { signal: run.signal });
    }
    return acknowledge;
  }

  async #page<Item extends StoredItem>(
    run: RewrapRun<Item>,
    { items, next }: SourcePage<Item>,
    at0: { readonly acknowledge: string | undefined; readonly cursor: string },
  ): Promise<RewrapPageAnswer> {
    const { tenant, operationId, population, justification } = run;
    const wire = items.map(({ itemId, ciphertext, context }) => ({
      ...{ itemId, ciphertext: Buffer.from(ciphertext).toString('base64') },
      ...{ encryptionContext: context, justification },
    }));
    const body = { ...at0, next, population, items: wire };
    const answer = await patiently(run, () =>
      this.#calls.ask(rewrapPageAnswer, at`/v1/tenants/${tenant}/rewraps/${operationId}/pages`, body),
    );
    if (answer.items.length !== items.length) throw errorOf('The answer is not one to these items.', { code: 'bad-answer' });
    return answer;
  }
}

/** @throws InvalidCall: a page that Keyward refuses would be refused for ever */
function mustFit({ items, next }: SourcePage<StoredItem>): void {
  const wrong =
    items.length > MAX_BATCH_ITEMS
      ? `at most ${MAX_BATCH_ITEMS} items`
      : items.length === 0 && next !== undefined
        ? 'items, unless it is the last'
        : undefined;
  if (wrong !== undefined) throw new InvalidCall(`A page of the source must have ${wrong}.`, { code: 'invalid-request' });
}

function outcomeOf<Item extends StoredItem>(item: Item, result: RewrapPageAnswer['items'][number]): RewrapOutcome<Item> {
  if (result.status !== 'moved') return { item, ...result };
  return { item, status: 'moved', ciphertext: new Uint8Array(Buffer.from(result.ciphertext, 'base64')) };
}
