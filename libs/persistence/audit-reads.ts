import type { DataSource, EntityManager } from 'typeorm';
import { z } from 'zod';
import {
  type CheckpointsAnswer,
  coveredUse,
  DEFAULT_RETENTION_DAYS,
  inventoryItem,
  type LeasesAnswer,
  type LeasesQuery,
  keyVersionId,
  type ListCheckpointsQuery,
  openLease,
  type KeyId,
  policyHistoryAnswer,
  type PolicyHistoryAnswer,
  type PolicyHistoryQuery,
  type ShreddingReceiptAnswer,
  STAT_INTERVALS,
  type StatsAnswer,
  type StatsQuery,
  TILE_WIDTH,
} from '#contract';
import {
  type AuditReads,
  type InventoryEntry,
  type LabelCoverage,
  type LaterLogKey,
  type Reader,
  type RecordsFilter,
  StaleSnapshot,
  type StoredEntry,
} from '#core';
import { disclosuresIn } from '#trail';
import { sqlState } from './connection.js';
import { receiptRow } from './list-answers.js';
import { isoTime, orNone, parsed } from './function-answer.js';
import { laterLogKey, type LaterLogKeyRow, laterLogKeys } from './log-keys.js';
import { readTransaction } from './tenant-transaction.js';
import { type StoredDisclosure, toldDisclosures } from './told-disclosures.js';

/** At most two megabytes for each reader, however slowly it reads. */
const ENTRIES_A_PAGE = 256;
/** A filter that few records pass must not have one call read the whole log. */
const SCANNED_A_CALL = 20_000;
const CREDENTIAL_ENDED = 'KW001';

/** Filters of a list, and the columns that hold copies for them. */
const COLUMNS = { op: 'op', outcome: 'outcome', keyId: 'key_id', principal: 'principal', requestId: 'request_id' } as const;

/** What the functions of migrations 0022, 0042 and 0071 answer. */
const inventoryEntry = inventoryItem.omit({ usableBy: true }).extend({
  createdAt: isoTime,
  lastUse: inventoryItem.shape.lastUse.unwrap().extend({ at: isoTime }).nullable(),
});
const openLeases = z.object({
  at: isoTime,
  next: z.int().nullable(),
  items: z.array(
    openLease.extend({
      recordedAt: isoTime,
      versionId: orNone(keyVersionId),
      maxUses: orNone(z.int()),
      maxBytes: orNone(z.int()),
    }),
  ),
});
const labelCoverage = z.object({
  coveredSize: z.int(),
  items: z.array(
    coveredUse.extend({
      lastAt: isoTime,
      versionId: orNone(keyVersionId),
      digest: orNone(z.string()),
    }),
  ),
});
const policyVersion = policyHistoryAnswer.shape.items.element.extend({ publishedAt: isoTime });

interface StatRow {
  readonly covered: string;
  readonly at: Date | null;
  readonly op: string;
  readonly outcome: string;
  readonly count: string;
}

interface RecordRow {
  readonly seq: string;
  readonly bytes: Buffer;
  readonly leaf_hash: Buffer;
  readonly disclosures?: string[] | null;
}

/** A tenant's log for its auditor: short read-only transactions, no lock that an append would wait for. */
export class DatabaseAuditReads implements AuditReads {
  constructor(private readonly source: DataSource) {}

