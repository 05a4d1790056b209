import { type KeyLink, TILE_WIDTH } from '#contract';
import type { ByteReader } from './byte-reader.js';
import { parseKeyLinks } from './key-links.js';
import { fromUtf8, utf8 } from './octets.js';
import { readTar, type TarFile } from './tar.js';
import { decodeEntries, decodeHashes, tilePath } from './tiles.js';

/** Up to 256 records with their stored leaf hashes, as many of the one as of the other; of a tile that was pruned only the 256 hashes. */
export interface BundleTile {
  readonly entries: readonly Uint8Array[];
  readonly hashes: readonly Uint8Array[];
  /** Of personal fields that these records carry: base64url, as RFC 9901 has them. */
  readonly disclosures?: readonly string[];
}

/** A whole log, wherever it comes from. Nothing of it is verified. */
export interface Bundle {
  readonly checkpoint: string;
  /** Verifier keys, as they claim to be the log's. */
  readonly vkeys: readonly string[];
  /** How its keys followed from one another, the oldest first; none where it has had only one. */
  readonly rotations?: readonly KeyLink[] | undefined;
  /** Whoever serves the log says that records below it were pruned: a multiple of 256; 0 or absent where none were, or nobody says. */
  readonly minIndex?: number | undefined;
  /** Smaller checkpoints of the log, in their order; there may be none. */
  readonly checkpoints: readonly string[];
  /** From record 0 on; to be read once. @throws BundleRefused */
  readonly tiles: AsyncIterable<BundleTile>;
}

export class BundleRefused extends Error {
  constructor(
    readonly code: 'malformed-bundle' | 'wrong-tile-width' | 'missing-tile',
    detail: string,
    cause?: unknown,
  ) {
    super(detail, { cause });
    this.name = 'BundleRefused';
  }
}

export const KEYS_FILE = 'keys.jsonl';
export const CHECKPOINTS_FILE = 'checkpoints.jsonl';
/** Of tile `index`. */
export const disclosuresFile = (index: number): string => `disclosures/${tilePath('0', index, TILE_WIDTH).slice('tile/0/'.length)}.jsonl`;
/** One JSON value a line. */
export const linesOf = (texts: readonly unknown[]): Uint8Array => utf8(texts.map((text) => `${JSON.stringify(text)}\n`).join(''));

/**
 * Opens what `writeBundle` wrote: these files in this order and no others. Reads all but the tiles; these are read as they are asked
 * for, one in memory at a time. Verifies nothing. @throws BundleRefused
 */
export async function readBundle(reader: ByteReader): Promise<Bundle> {
  const files = readTar(reader);
  const checkpoint = textOf(await nextFile(files), 'checkpoint');
  const keys = textOf(await nextFile(files), 'vkey');
  if (!keys.endsWith('\n')) throw malformed('Its vkey file does not end in a newline.');
  let next = await nextFile(files);
  let [rotations, checkpoints]: [KeyLink[], string[]] = [[], []];
  if (next?.path === KEYS_FILE) {
    rotations = parseKeyLinks(textOf(next, KEYS_FILE));
    next = await nextFile(files);
  }
  if (next?.path === CHECKPOINTS_FILE) {
    checkpoints = linesIn(next, CHECKPOINTS_FILE);
    next = await nextFile(files);
  }
  return { checkpoint, vkeys: keys.slice(0, -1).split('\n'), rotations, checkpoints, tiles: readTiles(files, next) };
}

function linesIn(file: TarFile | undefined, path: string): string[] {
  const text = textOf(file, path);
  try {
    return text
      .trimEnd()
      .split('\n')
      .map((line) => {
        const one: unknown = JSON.parse(line);
        if (typeof one !== 'string') throw new SyntaxError('not a string');
        return one;
      });
  } catch (cause) {
    throw malformed(`Its ${path} is not one JSON string a line.`, cause);
  }
}

async function* readTiles(files: AsyncGenerator<TarFile>, first: TarFile | undefined): AsyncGenerator<BundleTile> {
  let width = TILE_WIDTH;
  let file = first;
  let index = 0;
  // Of pruned records the hashes are all there is.
  for (; file?.path === tilePath('0', index, TILE_WIDTH); index++, file = await nextFile(files)) {
    const hashes = decode(decodeHashes, file);
    requirePath(file, '0', index, hashes.length);
    yield { entries: [], hashes };
  }
  for (; file !== undefined; index++) {
    if (width < TILE_WIDTH) throw new BundleRefused('wrong-tile-width', 'A tile follows one that is not full.');
    const entries = decode(decodeEntries, file);
    const hashFile = await nextFile(files);
    const hashes = decode(decodeHashes, hashFile);
    width = entries.length;
    requirePath(file, 'entries', index, width);
    requirePath(hashFile, '0', index, hashes.length);
    if (hashes.length !== width) throw new BundleRefused('wrong-tile-width', `Tile ${index} has not as many hashes as records.`);
    file = await nextFile(files);
    const disclosing = file?.path === disclosuresFile(index) ? file : undefined;
    yield { entries, hashes, ...(disclosing && { disclosures: linesIn(disclosing, disclosing.path) }) };
    if (disclosing !== undefined) file = await nextFile(files);
  }
}

function requirePath(file: TarFile | undefined, kind: '0' | 'entries', index: number, width: number): void {
  const full = tilePath(kind, index, TILE_WIDTH);
  if (file?.path !== full && !file?.path.startsWith(`${full}.p/`)) throw malformed(`It has another file where ${full} should be.`);
  if (width < 1 || width > TILE_WIDTH || file.path !== tilePath(kind, index, width))
    throw new BundleRefused('wrong-tile-width', `${file.path} does not have as many as its name says.`);
}

async function nextFile(files: AsyncGenerator<TarFile>): Promise<TarFile | undefined> {
  try {
    const next = await files.next();
    return next.done === true ? undefined : next.value;
  } catch (cause) {
    throw cause instanceof RangeError ? malformed(cause.message, cause) : cause;
  }
}

function textOf(file: TarFile | undefined, path: string): string {
  if (file?.path !== path) throw malformed(`It has no ${path} where one should be.`);
  try {
    return fromUtf8(file.bytes);
  } catch (cause) {
    throw malformed(`Its ${path} is not UTF-8.`, cause);
  }
}

function decode(read: (tile: Uint8Array) => Uint8Array[], file: TarFile | undefined): Uint8Array[] {
  if (file === undefined) throw malformed('A tile of hashes is missing.');
  try {
    return read(file.bytes);
  } catch (cause) {
    throw malformed(cause instanceof RangeError ? cause.message : 'A tile is unreadable.', cause);
  }
}

const malformed = (detail: string, cause?: unknown) => new BundleRefused('malformed-bundle', detail, cause);
