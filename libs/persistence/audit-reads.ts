import type { DataSource, EntityManager } from 'typeorm';
import type { ListRecordsQuery, RecordsAnswer, TenantId } from '#contract';
import type { AuditReads } from '#core';
import { readTransaction } from './tenant-transaction.js';

/** At most two megabytes for each reader, however slowly it reads. */
const ENTRIES_A_PAGE = 256;
/** A filter that few records pass must not have one call read the whole log. */
const SCANNED_A_CALL = 20_000;

interface RecordRow {
  readonly seq: string;
  readonly bytes: Buffer;
  readonly leaf_hash: Buffer;
}

/** A tenant's log for its auditor: short read-only transactions, no lock that an append would wait for. */
export class DatabaseAuditReads implements AuditReads {
  constructor(private readonly source: DataSource) {}

  async records(tenant: TenantId, { fromSeq, limit, op, outcome, keyId, requestId }: ListRecordsQuery): Promise<RecordsAnswer> {
    const filters = Object.entries({ op, outcome, key_id: keyId, request_id: requestId }).filter(([, value]) => value !== undefined);
    const conditions = filters.map(([column], index) => `AND ${column} = $${index + 5}`).join(' ');
    const text = `SELECT seq, bytes FROM keyward.trail_record WHERE tenant_id = $1 AND seq >= $2 AND seq < $3 ${conditions} ORDER BY seq LIMIT $4`;
    return await readTransaction(this.source, tenant, async (manager) => {
      // First, because the log grows meanwhile: whatever is below this size can be seen by the next statement.
      const size = await sizeOf(manager, tenant);
      const end = Math.min(fromSeq + SCANNED_A_CALL, size);
      const rows: RecordRow[] = await manager.query(text, [tenant, fromSeq, end, limit + 1, ...filters.map(([, value]) => value)]);
      const items = rows.slice(0, limit).map((row): unknown => JSON.parse(row.bytes.toString()));
      const nextSeq = Number(rows[limit]?.seq ?? end);
      return { size, items, ...(nextSeq < size && { nextSeq }) };
    });
  }

  async checkpoint(tenant: TenantId): Promise<{ readonly note: string; readonly size: bigint } | undefined> {
    const text = 'SELECT note, size FROM keyward.trail_checkpoint WHERE tenant_id = $1';
    const rows: { note: string; size: string }[] = await readTransaction(this.source, tenant, (manager) => manager.query(text, [tenant]));
    return rows[0] && { note: rows[0].note, size: BigInt(rows[0].size) };
  }

  /** One short transaction a page: a long one would keep every dead version of the tenant's head. Ends early where a record is missing. */
  async *entries(tenant: TenantId, size: bigint): AsyncIterable<{ readonly bytes: Uint8Array; readonly leafHash: Uint8Array }> {
    const text =
      'SELECT seq, bytes, leaf_hash FROM keyward.trail_record WHERE tenant_id = $1 AND seq >= $2 AND seq < $3 ORDER BY seq LIMIT $4';
    for (let from = 0n; from < size; ) {
      const rows: RecordRow[] = await readTransaction(this.source, tenant, (manager) =>
        manager.query(text, [tenant, from, size, ENTRIES_A_PAGE]),
      );
      for (const row of rows) yield { bytes: row.bytes, leafHash: row.leaf_hash };
      const last = rows.at(-1);
      if (last === undefined) return;
      from = BigInt(last.seq) + 1n;
    }
  }
}

async function sizeOf(manager: EntityManager, tenant: TenantId): Promise<number> {
  const rows: { size: string }[] = await manager.query(
    'SELECT coalesce(max(seq) + 1, 0)::text AS size FROM keyward.trail_record WHERE tenant_id = $1',
    [tenant],
  );
  return Number(rows[0]?.size ?? 0);
}
