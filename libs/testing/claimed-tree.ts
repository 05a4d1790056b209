import type { ClaimedTree } from '#core';
import { consistencyProof, leafHash, treeRoot } from '#trail';

/** A tree as the worker claims it: of so many records, with its proof from `from` records. Trees of another `fork` have another first record. */
export function aTree(size: number, from = 0, fork = 0): ClaimedTree {
  const leaves = Array.from({ length: size }, (_, i) => leafHash(Uint8Array.of(i === 0 ? fork : 0, i & 255, i >> 8)));
  return { size: BigInt(size), root: treeRoot(leaves), proof: consistencyProof(leaves, Math.min(from, size)) };
}
