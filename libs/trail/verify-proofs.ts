import { equalBytes } from './octets.js';
import { EMPTY_ROOT, nodeHash } from './tree-hash.js';

type Hash = Uint8Array;
const isSize = (value: number) => Number.isSafeInteger(value) && value >= 0;
const half = (value: number) => Math.floor(value / 2);
const isOdd = (value: number) => value % 2 === 1;

/** Whether `proof` shows that the leaf stands at `index` in the tree of `size` leaves with this root (RFC 9162 §2.1.3.2). */
export function verifyInclusion(claim: { index: number; size: number; leafHash: Hash; root: Hash; proof: readonly Hash[] }): boolean {
  const { index, size, leafHash, root, proof } = claim;
  if (!isSize(index) || !isSize(size) || index >= size) return false;
  let [node, last, hash] = [index, size - 1, leafHash];
  for (const sibling of proof) {
    if (last === 0) return false;
    const isRight = isOdd(node) || node === last;
    hash = isRight ? nodeHash(sibling, hash) : nodeHash(hash, sibling);
    if (isRight) [node, last] = skipLoneLevels(node, last);
    [node, last] = [half(node), half(last)];
  }
  return last === 0 && equalBytes(hash, root);
}

/** Whether `proof` shows that the tree of `toSize` leaves began as the tree of `fromSize` (RFC 9162 §2.1.4.2). */
export function verifyConsistency(claim: {
  fromSize: number;
  fromRoot: Hash;
  toSize: number;
  toRoot: Hash;
  proof: readonly Hash[];
}): boolean {
  const { fromSize, fromRoot, toSize, toRoot, proof } = claim;
  if (!isSize(fromSize) || !isSize(toSize) || fromSize > toSize) return false;
  if (fromSize === 0) return proof.length === 0 && equalBytes(fromRoot, EMPTY_ROOT);
  if (fromSize === toSize) return proof.length === 0 && equalBytes(fromRoot, toRoot);

  let [node, last] = [fromSize - 1, toSize - 1];
  while (isOdd(node)) [node, last] = [half(node), half(last)];
  // A perfect beginning is itself the first node of the path, so the proof leaves it out.
  const [start, ...path] = node === 0 ? [fromRoot, ...proof] : proof;
  if (start === undefined) return false;
  let [before, now] = [start, start];
  for (const sibling of path) {
    if (last === 0) return false;
    if (isOdd(node) || node === last) {
      [before, now] = [nodeHash(sibling, before), nodeHash(sibling, now)];
      [node, last] = skipLoneLevels(node, last);
    } else {
      now = nodeHash(now, sibling);
    }
    [node, last] = [half(node), half(last)];
  }
  return last === 0 && equalBytes(before, fromRoot) && equalBytes(now, toRoot);
}

/** The last node of a level may have no sibling for some levels: it moves up unhashed. */
function skipLoneLevels(node: number, last: number): [number, number] {
  while (!isOdd(node) && node !== 0) [node, last] = [half(node), half(last)];
  return [node, last];
}
