import { type KeyLink, TILE_WIDTH } from '#contract';
import { concat, utf8 } from './octets.js';
import { CHECKPOINTS_FILE, disclosuresFile, KEYS_FILE, linesOf } from './read-bundle.js';
import { tarEnd, tarFile } from './tar.js';
import { encodeEntries, tilePath } from './tiles.js';

/** A record as the database holds it: its exact bytes, and the leaf hash (32 bytes) stored beside them. */
export interface BundleEntry {
  readonly bytes: Uint8Array;
  readonly leafHash: Uint8Array;
  /** Of the personal fields that this record was the first to carry, those that are not erased: base64url, as RFC 9901 has them. */
  readonly disclosures?: readonly string[] | undefined;
}

export interface BundleSource {
  /** A signed note. */
  readonly checkpoint: string;
  /** Verifier keys of the log. */
  readonly vkeys: readonly string[];
  /** How its keys followed from one another, the oldest first. */
  readonly rotations?: readonly KeyLink[] | undefined;
  /** Smaller checkpoints of the same log, in their order: they narrow down where a log was tampered with. */
  readonly checkpoints?: readonly string[] | undefined;
  /** Leaf hashes of the records that were pruned, 256 at a time. */
  readonly pruned?: AsyncIterable<Uint8Array> | undefined;
  /** From the first that was not pruned on, in order. */
  readonly entries: AsyncIterable<BundleEntry>;
}

/**
 * A log as a tar of `checkpoint`, `vkey` (one key a line), where there are any `keys.jsonl` (one key link a line) and `checkpoints.jsonl` (one JSON string a line), and, for each 256 records, `tile/entries/<N>` and `tile/0/<N>`
 * (C2SP tlog-tiles); beside a tile, where its records have any, `disclosures/<N>.jsonl` (one JSON string a line). The hashes are the stored ones, not computed ones: beside the signed root they show which record was changed.
 * Checks nothing, holds at most 256 records at a time. @throws RangeError for a record over 65,535 bytes
 */
export async function* writeBundle({
  checkpoint,
  vkeys,
  rotations = [],
  checkpoints = [],
  pruned,
  entries,
}: BundleSource): AsyncGenerator<Uint8Array> {
  yield tarFile({ path: 'checkpoint', bytes: utf8(checkpoint) });
  yield tarFile({ path: 'vkey', bytes: utf8(vkeys.map((key) => `${key}\n`).join('')) });
  if (rotations.length > 0) yield tarFile({ path: KEYS_FILE, bytes: linesOf(rotations) });
  if (checkpoints.length > 0) yield tarFile({ path: CHECKPOINTS_FILE, bytes: linesOf(checkpoints) });
  let index = 0;
  for await (const bytes of pruned ?? []) yield tarFile({ path: tilePath('0', index++, TILE_WIDTH), bytes });
  let tile: BundleEntry[] = [];
  for await (const entry of entries) {
    tile.push(entry);
    if (tile.length < TILE_WIDTH) continue;
    yield* tileFiles(index++, tile);
    tile = [];
  }
  if (tile.length > 0) yield* tileFiles(index, tile);
  yield tarEnd();
}

function* tileFiles(index: number, tile: readonly BundleEntry[]): Generator<Uint8Array> {
  yield tarFile({ path: tilePath('entries', index, tile.length), bytes: encodeEntries(tile.map(({ bytes }) => bytes)) });
  yield tarFile({ path: tilePath('0', index, tile.length), bytes: concat(...tile.map(({ leafHash }) => leafHash)) });
  const disclosures = tile.flatMap((entry) => entry.disclosures ?? []);
  if (disclosures.length > 0) yield tarFile({ path: disclosuresFile(index), bytes: linesOf(disclosures) });
}
