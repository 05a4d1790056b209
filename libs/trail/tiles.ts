import { TILE_WIDTH } from '#contract';
import { concat } from './octets.js';
import { HASH_BYTES } from './tree-hash.js';

export const MAX_ENTRY_BYTES = 65_535;

/** A level of hashes, or the records themselves. */
export type TileKind = 'entries' | `${number}`;

/**
 * Path of a tile (C2SP tlog-tiles): `tile/<level>/<N>` for hashes, `tile/entries/<N>` for entries; N in groups of three digits, all but
 * the last with an `x` before; `.p/<W>` for a tile of `width` < 256.
 */
export function tilePath(kind: TileKind, index: number, width: number): string {
  const digits = String(index);
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/.../g) ?? [];
  const path = groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join('/');
  return `tile/${kind}/${path}${width < TILE_WIDTH ? `.p/${width}` : ''}`;
}

/** Each entry after its length as u16 big-endian (C2SP tlog-tiles). @throws RangeError for an entry over 65,535 bytes */
export function encodeEntries(entries: readonly Uint8Array[]): Uint8Array {
  return concat(...entries.flatMap((entry) => [lengthOf(entry), entry]));
}

/** @throws RangeError unless the lengths add up to the whole. */
export function decodeEntries(tile: Uint8Array): Uint8Array[] {
  const entries: Uint8Array[] = [];
  for (let at = 0; at < tile.length; ) {
    const [high, low] = [tile[at], tile[at + 1]];
    if (high === undefined || low === undefined) throw new RangeError('An entry tile ends within a length.');
    const end = at + 2 + (high << 8) + low;
    if (end > tile.length) throw new RangeError('An entry tile ends within an entry.');
    entries.push(tile.subarray(at + 2, end));
    at = end;
  }
  return entries;
}

/** @throws RangeError unless it is whole hashes. */
export function decodeHashes(tile: Uint8Array): Uint8Array[] {
  if (tile.length % HASH_BYTES !== 0) throw new RangeError('A hash tile ends within a hash.');
  return Array.from({ length: tile.length / HASH_BYTES }, (_, i) => tile.subarray(HASH_BYTES * i, HASH_BYTES * (i + 1)));
}

function lengthOf(entry: Uint8Array): Uint8Array {
  if (entry.length > MAX_ENTRY_BYTES) throw new RangeError(`An entry has more than ${MAX_ENTRY_BYTES} bytes.`);
  return Uint8Array.of(entry.length >> 8, entry.length & 0xff);
}
