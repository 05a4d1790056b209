import { setTimeout as sleep } from 'node:timers/promises';
import { type CollectResultsAnswer, collectResultsAnswer, isOver, MAX_BATCH_ITEMS, rewrapAnswer, uploadItemsAnswer } from '#contract';
import type { RewrapAnswer } from '#contract';
import { type ErrorCode, errorOf, InvalidCall, KeywardError } from './errors.js';
import { type LongPatience, patiently } from './patience.js';
import { at, type PlaneCalls } from './plane-calls.js';
import type { StoredItem } from './stored-item.js';

export interface RewrapUpload extends LongPatience {
  readonly tenant: string;
  /** As the tenant's admin got it from the start of a re-wrap by upload. */
  readonly operationId: string;
  /** Rows, in any order; read as they are sent. The same row again is no other one. */
  readonly items: AsyncIterable<StoredItem> | Iterable<StoredItem>;
  /** How many rows there are in all, for the progress that the tenant sees. */
  readonly population?: number | undefined;
}

/** What became of one item: `kept` is under another version already, `failed` stays as it is. */
export type CollectedItem = { readonly itemId: string } & (
  | { readonly status: 'moved'; readonly ciphertext: Uint8Array }
  | { readonly status: 'kept' }
  | { readonly status: 'failed'; readonly code: ErrorCode }
);

export interface RewrapCollection extends LongPatience {
  readonly tenant: string;
  readonly operationId: string;
  /** Writes back what was moved, each only where the row still holds what was uploaded. May be called again with the same results. */
  readonly sink: (results: readonly CollectedItem[]) => Promise<void>;
  /** Everything is uploaded: end the project once every result is written back. Without it, `collect` ends when nothing is left for now. */
  readonly finish?: boolean | undefined;
  readonly onProgress?: ((progress: Pick<CollectResultsAnswer, 'uploaded' | 'settled' | 'acknowledged'>) => void) | undefined;
}

/** Well below the server's limit of 1 MiB a request. */
const MOST_BYTES = 768 * 1024;
/** Of one item beside its ciphertext and its context, at most. */
const ITEM_BYTES = 600;
const POLL_MS = 500;

/** @throws InvalidCall when an item of the same name, but another one, was uploaded before */
export async function uploadItems(calls: PlaneCalls, upload: RewrapUpload): Promise<void> {
  const { tenant, operationId, population } = upload;
  for await (const items of batches(upload.items)) {
    for (let left = items; left.length > 0; ) {
      const body = { population, items: left };
      const { items: statuses } = await patiently(upload, () =>
        calls.ask(uploadItemsAnswer, at`/v1/tenants/${tenant}/rewraps/${operationId}/items`, body),
      );
      if (statuses.length !== left.length) throw errorOf('The answer is not one to these items.', { code: 'bad-answer' });
      const different = left[statuses.indexOf('different')];
      if (different !== undefined)
        throw new InvalidCall(`Item ${different.itemId} was uploaded before, with another ciphertext or context.`, {
          code: 'invalid-request',
        });
      left = left.filter((_, index) => statuses[index] === 'not-stored');
      if (left.length > 0) await sleep(POLL_MS, undefined, { signal: upload.signal });
    }
  }
}

/** Answers the project, which is over if it was to be finished. @throws whatever `sink` throws */
export async function collectResults(calls: PlaneCalls, collection: RewrapCollection): Promise<RewrapAnswer> {
  const { tenant, operationId, sink, finish, onProgress, signal } = collection;
  const describe = () => patiently(collection, () => calls.read(rewrapAnswer, at`/v1/tenants/${tenant}/rewraps/${operationId}`));
  const begun = await describe();
  if (isOver(begun.state) && begun.state !== 'cancelled') return begun;
  for (let acknowledge: number | undefined; ; ) {
    const body = { acknowledge };
    const answer = await patiently(collection, () =>
      calls.ask(collectResultsAnswer, at`/v1/tenants/${tenant}/rewraps/${operationId}/results`, body),
    );
    onProgress?.(answer);
    if (answer.items.length > 0) {
      await sink(answer.items.map(opened));
      acknowledge = answer.cursor;
    } else if (answer.settled < answer.uploaded && begun.state !== 'cancelled') {
      await sleep(POLL_MS, undefined, { signal });
    } else if (finish !== true || begun.state === 'cancelled') {
      return await describe();
    } else {
      try {
        return await patiently(collection, () => calls.ask(rewrapAnswer, at`/v1/tenants/${tenant}/rewraps/${operationId}/finish`, {}));
      } catch (error) {
        // An acknowledgement was lost, or somebody uploads still: what is left is shown again.
        if (!(error instanceof KeywardError) || error.code !== 'state-unchangeable') throw error;
        const { state } = await describe();
        if (isOver(state)) return await describe();
        await sleep(POLL_MS, undefined, { signal });
      }
    }
  }
}

function opened(item: CollectResultsAnswer['items'][number]): CollectedItem {
  if (item.status !== 'moved') return item;
  return { ...item, ciphertext: new Uint8Array(Buffer.from(item.ciphertext, 'base64')) };
}

interface WireItem {
  readonly itemId: string;
  readonly ciphertext: string;
  readonly encryptionContext: StoredItem['context'];
}

/** As many at once as one request may have. */
async function* batches(items: RewrapUpload['items']): AsyncIterable<readonly WireItem[]> {
  let batch: WireItem[] = [];
  let bytes = 0;
  for await (const { itemId, ciphertext, context } of items) {
    const item = { itemId, ciphertext: Buffer.from(ciphertext).toString('base64'), encryptionContext: context };
    const size = ITEM_BYTES + item.ciphertext.length + JSON.stringify(context ?? {}).length;
    if (batch.length === MAX_BATCH_ITEMS || (batch.length > 0 && bytes + size > MOST_BYTES)) {
      yield batch;
      [batch, bytes] = [[], 0];
    }
    batch.push(item);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}
