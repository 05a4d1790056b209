import { setTimeout as sleep } from 'node:timers/promises';
import { MAX_BATCH_BYTES, MAX_BATCH_ITEMS } from '#contract';
import type { ItemResult } from './batches.js';
import type { DataKey, DataKeyCall, DecryptCall, ItemOf, KeywardClient, Plaintext } from './client.js';
import { KeywardError } from './errors.js';
import type { DataKeySource } from './envelope-key.js';
import { DEFAULT_PATIENCE, waitBefore } from './retries.js';

type BatchingClient = Pick<KeywardClient, 'generateDataKey' | 'decrypt' | 'generateDataKeyBatch' | 'decryptBatch'>;

/**
 * Data keys for `Fields`, where many of one tenant that are asked for at the same moment go in one request: `new Fields(new
 * BatchedDataKeys(client))`, then `Promise.all` over the rows of a list. Each keeps its own result; what is retryable is asked again, together.
 */
export class BatchedDataKeys implements DataKeySource {
  readonly #generated: Gathered<DataKeyCall, DataKey>;
  readonly #decrypted: Gathered<DecryptCall, Plaintext>;

  constructor(client: BatchingClient) {
    this.#generated = new Gathered(
      (call) => client.generateDataKey(call),
      (tenant, items) => client.generateDataKeyBatch(tenant, items),
    );
    this.#decrypted = new Gathered(
      (call) => client.decrypt(call),
      (tenant, items) => client.decryptBatch(tenant, items),
    );
  }

  generateDataKey(call: DataKeyCall): Promise<DataKey> {
    return this.#generated.ask(call);
  }

  decrypt(call: DecryptCall): Promise<Plaintext> {
    return this.#decrypted.ask(call);
  }
}

interface Waiting<Call, Answer> {
  readonly call: Call;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

type SomeCall = DataKeyCall | DecryptCall;

/** Calls that come before the event loop turns, by tenant. */
class Gathered<Call extends SomeCall, Answer extends object> {
  #waiting = new Map<string, Waiting<Call, Answer>[]>();

  constructor(
    private readonly one: (call: Call) => Promise<Answer>,
    private readonly many: (tenant: string, items: readonly ItemOf<Call>[]) => Promise<ItemResult<Answer>[]>,
  ) {}

  ask(call: Call): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.size === 0) setImmediate(() => this.#send());
      const ofTenant = this.#waiting.get(call.tenant) ?? [];
      this.#waiting.set(call.tenant, ofTenant);
      ofTenant.push({ call, resolve, reject });
    });
  }

  #send(): void {
    const waiting = this.#waiting;
    this.#waiting = new Map();
    for (const [tenant, calls] of waiting) for (const batch of batchesOf(calls)) void this.#settle(tenant, batch);
  }

  async #settle(tenant: string, batch: readonly Waiting<Call, Answer>[]): Promise<void> {
    const [first] = batch;
    if (batch.length === 1 && first !== undefined) return await this.one(first.call).then(first.resolve, first.reject);
    let left = batch;
    try {
      for (let tried = 1; left.length > 0; tried++) {
        const results = await this.many(
          tenant,
          left.map(({ call }) => call),
        );
        left = left.filter((waiting, index) => !isSettled(waiting, results[index]!, tried));
        if (left.length > 0) await sleep(waitBefore(tried, DEFAULT_PATIENCE, 0));
      }
    } catch (error) {
      for (const { reject } of left) reject(error);
    }
  }
}

function isSettled<Call, Answer extends object>(
  { resolve, reject }: Waiting<Call, Answer>,
  result: ItemResult<Answer>,
  tried: number,
): boolean {
  if (!('error' in result && result.error instanceof KeywardError)) resolve(result as Answer);
  else if (result.error.retryable && tried < DEFAULT_PATIENCE.attempts) return false;
  else reject(result.error);
  return true;
}

/** As many as one request may carry. */
function batchesOf<Call extends SomeCall, Answer>(calls: readonly Waiting<Call, Answer>[]): Waiting<Call, Answer>[][] {
  const batches: Waiting<Call, Answer>[][] = [];
  let room = 0;
  for (const waiting of calls) {
    const bytes = sizeOf(waiting.call);
    if (room < bytes || batches.at(-1)!.length === MAX_BATCH_ITEMS) {
      batches.push([]);
      room = MAX_BATCH_BYTES - Buffer.byteLength('{"items":[]}');
    }
    batches.at(-1)!.push(waiting);
    room -= bytes;
  }
  return batches;
}

/** In the body at most: the tenant stands in its path instead, and makes up for names and commas. */
function sizeOf(call: SomeCall): number {
  const ciphertext = 'ciphertext' in call ? call.ciphertext : undefined;
  return (
    Buffer.byteLength(JSON.stringify({ ...call, encryptionContext: '', ciphertext: '' })) + Math.ceil((ciphertext?.length ?? 0) / 3) * 4
  );
}
