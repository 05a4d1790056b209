import type { Frontier } from './frontier.js';
import { treeRoot } from './proofs.js';
import { splitOf } from './tree-hash.js';

/**
 * Proof (RFC 9162 §2.1.4.1) that a tree grew from `before` by `leaves` (32 bytes each), by whoever has no more of it than that.
 * Empty when it grew from nothing, or not at all.
 */
export function extensionProof(before: Frontier, leaves: readonly Uint8Array[]): Uint8Array[] {
  const from = before.size;
  const rootOf = (lo: number, hi: number) => (lo >= from ? treeRoot(leaves.slice(lo - from, hi - from)) : nodeAt(before, lo));
  const path: Uint8Array[] = [];
  let [lo, hi] = [0, from === 0 ? 0 : from + leaves.length];
  while (from !== hi && hi !== 0) {
    const middle = lo + splitOf(hi - lo);
    path.unshift(from <= middle ? rootOf(middle, hi) : rootOf(lo, middle));
    [lo, hi] = from <= middle ? [lo, middle] : [middle, hi];
  }
  return lo === 0 ? path : [rootOf(lo, hi), ...path];
}

/** Whatever a proof needs of what was there before is a node of the frontier: the one that begins at leaf `lo`. */
function nodeAt({ size, nodes }: Frontier, lo: number): Uint8Array {
  let begin = 0;
  for (const node of nodes) {
    if (begin === lo) return node;
    begin += 2 ** Math.floor(Math.log2(size - begin));
  }
  throw new RangeError(`No node begins at leaf ${lo}.`);
}
