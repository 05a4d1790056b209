import { TILE_WIDTH } from '#contract';
import { type Checkpoints, type DeliveredRecord, type Deliveries, keyLinks } from '#core';
import type { Egress } from '#http';
import { encodeEntries, HASH_BYTES, KEYS_FILE, recordProofOf, tilePath } from '#trail';
import { BucketStore } from './bucket-store.js';
import { type Batch, DeliveryFailed, type Destination, type Sender } from './sender.js';

const TEST_KEY = 'keyward-test';

/**
 * A bucket in the layout of C2SP tlog-tiles, which is verified like the log itself. One step is one tile of records with the hashes that it
 * completes; the checkpoint is written last, so that whoever reads it finds all that it covers.
 */
export class Buckets implements Sender<'s3'> {
  /** Each checkpoint leaves a few tiles that are not full. */
  readonly restMs = 10_000;

  constructor(
    private readonly egress: Pick<Egress, 'exchange'>,
    private readonly hashes: Pick<Checkpoints, 'tileHashes'>,
    private readonly log: Pick<Deliveries, 'laterLogKeys' | 'minIndex'>,
  ) {}

  async deliver(to: Destination<'s3'>, { from, read }: Batch): Promise<number> {
    const { sink } = to;
    const bucket = new BucketStore(this.egress, to);
    const index = Math.floor(from / TILE_WIDTH);
    // Where a log ended in the middle of a tile, the longer one holds these records again.
    const width = Math.min(TILE_WIDTH, sink.signed.size - index * TILE_WIDTH);
    const next = index * TILE_WIDTH + width;
    // Of what was pruned the hashes stay (C2SP tlog-tiles): with them the rest verifies.
    const isPruned = next <= (await this.log.minIndex(sink));
    const records = isPruned ? [] : await read(index * TILE_WIDTH, width);
    if (!isPruned && records.length < width)
      throw new DeliveryFailed(`record ${index * TILE_WIDTH + records.length} is missing from the log`);
    await Promise.all([
      isPruned ? this.#putHashes(bucket, to, { level: 0, index, width }) : this.#putRecords(bucket, records, { index, width }),
      ...tilesAbove(next, next === sink.signed.size).map((tile) => this.#putHashes(bucket, to, tile)),
    ]);
    if (next === sink.signed.size) {
      await this.#putKeys(bucket, to);
      await bucket.put('checkpoint', Buffer.from(sink.signed.note));
    }
    return next;
  }

  /** Twice the same, the second time only if it is not there: a store that replaces it would replace records as well. */
  async test(to: Destination<'s3'>): Promise<void> {
    const bucket = new BucketStore(this.egress, to);
    const body = Buffer.from('Keyward was here.\n');
    await bucket.put(TEST_KEY, body);
    if (!(await bucket.refusesToReplace(TEST_KEY, body))) throw new DeliveryFailed('the store does not heed If-None-Match: *');
  }

  /** The log's keys, and what leads from the first to the one that signs now. */
  async #putKeys(bucket: BucketStore, { sink }: Destination<'s3'>): Promise<void> {
    const readTile = (level: number, index: number, width: number) => this.hashes.tileHashes(sink.tenant, level, index, width);
    const { vkeys, rotations } = await keyLinks(await this.log.laterLogKeys(sink), { recordProof: recordProofOf }, readTile);
    await bucket.put('vkey', lines([...vkeys, sink.log.vkey]));
    if (rotations.length > 0) await bucket.put(KEYS_FILE, lines(rotations.map((link) => JSON.stringify(link))));
  }

  async #putRecords(bucket: BucketStore, records: readonly DeliveredRecord[], { index, width }: Omit<Tile, 'level'>): Promise<void> {
    await Promise.all([
      bucket.putOnce(tilePath('entries', index, width), encodeEntries(records.map(({ bytes }) => bytes))),
      bucket.putOnce(tilePath('0', index, width), Buffer.concat(records.map(({ leafHash }) => leafHash))),
    ]);
  }

  async #putHashes(bucket: BucketStore, { sink }: Destination<'s3'>, { level, index, width }: Tile): Promise<void> {
    const hashes = await this.hashes.tileHashes(sink.tenant, level, index, width);
    if (hashes.length !== width || hashes.some((hash) => hash.length !== HASH_BYTES))
      throw new DeliveryFailed(`hashes of level ${level} are missing`);
    await bucket.putOnce(tilePath(`${level}`, index, width), Buffer.concat(hashes));
  }
}

const lines = (texts: readonly string[]): Buffer => Buffer.from(texts.map((text) => `${text}\n`).join(''));

interface Tile {
  readonly level: number;
  readonly index: number;
  readonly width: number;
}

/** Tiles above level 0 that the record before `size` completes; where the log `ends` there, those that are not full, too. */
export function tilesAbove(size: number, ends: boolean): Tile[] {
  const tiles: Tile[] = [];
  for (let level = 1, hashes = Math.floor(size / TILE_WIDTH); hashes > 0; level++, hashes = Math.floor(hashes / TILE_WIDTH)) {
    const index = Math.floor((hashes - 1) / TILE_WIDTH);
    const width = hashes - index * TILE_WIDTH;
    const completed = width === TILE_WIDTH && size % TILE_WIDTH ** (level + 1) === 0;
    if (completed || (ends && width < TILE_WIDTH)) tiles.push({ level, index, width });
  }
  return tiles;
}
