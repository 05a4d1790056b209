import type pg from 'pg';
import { z } from 'zod';
import { keyId, keyVersionId, longOperationId, type ProblemCode, type RecordBody, tenantId } from '#contract';
import type { DueRewrap, Epochs, SettledItem } from '#core';
import { recordedBy } from './function-answer.js';
import { recordBytes } from './record-bytes.js';

/** Of projects that the worker has something to do for. */
export const dueColumns = z.object({
  ...{ tenant_id: tenantId, operation_id: longOperationId, key_id: keyId, from_version: keyVersionId, to_version: keyVersionId },
  ...{ items_per_second: z.int(), mac: z.instanceof(Uint8Array), exhausted: z.boolean(), at: z.date() },
});

/** Such columns as they are called elsewhere. */
export const dueRewrap = ({
  tenant_id: tenant,
  operation_id: operationId,
  key_id,
  from_version,
  to_version,
  items_per_second,
  ...row
}: z.infer<typeof dueColumns>): Omit<DueRewrap, 'service'> => ({
  ...{ tenant, operationId, keyId: key_id, fromVersionId: from_version, toVersionId: to_version },
  ...{ itemsPerSecond: items_per_second, ...row },
});

/** The first columns of what settles items: the records, whose log they are of and under which rules, and the project. */
export function recordColumns(
  { tenant, operationId }: DueRewrap,
  epochs: Epochs,
  validUntil: number | undefined,
  bodies: readonly RecordBody[],
): readonly unknown[] {
  const records = bodies.map(recordBytes);
  const until = validUntil === undefined ? null : new Date(validUntil);
  return [Buffer.concat(records), records.map(({ length }) => length), tenant, epochs.tenant, epochs.platform, until, operationId];
}

export const itemColumns = (items: readonly SettledItem[]) => ({
  ids: items.map(({ itemId }) => itemId),
  moved: items.map(({ ciphertext }) => (ciphertext === undefined ? null : Buffer.from(ciphertext))),
  codes: items.map(({ code }) => code ?? null),
});

export async function suspendedBy(
  pool: pg.Pool,
  name: 'suspend_uploads' | 'suspend_secret_moves',
  { tenant, operationId }: DueRewrap,
  reason: ProblemCode,
  epochs: Epochs,
  body: RecordBody,
): Promise<void> {
  const values = [recordBytes(body), tenant, epochs.tenant, epochs.platform, operationId, reason];
  await recordedBy(pool, name, values, 'suspending a re-wrap failed');
}