  async records(reader: Reader, { fromSeq, limit, from, to, asOf, ...named }: RecordsFilter): ReturnType<AuditReads['records']> {
    const filters = Object.entries(COLUMNS).flatMap(([name, column]) => {
      const value = named[name as keyof typeof COLUMNS];
      return value === undefined ? [] : [{ column, values: [value].flat() }];
    });
    const conditions = filters.map(({ column }, index) => `AND ${column} = ANY ($${index + 6})`).join(' ');
    const text = `SELECT seq, bytes FROM keyward.trail_record WHERE ${OWN} AND seq >= $3 AND seq < $4 ${conditions} ORDER BY seq LIMIT $5`;
    return await this.#reading(reader, async (query) => {
      // First, because the log grows meanwhile: whatever is below this size can be seen by the next statement.
      const [head] = await query<{ size: string }>(`SELECT coalesce(max(seq) + 1, 0)::text AS size FROM keyward.trail_record WHERE ${OWN}`);
      const size = Number(head?.size ?? 0);
      const at = async (time: string) => Number((await query<{ seq: string }>(SEQ_AT, time))[0]?.seq ?? 0);
      const begin = Math.max(fromSeq, from === undefined ? 0 : await at(from));
      const last = Math.min(size, asOf ?? size, to === undefined ? size : await at(to));
      const end = Math.min(begin + SCANNED_A_CALL, last);
      const rows = await query<RecordRow>(text, begin, end, limit + 1, ...filters.map(({ values }) => values));
      const texts = rows.slice(0, limit).map(({ bytes }) => bytes.toString());
      const items = texts.map((text): unknown => JSON.parse(text));
      const digests = [...new Set(texts.flatMap(disclosuresIn))].map((digest) => Buffer.from(digest, 'base64url'));
      const told = toldDisclosures(digests.length === 0 ? [] : await query<StoredDisclosure>(DISCLOSURES, digests));
      const nextSeq = Number(rows[limit]?.seq ?? end);
      return { size, items, ...told, ...(nextSeq < last && { nextSeq }) };
    });
  }

  async checkpoint(reader: Reader): Promise<{ readonly note: string; readonly size: bigint } | undefined> {
    const text = `SELECT note, size FROM keyward.trail_checkpoint WHERE ${OWN}`;
    const [row] = await this.#reading(reader, (query) => query<{ note: string; size: string }>(text));
    return row && { note: row.note, size: BigInt(row.size) };
  }

  async checkpoints(reader: Reader, { beforeSize, limit, spread }: ListCheckpointsQuery): Promise<CheckpointsAnswer> {
    if (spread) return { items: await this.#spreadCheckpoints(reader, beforeSize, limit) };
    const text = `SELECT size, note, ${MICROSECONDS} AS at FROM keyward.signed_checkpoint
      WHERE ${OWN} AND size < coalesce($3, 9223372036854775807) ORDER BY size DESC LIMIT $4`;
    const rows = await this.#reading(reader, (query) =>
      query<{ size: string; note: string; at: string }>(text, beforeSize?.toString() ?? null, limit + 1),
    );
    const items = rows.slice(0, limit).map(({ size, note, at }) => ({ size: Number(size), signedAt: at, note }));
    const last = items.at(-1);
    return { items, ...(rows.length > limit && last !== undefined && { nextBeforeSize: last.size }) };
  }

  async checkpointOfSize(reader: Reader, size: number): Promise<string | undefined> {
    const text = `SELECT note FROM keyward.signed_checkpoint WHERE ${OWN} AND size = $3`;
    return (await this.#reading(reader, (query) => query<{ note: string }>(text, size)))[0]?.note;
  }

  async retention(reader: Reader): ReturnType<AuditReads['retention']> {
    const text = `SELECT min_index, days FROM keyward.log_retention WHERE ${OWN}`;
    const [row] = await this.#reading(reader, (query) => query<{ min_index: string; days: number }>(text));
    return { minIndex: Number(row?.min_index ?? 0), days: row?.days ?? DEFAULT_RETENTION_DAYS };
  }

  async logKeys(reader: Reader): Promise<readonly LaterLogKey[]> {
    const rows = await this.#reading(reader, (query) => query<LaterLogKeyRow>(laterLogKeys(OWN)));
    return rows.map(laterLogKey);
  }

  async stats(reader: Reader, { interval, from, to, keyId }: StatsQuery): Promise<StatsAnswer> {
    // One statement: what is counted and how far are of one instant.
    const text = `SELECT coalesce((SELECT h.covered_size FROM keyward.trail_stat_head h WHERE h.tenant_id = $1), 0)::text AS covered, s.* FROM (SELECT 1) one
      LEFT JOIN (SELECT date_bin($3::integer * interval '1 second', minute, 'epoch') AS at, op, outcome, sum(count)::text AS count
        FROM keyward.trail_stat WHERE ${OWN} AND minute >= $4::timestamptz AND minute < $5::timestamptz AND ($6::text IS NULL OR key_id = $6)
        GROUP BY 1, 2, 3) s ON true ORDER BY at, op, outcome`;
    const rows = await this.#reading(reader, (query) => query<StatRow>(text, STAT_INTERVALS[interval], from, to, keyId ?? null));
    const items = rows.flatMap(({ at, op, outcome, count }) =>
      at === null ? [] : [{ at: at.toISOString(), operation: op, outcome, count: Number(count) }],
    );
    return { coveredSize: Number(rows[0]?.covered ?? 0), items };
  }

  async inventory(
    reader: Reader,
    { after, most }: { readonly after: string | undefined; readonly most: number },
  ): Promise<InventoryEntry[]> {
    const rows = await this.#reading(reader, (query) => query<{ answer: unknown }>(INVENTORY, after ?? null, most));
    return parsed('key_inventory', z.array(inventoryEntry), rows[0]?.answer);
  }

  async shreddingReceipt(reader: Reader, id: KeyId): Promise<ShreddingReceiptAnswer | undefined> {
    const [row] = await this.#reading(reader, (query) => query<{ answer: unknown }>(RECEIPT, id));
    return parsed('shredding_receipt', receiptRow.nullable(), row?.answer ?? null) ?? undefined;
  }

  async policyHistory(reader: Reader, { beforeVersion, limit }: PolicyHistoryQuery): Promise<PolicyHistoryAnswer> {
    const rows = await this.#reading(reader, (query) => query<{ answer: unknown }>(POLICIES, beforeVersion ?? null, limit + 1));
    const found = parsed('policy_history', z.array(policyVersion), rows[0]?.answer);
    const items = found.slice(0, limit);
    const last = items.at(-1);
    return { items, ...(found.length > limit && last !== undefined && { nextBeforeVersion: last.version }) };
  }

  async leases(reader: Reader, { cursor = 0, keyId, principal, limit }: LeasesQuery): Promise<LeasesAnswer> {
    const scope = [keyId ?? null, principal ?? null];
    const rows = await this.#reading(reader, (query) => query<{ answer: unknown }>(LEASES, cursor, ...scope, limit));
    const { next, ...answer } = parsed('open_leases', openLeases, rows[0]?.answer);
    return { ...answer, ...(next !== null && { nextCursor: String(next) }) };
  }

  async coverage(reader: Reader, digests: readonly string[]): Promise<LabelCoverage> {
    const rows = await this.#reading(reader, (query) => query<{ answer: unknown }>(COVERAGE, [...digests], MOST_COVERED));
    return parsed('label_coverage', labelCoverage, rows[0]?.answer);
  }

  /** One short transaction a page: a long one would keep every dead version of the tenant's head. Ends early where a record is missing. */
  async *entries(reader: Reader, first: bigint, size: bigint): AsyncIterable<StoredEntry> {
    for (let from = first; from < size; ) {
      const rows = await this.#range(reader, from, size, DISCLOSED);
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
    const leaves = `SELECT hash FROM (
        SELECT seq, leaf_hash AS hash FROM keyward.trail_record WHERE ${OWN} AND seq >= $3 AND seq < $4
        UNION ALL
        SELECT 256 * index + n, substring(hashes FROM 32 * n + 1 FOR 32) FROM keyward.pruned_tile, generate_series(0, 255) n
          WHERE ${OWN} AND index = $3 / 256 AND 256 * index + n < $4) l ORDER BY seq`;
    const nodes = `SELECT hash FROM keyward.trail_node WHERE ${OWN} AND index >= $3 AND index < $4 AND level = $5 ORDER BY index`;
    const rows = await this.#reading(reader, (query) =>
      level === 0 ? query<{ hash: Buffer }>(leaves, from, to) : query<{ hash: Buffer }>(nodes, from, to, level),
    );
    return rows.map(({ hash }) => hash);
  }

  /** One look into the index for each part of the log: the smallest checkpoint that reaches its end. */
  async #spreadCheckpoints(reader: Reader, beforeSize: number | undefined, limit: number): Promise<CheckpointsAnswer['items']> {
    const text = `SELECT DISTINCT c.size, c.note, c.at FROM
        (SELECT least($3::bigint, max(size) + 1) AS ends FROM keyward.signed_checkpoint WHERE ${OWN}) log,
        generate_series(1, $4::integer) part,
        LATERAL (SELECT size, note, ${MICROSECONDS} AS at FROM keyward.signed_checkpoint
          WHERE tenant_id = $1 AND size >= part * log.ends / $4::integer AND size < log.ends ORDER BY size LIMIT 1) c
      ORDER BY c.size DESC`;
    const rows = await this.#reading(reader, (query) =>
      query<{ size: string; note: string; at: string }>(text, beforeSize?.toString() ?? null, limit),
    );
    return rows.map(({ size, note, at }) => ({ size: Number(size), signedAt: at, note }));
  }

  #range(reader: Reader, from: bigint, to: bigint, also = ''): Promise<RecordRow[]> {
    const text = `SELECT seq, bytes, leaf_hash${also} FROM keyward.trail_record r WHERE ${OWN} AND seq >= $3 AND seq < $4 ORDER BY seq LIMIT $5`;
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
const DISCLOSURES = `SELECT digest, disclosure FROM keyward.trail_disclosure WHERE ${OWN} AND digest = ANY ($3) ORDER BY seq, name`;
const SEQ_AT = 'SELECT keyward.seq_at($1, $3)::text AS seq WHERE (SELECT keyward.credential_must_hold($1, $2))';
const INVENTORY = 'SELECT keyward.key_inventory($1, $2, $3, $4) AS answer';
const RECEIPT = 'SELECT keyward.shredding_receipt($1, $2, $3) AS answer';
const POLICIES = 'SELECT keyward.policy_history($1, $2, $3, $4) AS answer';
const COVERAGE = 'SELECT keyward.label_coverage($1, $2, $3, $4) AS answer';
const MOST_COVERED = 1000;
const LEASES = 'SELECT keyward.open_leases($1, $2, $3, $4, $5, $6) AS answer';
const DISCLOSED = `, (SELECT array_agg(d.disclosure ORDER BY d.name) FROM keyward.trail_disclosure d WHERE d.tenant_id = r.tenant_id AND d.seq = r.seq) AS disclosures`;
const MICROSECONDS = `to_char(signed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

const entryOf = ({ bytes, leaf_hash, disclosures }: RecordRow): StoredEntry => ({
  bytes,
  leafHash: leaf_hash,
  ...(disclosures && { disclosures }),
});

/** The driver does not know what a row looks like. */
const rowsOf = <Row>(manager: EntityManager, text: string, values: readonly unknown[]): Promise<Row[]> => manager.query(text, [...values]);
