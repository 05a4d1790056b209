import type pg from 'pg';
import { z } from 'zod';
import { type ProblemCode, type RecordBody, secretId, secretName } from '#contract';
import { type Due, type DueSecretMove, type Epochs, type MovedItems, secretContext, type SettledItems, type WaitingItem } from '#core';
import { reading } from './database-error.js';
import { parsed, recordedBy } from './function-answer.js';
import { dueColumns, dueRewrap, itemColumns, recordColumns, suspendedBy } from './moved-items.js';
import { recordBytes } from './record-bytes.js';

/** What the functions of migration 0180 answer. */
const dueRow = dueColumns
  .extend({ cursor: z.string() })
  .transform(({ cursor, ...row }): DueSecretMove => ({ ...dueRewrap(row), service: undefined, cursor }));
const waitingRow = z
  .object({ item_id: z.string(), secret_id: secretId, name: secretName, version_id: z.string(), edk: z.instanceof(Uint8Array) })
  .transform(
    ({ item_id: itemId, secret_id: id, name, version_id: versionId, edk }): WaitingItem => ({
      ...{ itemId, ciphertext: edk, secret: { id, name, versionId } },
      encryptionContext: secretContext({ secretId: id, versionId }),
    }),
  );

/** The worker's part of re-wraps of secrets; its role may call these functions and nothing else. */
export class DatabaseSecretMoves implements MovedItems<DueSecretMove> {
  constructor(private readonly pool: pg.Pool) {}

  async due(of?: Due): Promise<readonly DueSecretMove[]> {
    const { rows } = await reading(() => this.pool.query('SELECT * FROM keyward.due_secret_moves($1, $2)', [of?.tenant, of?.subject]));
    return parsed('due_secret_moves', z.array(dueRow), rows);
  }

  async waiting({ tenant, fromVersionId, cursor }: DueSecretMove, most: number): Promise<readonly WaitingItem[]> {
    const values = [tenant, fromVersionId, cursor, most];
    const { rows } = await reading(() => this.pool.query('SELECT * FROM keyward.secrets_to_move($1, $2, $3, $4)', values));
    return parsed('secrets_to_move', z.array(waitingRow), rows);
  }

  async settle({ project, epochs, validUntil, items, bodies }: SettledItems<DueSecretMove>): Promise<boolean> {
    const { ids, moved, codes } = itemColumns(items);
    const values = [...recordColumns(project, epochs, validUntil, bodies), project.cursor, ids, moved, codes];
    return (await recordedBy(this.pool, 'settle_secret_moves', values, 'moving data keys of secrets failed')) !== undefined;
  }

  async suspend(project: DueSecretMove, reason: ProblemCode, epochs: Epochs, body: RecordBody): Promise<void> {
    await suspendedBy(this.pool, 'suspend_secret_moves', project, reason, epochs, body);
  }

  async end({ tenant, operationId, cursor }: DueSecretMove, epochs: Epochs, body: RecordBody): Promise<boolean> {
    const values = [recordBytes(body), tenant, epochs.tenant, epochs.platform, operationId, cursor];
    return (await recordedBy(this.pool, 'end_secret_moves', values, 'ending a re-wrap failed')) !== undefined;
  }
}
