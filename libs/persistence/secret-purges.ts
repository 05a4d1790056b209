import type pg from 'pg';
import { z } from 'zod';
import { type RecordBody, secretId, secretName, tenantId } from '#contract';
import type { Due, DuePurge, SecretPurges } from '#core';
import { reading } from './database-error.js';
import { parsed, recordedBy } from './function-answer.js';
import { recordBytes } from './record-bytes.js';

const dueRow = z
  .object({ tenant_id: tenantId, secret_id: secretId, name: secretName, due: z.string(), due_at: z.date(), log_id: z.string() })
  .transform(
    ({ tenant_id, secret_id, name, due, due_at, log_id }): DuePurge => ({
      ...{ tenant: tenant_id, secretId: secret_id, name },
      ...{ due, dueAt: due_at, logId: log_id },
    }),
  );

/** What the worker may do with secrets whose wait is over: the functions of migration 0111, and nothing else. */
export class DatabaseSecretPurges implements SecretPurges {
  constructor(private readonly pool: pg.Pool) {}

  async duePurges(of?: Due): Promise<readonly DuePurge[]> {
    const sql = 'SELECT d.*, d.due::timestamptz AS due_at FROM keyward.due_purges($1, $2) d';
    const { rows } = await reading(() => this.pool.query(sql, [of?.tenant, of?.subject]));
    return parsed('due_purges', z.array(dueRow), rows);
  }

  async purge({ tenant, secretId: id, due }: DuePurge, body: RecordBody): Promise<bigint | undefined> {
    return await recordedBy(this.pool, 'purge_secret', [recordBytes(body), tenant, id, due], 'purge failed');
  }
}
