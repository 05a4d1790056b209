import type pg from 'pg';
import { z } from 'zod';
import { type TenantId, tenantId } from '#contract';
import type { Checkpoints, IdleLog, IdleLogs, LogToSign, TrailMonths, TrailNode } from '#core';
import { reading } from './database-error.js';

const LEAF_BYTES = 32;
/** Any number that no other part of the platform locks. */
const LEADER_LOCK = 7740;

const logRow = z.object({
  tenant_id: tenantId,
  log_id: z.string(),
  origin: z.string(),
  size: z.coerce.bigint(),
  signed_size: z.coerce.bigint(),
  keys: z.array(z.int()),
});

const idleRow = z.object({
  tenant_id: tenantId,
  log_id: z.string(),
  epoch: z.string(),
  platform_epoch: z.string(),
  size: z.coerce.bigint(),
  signed_size: z.coerce.bigint(),
});

/** The integrator's reads and writes; its role may call these functions and nothing else. */
export class DatabaseCheckpoints implements Checkpoints, IdleLogs, TrailMonths {
  constructor(private readonly pool: pg.Pool) {}

  async logsToSign(): Promise<readonly LogToSign[]> {
    const { rows } = await reading(() => this.pool.query('SELECT * FROM keyward.logs_to_sign()'));
    return z
      .array(logRow)
      .parse(rows)
      .map(({ tenant_id: tenant, log_id: logId, signed_size: signedSize, ...row }) => ({ ...row, tenant, logId, signedSize }));
  }

  /** @throws KeywardError unavailable also when a record in the range is missing */
  async leafHashes(tenant: TenantId, from: bigint, to: bigint): Promise<readonly Uint8Array[]> {
    return await reading(async () => {
      const { rows } = await this.pool.query<{ leaves: Buffer | null }>('SELECT keyward.leaf_hashes_of($1, $2, $3) AS leaves', [
        tenant,
        from,
        to,
      ]);
      const leaves = rows[0]?.leaves ?? Buffer.alloc(0);
      if (leaves.length !== Number(to - from) * LEAF_BYTES) throw new Error('Records are missing, or the range is too long.');
      return hashesIn(leaves);
    });
  }

  async tileHashes(tenant: TenantId, level: number, index: number, width: number): Promise<readonly Uint8Array[]> {
    const { rows } = await reading(() =>
      this.pool.query<{ hashes: Buffer | null }>('SELECT keyward.tile_hashes_of($1, $2, $3, $4) AS hashes', [tenant, level, index, width]),
    );
    return hashesIn(rows[0]?.hashes ?? Buffer.alloc(0));
  }

  async saveNodes(tenant: TenantId, nodes: readonly TrailNode[]): Promise<void> {
    if (nodes.length === 0) return;
    const values = [nodes.map(({ level }) => level), nodes.map(({ index }) => index), Buffer.concat(nodes.map(({ hash }) => hash))];
    await reading(() => this.pool.query('SELECT keyward.save_nodes($1, $2, $3, $4)', [tenant, ...values]));
  }

  async save(
    tenant: TenantId,
    { size, root, note }: { readonly size: bigint; readonly root: Uint8Array; readonly note: string },
  ): Promise<void> {
    await reading(() => this.pool.query('SELECT keyward.save_checkpoint($1, $2, $3, $4)', [tenant, size, Buffer.from(root), note]));
  }

  async rollUp(tenant: TenantId, size: bigint): Promise<void> {
    await reading(() => this.pool.query('SELECT keyward.roll_up($1, $2), keyward.count_contexts($1, $2)', [tenant, size]));
  }

  async ensureMonths(ahead: number): Promise<void> {
    await reading(() => this.pool.query('SELECT keyward.ensure_months($1)', [ahead]));
  }

  async idleLogs(sinceMs: number): Promise<readonly IdleLog[]> {
    const { rows } = await reading(() => this.pool.query(`SELECT * FROM keyward.idle_logs($1 * interval '1 millisecond')`, [sinceMs]));
    return z
      .array(idleRow)
      .parse(rows)
      .map((row) => ({
        ...{ tenant: row.tenant_id, logId: row.log_id, size: row.size, signedSize: row.signed_size },
        epochs: { tenant: row.epoch, platform: row.platform_epoch },
      }));
  }

  /** The lead is a lock of one session: it ends with the work, or with the connection. */
  async asLeader(work: () => Promise<void>): Promise<boolean> {
    const client = await reading(() => this.pool.connect());
    let unlocked = false;
    try {
      const { rows } = await reading(() => client.query<{ leads: boolean }>('SELECT pg_try_advisory_lock($1) AS leads', [LEADER_LOCK]));
      if (rows[0]?.leads !== true) {
        unlocked = true;
        return false;
      }
      await work();
      await reading(() => client.query('SELECT pg_advisory_unlock($1)', [LEADER_LOCK]));
      unlocked = true;
      return true;
    } finally {
      // A connection that may still hold the lock is closed, which lets it go.
      client.release(!unlocked);
    }
  }
}

/** Of a function's answer, 32 bytes each. */
export const hashesIn = (joined: Buffer): Uint8Array[] =>
  Array.from({ length: joined.length / LEAF_BYTES }, (_, index) => joined.subarray(index * LEAF_BYTES, (index + 1) * LEAF_BYTES));
