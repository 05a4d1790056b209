import { sha256 } from './sha256.js';

export const HASH_BYTES = 32;
// RFC 6962 §2.1: the prefixes keep a leaf from being passed off as a node.
const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** Hash of the leaf whose exact stored bytes these are: SHA-256(00 ‖ bytes), 32 bytes (RFC 6962 §2.1). */
export const leafHash = (bytes: Uint8Array): Uint8Array => sha256(LEAF, bytes);

/** Hash of the node over two subtrees: SHA-256(01 ‖ left ‖ right), 32 bytes (RFC 6962 §2.1). */
export const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array => sha256(NODE, left, right);

/** Root of the tree without leaves: SHA-256 of nothing. */
export const EMPTY_ROOT: Uint8Array = sha256();

/** The largest power of two below `size` (≥ 2): where RFC 6962 splits a tree. */
export function splitOf(size: number): number {
  let split = 1;
  while (split * 2 < size) split *= 2;
  return split;
}
