import { type Sha256, sha256 } from './sha256.js';

export const HASH_BYTES = 32;
// RFC 6962 §2.1: the prefixes keep a leaf from being passed off as a node.
const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** Hash of the leaf whose exact stored bytes these are: SHA-256(00 ‖ bytes), 32 bytes (RFC 6962 §2.1). */
export const leafHash = (bytes: Uint8Array): Uint8Array => sha256(LEAF, bytes);

/** Hash of the node over two subtrees: SHA-256(01 ‖ left ‖ right), 32 bytes (RFC 6962 §2.1). */
export const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array => sha256(NODE, left, right);

export interface TreeHasher {
  readonly leafHash: (bytes: Uint8Array) => Uint8Array;
  readonly nodeHash: (left: Uint8Array, right: Uint8Array) => Uint8Array;
}

/** The same hashes by another SHA-256. For one caller: it has buffers of its own. */
export function treeHasher(sha256: Sha256): TreeHasher {
  let leaf = new Uint8Array(16_384);
  const node = new Uint8Array(1 + 2 * HASH_BYTES);
  node.set(NODE);
  return {
    leafHash: (bytes) => {
      if (bytes.length >= leaf.length) leaf = new Uint8Array(2 * bytes.length + 1);
      leaf.set(bytes, 1);
      return sha256(leaf.subarray(0, bytes.length + 1));
    },
    nodeHash: (left, right) => {
      node.set(left, 1);
      node.set(right, 1 + HASH_BYTES);
      return sha256(node);
    },
  };
}

/** Root of the tree without leaves: SHA-256 of nothing. */
export const EMPTY_ROOT: Uint8Array = sha256();

/** The largest power of two below `size` (≥ 2): where RFC 6962 splits a tree. */
export function splitOf(size: number): number {
  let split = 1;
  while (split * 2 < size) split *= 2;
  return split;
}
