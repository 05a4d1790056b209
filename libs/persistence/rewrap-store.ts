import type pg from 'pg';
import { z } from 'zod';
import {
  type CollectResultsAnswer,
  type CollectResultsRequest,
  keyId,
  keyVersionId,
  longOperationId,
  OPERATION_STATES,
  problemCode,
  type RewrapAnswer,
  serviceName,
  type TenantId,
  type UploadItemsAnswer,
  type UploadItemsRequest,
  uploadItemsAnswer,
} from '#contract';
import { KeywardError, type RewrapName, type Rewraps, type SettledPage, type TakenPage, type WantedPage } from '#core';
import { reading } from './database-error.js';
import { calling, parsed } from './function-answer.js';
import { progressOf } from './rewrap-progress.js';
import { uploadColumns } from './upload-store.js';

/** Others stored theirs meanwhile (migration 0181). */
const TOO_MUCH = 'database: KW005';

const absent = <Value>(value: Value | null): Value | undefined => value ?? undefined;
const moment = z.string().pipe(z.coerce.date()).nullable().transform(absent);

/** What the functions of migrations 0100 and 0140 answer: those of 0100 only of projects by pages. */
const rewrapRow = z
  .object({
    operationId: longOperationId,
    state: z.enum(OPERATION_STATES),
    reason: z.string().nullable().transform(absent),
    keyId,
    fromVersionId: keyVersionId,
    toVersionId: keyVersionId,
    service: serviceName,
    itemsPerSecond: z.int(),
    population: z.int().nullable().transform(absent),
    done: z.int(),
    kept: z.int(),
    failed: z.int(),
    pacedFrom: moment,
    pacedAt: moment,
    pacedBase: z.int(),
    cursor: z.string(),
    atEnd: z.boolean(),
    mode: z.enum(['pages', 'upload']).default('pages'),
    uploaded: z.int().default(0),
    settled: z.int().default(0),
  })
  .transform(
    ({ population, done, kept, failed, pacedFrom, pacedAt, pacedBase, uploaded, settled, reason, ...row }): RewrapAnswer => ({
      ...{ kind: 'ReWrap', ...row },
      ...(reason !== undefined && { reason }),
      progress: progressOf({
        ...{ population, done, kept, failed, pacedFrom, pacedAt, pacedBase },
        byUpload: row.mode === 'upload' ? { uploaded, settled } : undefined,
      }),
    }),
  );
const takenRow = z.object({
  verdict: z.enum(['taken', 'ended', 'elsewhere', 'early']),
  waitSeconds: z.int(),
  rewrap: rewrapRow,
});

const collectedRow = z.object({
  acknowledged: z.int(),
  uploaded: z.int(),
  settled: z.int(),
  items: z.array(
    z.object({
      itemId: z.string(),
      status: z.enum(['moved', 'kept', 'failed']),
      code: problemCode.nullable(),
      place: z.int(),
      ciphertext: z.string().nullable(),
    }),
  ),
});

/** Projects for the data plane: its role may call these functions and nothing else. */
export class DatabaseRewraps implements Rewraps {
  constructor(private readonly pool: pg.Pool) {}

  async rewrap(name: RewrapName): Promise<RewrapAnswer | undefined> {
    return absent(await this.#ask('rewrap_of', rewrapRow.nullable(), name, []));
  }

  look(name: RewrapName, page: WantedPage): Promise<TakenPage | undefined> {
    return this.#take(name, page, false);
  }

  take(name: RewrapName, page: WantedPage): Promise<TakenPage | undefined> {
    return this.#take(name, page, true);
  }

  async settle(name: RewrapName, { page, cursor, next, done, kept, failures, seq }: SettledPage): Promise<boolean> {
    const values = [page, cursor, next ?? null, done, kept, JSON.stringify(failures), seq.toString()];
    return await this.#ask('settle_rewrap_page', z.boolean(), name, values);
  }

  async suspend(name: RewrapName, reason: string): Promise<void> {
    await this.#ask('suspend_rewrap', z.unknown(), name, [reason]);
  }

  async finish(name: RewrapName, seq: bigint): Promise<RewrapAnswer | undefined> {
    return absent(await this.#ask('finish_rewrap', rewrapRow.nullable(), name, [seq.toString()]));
  }

  async upload(name: RewrapName, { population, items }: UploadItemsRequest): Promise<UploadItemsAnswer> {
    const values = [population ?? null, ...uploadColumns(name.tenant, items)];
    const notStored = items.map(() => 'not-stored' as const);
    try {
      return { items: (await this.#ask('upload_rewrap_items', uploadItemsAnswer.shape.items.nullable(), name, values)) ?? notStored };
    } catch (error) {
      if (error instanceof KeywardError && error.reason === TOO_MUCH) return { items: notStored };
      throw error;
    }
  }

  async uploadedBytes(tenant: TenantId): Promise<number> {
    const { rows } = await reading(() => this.pool.query<{ answer: unknown }>(calling('uploaded_bytes', [tenant]), [tenant]));
    return parsed('uploaded_bytes', z.coerce.number(), rows[0]?.answer);
  }

  async collect(name: RewrapName, { acknowledge, after, limit }: CollectResultsRequest, forGood: boolean): Promise<CollectResultsAnswer> {
    const values = [acknowledge ?? null, after ?? null, limit, forGood];
    const found = await this.#ask('collect_rewrap_results', collectedRow.nullable(), name, values);
    if (found === null) throw new KeywardError('precondition-failed', 'There is no such result yet.', { reason: 'another-page' });
    const { acknowledged, uploaded, settled } = found;
    const items = found.items.map(({ itemId, status, code, ciphertext }) => {
      if (status === 'kept') return { itemId, status };
      return status === 'failed' ? { itemId, status, code: code ?? 'internal' } : { itemId, status, ciphertext: ciphertext ?? '' };
    });
    return { items, cursor: found.items.at(-1)?.place ?? Math.max(acknowledged, after ?? 0), acknowledged, uploaded, settled };
  }

  async #take(name: RewrapName, { acknowledge, cursor, population }: WantedPage, forGood: boolean): Promise<TakenPage | undefined> {
    const values = [acknowledge ?? null, cursor ?? null, population ?? null, forGood];
    return absent(await this.#ask('take_rewrap_page', takenRow.nullable(), name, values));
  }

  async #ask<Schema extends z.ZodType>(
    name: string,
    schema: Schema,
    { tenant, operationId, service }: RewrapName,
    more: readonly (string | number | boolean | null | readonly (string | Buffer)[])[],
  ): Promise<z.infer<Schema>> {
    const values = [tenant, operationId, service, ...more];
    const { rows } = await reading(() => this.pool.query<{ answer: unknown }>(calling(name, values), values));
    return parsed(name, schema, rows[0]?.answer ?? null);
  }
}
