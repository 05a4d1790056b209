import { EMPTY_ROOT, nodeHash, splitOf } from './tree-hash.js';

/** Root over 32-byte leaf hashes, by the definition of RFC 6962 §2.1; for a growing log use a frontier. */
export function treeRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return EMPTY_ROOT;
  if (leaves.length === 1) return leaves[0]!;
  const split = splitOf(leaves.length);
  return nodeHash(treeRoot(leaves.slice(0, split)), treeRoot(leaves.slice(split)));
}

/**
 * Audit path (RFC 9162 §2.1.3.1) of the leaf at `index` in the tree over all `leaves`, lowest hash first.
 * @throws RangeError when there is no such leaf
 */
export function inclusionProof(leaves: readonly Uint8Array[], index: number): Uint8Array[] {
  if (!Number.isSafeInteger(index) || index < 0 || index >= leaves.length)
    throw new RangeError(`There is no leaf ${index} in a tree of ${leaves.length}.`);
  if (leaves.length === 1) return [];
  const split = splitOf(leaves.length);
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)];
  return index < split ? [...inclusionProof(left, index), treeRoot(right)] : [...inclusionProof(right, index - split), treeRoot(left)];
}

/**
 * Proof (RFC 9162 §2.1.4.1) that the tree over the first `from` leaves is the beginning of the tree over all of them.
 * Empty for 0 and for all. @throws RangeError when `from` is larger than the tree
 */
export function consistencyProof(leaves: readonly Uint8Array[], from: number): Uint8Array[] {
  if (!Number.isSafeInteger(from) || from < 0 || from > leaves.length)
    throw new RangeError(`A tree of ${leaves.length} has no beginning of ${from}.`);
  return from === 0 ? [] : subproof(leaves, from, true);
}

/** SUBPROOF of RFC 9162; `known` while the verifier already has the root of what is left. */
function subproof(leaves: readonly Uint8Array[], from: number, known: boolean): Uint8Array[] {
  if (from === leaves.length) return known ? [] : [treeRoot(leaves)];
  const split = splitOf(leaves.length);
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)];
  return from <= split ? [...subproof(left, from, known), treeRoot(right)] : [...subproof(right, from - split, false), treeRoot(left)];
}
