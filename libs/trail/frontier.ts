import { EMPTY_ROOT, HASH_BYTES, nodeHash, type TreeHasher } from './tree-hash.js';

/** A tile has 2^8 hashes. */
export const TILE_HEIGHT = 8;

/**
 * All that a log must remember to go on: the roots of the perfect subtrees that `size` leaves make, largest first
 * (a compact range from 0). At most 53 hashes.
 */
export interface Frontier {
  readonly size: number;
  readonly nodes: readonly Uint8Array[];
}

export const emptyTree = (): Frontier => ({ size: 0, nodes: [] });

/** The root of a full tile: a hash of the tile above it (C2SP tlog-tiles). */
export interface TileNode {
  /** Of the tile that it belongs to, from 1. */
  readonly level: number;
  /** Among all hashes of this level. */
  readonly index: number;
  readonly hash: Uint8Array;
}

/** The tree with one more leaf; `leafHash` is 32 bytes. The given one stays as it was. */
export const appendLeaf = (tree: Frontier, leafHash: Uint8Array): Frontier => growTree(tree, leafHash, () => undefined);

/** The same; `onTile` is told of each tile that this leaf completes, the lowest first; `hashOf` hashes nodes instead of our own SHA-256. */
export function growTree(
  { size, nodes }: Frontier,
  leafHash: Uint8Array,
  onTile: (node: TileNode) => void,
  hashOf: TreeHasher['nodeHash'] = nodeHash,
): Frontier {
  const kept = nodes.slice();
  let node = leafHash;
  let height = 0;
  for (let odd = size; odd % 2 === 1; odd = (odd - 1) / 2) {
    node = hashOf(kept.pop()!, node);
    height++;
    if (height % TILE_HEIGHT === 0) onTile({ level: height / TILE_HEIGHT, index: (odd - 1) / 2, hash: node });
  }
  kept.push(node);
  return { size: size + 1, nodes: kept };
}

/** RFC 6962 root (32 bytes) of the tree so far. */
export function rootOf({ nodes }: Frontier): Uint8Array {
  return nodes.length === 0 ? EMPTY_ROOT : nodes.reduceRight((right, left) => nodeHash(left, right));
}

/** u64 big-endian size ‖ the hashes. */
export function encodeFrontier({ size, nodes }: Frontier): Uint8Array {
  const bytes = new Uint8Array(8 + HASH_BYTES * nodes.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(size));
  nodes.forEach((node, i) => bytes.set(node, 8 + HASH_BYTES * i));
  return bytes;
}

/** @throws RangeError unless `encodeFrontier` could have made these bytes. */
export function decodeFrontier(bytes: Uint8Array): Frontier {
  if (bytes.length < 8) throw new RangeError('A frontier has at least 8 bytes.');
  const size = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0));
  const width = Number.isSafeInteger(size) ? size.toString(2).replaceAll('0', '').length : -1;
  if (bytes.length !== 8 + HASH_BYTES * width) throw new RangeError('A frontier has one hash for each bit of its size.');
  return { size, nodes: Array.from({ length: width }, (_, i) => bytes.slice(8 + HASH_BYTES * i, 8 + HASH_BYTES * (i + 1))) };
}
