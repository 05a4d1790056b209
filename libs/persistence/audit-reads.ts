import type { DataSource, EntityManager } from 'typeorm';
import type { CheckpointsAnswer, ListCheckpointsQuery, ListRecordsQuery, RecordsAnswer } from '#contract';
import { type AuditReads, type Reader, StaleSnapshot, type StoredEntry } from '#core';
import { sqlState } from './connection.js';
import { readTransaction } from './tenant-transaction.js';

/** At most two megabytes for each reader, however slowly it reads. */
const ENTRIES_A_PAGE = 256;
const TILE_WIDTH = 256;
/** A filter that few records pass must not have one call read the whole log. */
const SCANNED_A_CALL = 20_000;
const CREDENTIAL_ENDED = 'KW001';

interface RecordRow {
  readonly seq: string;
  readonly bytes: Buffer;
  readonly leaf_hash: Buffer;
}

/** A tenant's log for its auditor: short read-only transactions, no lock that an append would wait for. */
export class DatabaseAuditReads implements AuditReads {
  constructor(private readonly source: DataSource) {}

  async records(reader: Reader, { fromSeq, limit, op, outcome, keyId, requestId }: ListRecordsQuery): Promise<RecordsAnswer> {
    const filters = Object.entries({ op, outcome, key_id: keyId, request_id: requestId }).filter(([, value]) => value !== undefined);
    const conditions = filters.map(([column], index) => `AND ${column} = $${index + 6}`).join(' ');
    const text = `SELECT seq, bytes FROM keyward.trail_record WHERE ${OWN} AND seq >= $3 AND seq < $4 ${conditions} ORDER BY seq LIMIT $5`;
    return await this.#reading(reader, async (query) => {
      // First, because the log grows meanwhile: whatever is below this size can be seen by the next statement.
      const [head] = await query<{ size: string }>(`SELECT coalesce(max(seq) + 1, 0)::text AS size FROM keyward.trail_record WHERE ${OWN}`);
      const size = Number(head?.size ?? 0);
      const end = Math.min(fromSeq + SCANNED_A_CALL, size);
      const rows = await query<RecordRow>(text, fromSeq, end, limit + 1, ...filters.map(([, value]) => value));
      const items = rows.slice(0, limit).map((row): unknown => JSON.parse(row.bytes.toString()));
      const nextSeq = Number(rows[limit]?.seq ?? end);
      return { size, items, ...(nextSeq < size && { nextSeq }) };
    });
  }

  async checkpoint(reader: Reader): Promise<{ readonly note: string; readonly size: bigint } | undefined> {
    const text = `SELECT note, size FROM keyward.trail_checkpoint WHERE ${OWN}`;
    const [row] = await this.#reading(reader, (query) => query<{ note: string; size: string }>(text));
    return row && { note: row.note, size: BigInt(row.size) };
  }

  async checkpoints(reader: Reader, { beforeSize, limit }: ListCheckpointsQuery): Promise<CheckpointsAnswer> {
    const text = `SELECT size, note, ${MICROSECONDS} AS at FROM keyward.signed_checkpoint
      WHERE ${OWN} AND size < coalesce($3, 9223372036854775807) ORDER BY size DESC LIMIT $4`;
    const rows = await this.#reading(reader, (query) =>
      query<{ size: string; note: string; at: string }>(text, beforeSize?.toString() ?? null, limit + 1),
    );
    const items = rows.slice(0, limit).map(({ size, note, at }) => ({ size: Number(size), signedAt: at, note }));
    const last = items.at(-1);
    return { items, ...(rows.length > limit && last !== undefined && { nextBeforeSize: last.size }) };
  }

  /** One short transaction a page: a long one would keep every dead version of the tenant's head. Ends early where a record is missing. */
  async *entries(reader: Reader, size: bigint): AsyncIterable<StoredEntry> {
    for (let from = 0n; from < size; ) {
      const rows = await this.#range(reader, from, size);
      yield* rows.map(entryOf);
      const last = rows.at(-1);
      if (last === undefined) return;
      from = BigInt(last.seq) + 1n;
    }
  }

  async tileEntries(reader: Reader, index: number, width: number): Promise<readonly StoredEntry[]> {
    const from = BigInt(index * TILE_WIDTH);
    return (await this.#range(reader, from, from + BigInt(width))).map(entryOf);
  }

  async tileHashes(reader: Reader, level: number, index: number, width: number): Promise<readonly Uint8Array[]> {
    const [from, to] = [index * TILE_WIDTH, index * TILE_WIDTH + width];
    const leaves = `SELECT leaf_hash AS hash FROM keyward.trail_record WHERE ${OWN} AND seq >= $3 AND seq < $4 ORDER BY seq`;
    const nodes = `SELECT hash FROM keyward.trail_node WHERE ${OWN} AND index >= $3 AND index < $4 AND level = $5 ORDER BY index`;
    const rows = await this.#reading(reader, (query) =>
      level === 0 ? query<{ hash: Buffer }>(leaves, from, to) : query<{ hash: Buffer }>(nodes, from, to, level),
    );
    return rows.map(({ hash }) => hash);
  }

  #range(reader: Reader, from: bigint, to: bigint): Promise<RecordRow[]> {
    const text = `SELECT seq, bytes, leaf_hash FROM keyward.trail_record WHERE ${OWN} AND seq >= $3 AND seq < $4 ORDER BY seq LIMIT $5`;
    return this.#reading(reader, (query) => query<RecordRow>(text, from.toString(), to.toString(), ENTRIES_A_PAGE));
  }

  /** Each statement begins with the tenant and the reader's credential, which it looks at itself. */
  #reading<Answer>({ tenant, credentialId }: Reader, work: (query: Query) => Promise<Answer>): Promise<Answer> {
    return readTransaction(this.source, tenant, async (manager) => {
      try {
        return await work((text, ...values) => rowsOf(manager, text, [tenant, credentialId, ...values]));
      } catch (error) {
        if (sqlState(error) === CREDENTIAL_ENDED) throw new StaleSnapshot();
        throw error;
      }
    });
  }
}

type Query = <Row>(text: string, ...values: readonly unknown[]) => Promise<Row[]>;

/** Evaluated once, before any row is looked at (migration 0020). */
const OWN = '(SELECT keyward.credential_must_hold($1, $2)) AND tenant_id = $1';
const MICROSECONDS = `to_char(signed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

const entryOf = ({ bytes, leaf_hash }: RecordRow): StoredEntry => ({ bytes, leafHash: leaf_hash });

/** The driver does not know what a row looks like. */
const rowsOf = <Row>(manager: EntityManager, text: string, values: readonly unknown[]): Promise<Row[]> => manager.query(text, [...values]);
