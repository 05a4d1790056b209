import { createHash } from 'node:crypto';
import type pg from 'pg';
import { z } from 'zod';
import {
  boundContext,
  encryptionContext,
  type ProblemCode,
  type RecordBody,
  serviceName,
  type TenantId,
  type UploadedItem,
} from '#contract';
import type { Due, DueRewrap, Epochs, SettledItems, UploadStore, WaitingItem } from '#core';
import { reading } from './database-error.js';
import { calling, parsed, recordedBy } from './function-answer.js';
import { dueColumns, dueRewrap, itemColumns, recordColumns, suspendedBy } from './moved-items.js';

/** What the functions of migration 0140 answer. */
const dueRow = dueColumns.extend({ service: serviceName }).transform(({ service, ...row }): DueRewrap => ({ ...dueRewrap(row), service }));
const waitingRow = z
  .object({ item_id: z.string(), ciphertext: z.instanceof(Uint8Array), context: encryptionContext })
  .transform(({ item_id: itemId, ciphertext, context }): WaitingItem => ({ itemId, ciphertext, encryptionContext: context }));

/** The worker's part of re-wraps by upload; its role may call these functions and nothing else. */
export class DatabaseUploads implements UploadStore {
  constructor(private readonly pool: pg.Pool) {}

  async due(of?: Due): Promise<readonly DueRewrap[]> {
    const { rows } = await reading(() => this.pool.query('SELECT * FROM keyward.due_uploads($1, $2)', [of?.tenant, of?.subject]));
    return parsed('due_uploads', z.array(dueRow), rows);
  }

  async waiting({ tenant, operationId }: DueRewrap, most: number): Promise<readonly WaitingItem[]> {
    const values = [tenant, operationId, most];
    const { rows } = await reading(() => this.pool.query('SELECT * FROM keyward.waiting_items($1, $2, $3)', values));
    return parsed('waiting_items', z.array(waitingRow), rows);
  }

  async settle({ project, epochs, validUntil, items, bodies }: SettledItems): Promise<boolean> {
    const { ids, moved, codes } = itemColumns(items);
    const values = [...recordColumns(project, epochs, validUntil, bodies), ids, items.map(({ status }) => status), moved, codes];
    return (await recordedBy(this.pool, 'settle_uploads', values, 'moving uploaded items failed')) !== undefined;
  }

  async suspend(project: DueRewrap, reason: ProblemCode, epochs: Epochs, body: RecordBody): Promise<void> {
    await suspendedBy(this.pool, 'suspend_uploads', project, reason, epochs, body);
  }

  async drop(most: number): Promise<number> {
    const { rows } = await reading(() => this.pool.query<{ answer: unknown }>(calling('drop_uploads', [most]), [most]));
    return parsed('drop_uploads', z.coerce.number(), rows[0]?.answer);
  }
}

/** Items as columns of upload_rewrap_items. */
export function uploadColumns(tenant: TenantId, items: readonly UploadedItem[]): readonly (readonly (string | Buffer)[])[] {
  const contexts = items.map((item) => item.encryptionContext ?? {});
  return [
    items.map(({ itemId }) => itemId),
    items.map(({ ciphertext }, at) => uploadDigest(ciphertext, boundContext(tenant, contexts[at]!))),
    items.map(({ ciphertext }) => Buffer.from(ciphertext)),
    contexts.map((context) => JSON.stringify(context)),
  ];
}

/** Of what was handed over, each part behind its length. */
function uploadDigest(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(String(part.length)).update(':').update(part);
  return hash.digest();
}
