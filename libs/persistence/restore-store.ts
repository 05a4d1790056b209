import type pg from 'pg';
import { z } from 'zod';
import { type KeyId, type RecordBody, tenantId, type TenantId } from '#contract';
import { type LogHead, type RestoreStop, type RestoreStore, type StoredKey, TrailUnavailable } from '#core';
import { frontierAt, rootOf } from '#trail';
import { hashesIn } from './checkpoint-store.js';
import { sqlState } from './connection.js';
import { reading } from './database-error.js';
import { calling, parsed } from './function-answer.js';
import { recordBytes } from './record-bytes.js';
import { DatabaseRules } from './rule-store.js';

const headRow = z
  .object({ tenant_id: tenantId, log_id: z.string(), size: z.coerce.bigint(), root: z.int() })
  .transform(({ tenant_id, log_id, ...row }): LogHead => ({ ...row, tenant: tenant_id, logId: log_id }));

/** The key plane's, across tenants: what it may do here only takes away. */
export class DatabaseRestores implements RestoreStore {
  readonly #rules: DatabaseRules;

  constructor(private readonly pool: pg.Pool) {
    this.#rules = new DatabaseRules(pool);
  }

  async logHeads(after: string, most: number): Promise<readonly LogHead[]> {
    const { rows } = await reading(() => this.pool.query('SELECT * FROM keyward.log_heads($1, $2)', [after, most]));
    return parsed('log_heads', z.array(headRow), rows);
  }

  async key(tenant: TenantId, id: KeyId): Promise<StoredKey | undefined> {
    return (await this.#rules.key(tenant, { reference: id })).key;
  }

  async destroyAgain(tenant: TenantId, id: KeyId, body: RecordBody): Promise<bigint | undefined> {
    return await this.#recorded('destroy_again', [recordBytes(body), tenant, id]);
  }

  async treeRoot(tenant: TenantId, size: bigint): Promise<Uint8Array | undefined> {
    try {
      return rootOf(await frontierAt(Number(size), (level, index, width) => this.#hashes(tenant, level, index, width)));
    } catch (error) {
      if (error instanceof RangeError) return undefined;
      throw error;
    }
  }

  async #hashes(...tile: [tenant: TenantId, level: number, index: number, width: number]): Promise<Uint8Array[]> {
    const { rows } = await reading(() =>
      this.pool.query<{ hashes: Buffer | null }>('SELECT keyward.tile_hashes_of($1, $2, $3, $4) AS hashes', tile),
    );
    return hashesIn(rows[0]?.hashes ?? Buffer.alloc(0));
  }

  async stopRestored(tenant: TenantId, { stopId, reason, fewerThan }: RestoreStop, body: RecordBody): Promise<bigint | undefined> {
    return await this.#recorded('stop_restored', [recordBytes(body), tenant, stopId, reason, fewerThan ?? null]);
  }

  async #recorded(name: string, values: readonly unknown[]): Promise<bigint | undefined> {
    try {
      const { rows } = await this.pool.query<{ answer: string | null }>(calling(name, values), [...values]);
      return rows[0]?.answer == null ? undefined : BigInt(rows[0].answer);
    } catch (error) {
      throw new TrailUnavailable(`${name} failed: ${sqlState(error) ?? 'outcome unknown'}`);
    }
  }
}
