import type pg from 'pg';
import { z } from 'zod';
import { keyId, type KeyId, keyVersionId, tenantId, type TenantId } from '#contract';
import {
  type Destruction,
  type Due,
  type DueDeletion,
  type Endings,
  type OwedReceipt,
  type StoredKey,
  type Tombstone,
  type TombstoneCursor,
  type TombstoneReads,
} from '#core';
import { reading } from './database-error.js';
import { parsed, recordedBy } from './function-answer.js';
import { recordBytes } from './record-bytes.js';
import { DatabaseRules } from './rule-store.js';

const dueRow = z
  .object({ tenant_id: tenantId, key_id: keyId, due: z.string(), due_at: z.date(), log_id: z.string() })
  .transform(
    ({ tenant_id, key_id, due, due_at, log_id }): DueDeletion => ({ tenant: tenant_id, keyId: key_id, due, dueAt: due_at, logId: log_id }),
  );
const tombstoneColumns = z.object({
  ...{ tenant_id: tenantId, key_id: keyId, destroyed_at: z.date(), mac: z.instanceof(Buffer), version_ids: z.array(keyVersionId) },
});
const tombstoneOf = ({ tenant_id, key_id, destroyed_at, mac, version_ids }: z.infer<typeof tombstoneColumns>): Tombstone => ({
  ...{ tenant: tenant_id, keyId: key_id, versionIds: version_ids, destroyedAt: destroyed_at.toISOString(), mac },
});
const tombstoneRow = tombstoneColumns.transform(tombstoneOf);
const owedRow = tombstoneColumns
  .extend({ seq: z.coerce.bigint(), origin: z.string(), log_key: z.int(), root: z.int(), root_ended_at: z.date().nullable() })
  .transform(
    ({ seq, origin, log_key: logKey, root, root_ended_at, ...row }): OwedReceipt => ({
      ...tombstoneOf(row),
      ...{ seq, origin, logKey, root, rootEndedAt: root_ended_at?.toISOString() },
    }),
  );

/** What the worker may see and do of keys that end; its role may call these functions and nothing else. */
export class DatabaseEndings implements Endings {
  readonly #rules: DatabaseRules;

  constructor(private readonly pool: pg.Pool) {
    this.#rules = new DatabaseRules(pool);
  }

  async dueDeletions(of?: Due): Promise<readonly DueDeletion[]> {
    const sql = 'SELECT d.*, d.due::timestamptz AS due_at FROM keyward.due_deletions($1, $2) d';
    const { rows } = await reading(() => this.pool.query(sql, [of?.tenant, of?.subject]));
    return parsed('due_deletions', z.array(dueRow), rows);
  }

  async key(tenant: TenantId, id: KeyId): Promise<StoredKey | undefined> {
    return (await this.#rules.key(tenant, { reference: id })).key;
  }

  async destroy({ tenant, keyId: id, due, body, tombstoneMac, versions }: Destruction): Promise<bigint | undefined> {
    const values = [
      ...[recordBytes(body), tenant, id, due, Buffer.from(tombstoneMac)],
      ...[versions.map(({ versionId }) => versionId), versions.map(({ mac }) => Buffer.from(mac))],
    ];
    return await recordedBy(this.pool, 'destroy_key', values, 'destruction failed');
  }

  async receiptsOwed(of?: Due): Promise<readonly OwedReceipt[]> {
    const sql = 'SELECT o.*, keyward.newest_log_key(o.tenant_id) AS log_key FROM keyward.receipts_owed($1, $2) o';
    const { rows } = await reading(() => this.pool.query(sql, [of?.tenant, of?.subject]));
    return parsed('receipts_owed', z.array(owedRow), rows);
  }

  async saveReceipt({ tenant, keyId: id, root }: OwedReceipt, note: string): Promise<void> {
    await reading(() => this.pool.query('SELECT keyward.save_receipt($1, $2, $3, $4)', [tenant, id, note, root]));
  }
}

/** Every process that has a custodian reads them. */
export class DatabaseTombstones implements TombstoneReads {
  constructor(private readonly pool: pg.Pool) {}

  async tombstonesSince({ since, afterKey }: TombstoneCursor, most: number): Promise<readonly Tombstone[]> {
    const { rows } = await reading(() =>
      this.pool.query('SELECT * FROM keyward.tombstones_since($1, $2, $3)', [since.toISOString(), afterKey, most]),
    );
    return parsed('tombstones_since', z.array(tombstoneRow), rows);
  }
}
