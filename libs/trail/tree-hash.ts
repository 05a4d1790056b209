import { type Sha256, sha256 } from './sha256.js';

export const HASH_BYTES = 32;
// RFC 6962 §2.1: the prefixes keep a leaf from being passed off as a node.
const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** Hash of the leaf whose exact stored bytes these are: SHA-256(00 ‖ bytes), 32 bytes (RFC 6962 §2.1). */
export const leafHash = (bytes: Uint8Array): Uint8Array => sha256(LEAF, bytes);

/** Hash of the node over two subtrees: SHA-256(01 ‖ left ‖ right), 32 bytes (RFC 6962 §2.1). */
export const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array => sha256(NODE, left, right);

/** `leafHash` by another SHA-256. For one caller: it has a buffer of its own. Nodes are so short that ours is as fast as any. */
export function leafHasher(sha256: Sha256): (bytes: Uint8Array) => Uint8Array {
  let leaf = new Uint8Array(16_384);
  return (bytes) => {
    if (bytes.length >= leaf.length) leaf = new Uint8Array(2 * bytes.length + 1);
    leaf.set(bytes, 1);
    return sha256(leaf.subarray(0, bytes.length + 1));
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
