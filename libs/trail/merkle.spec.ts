import fc from 'fast-check';
import { z } from 'zod';
import {
  appendLeaf,
  consistencyProof,
  decodeFrontier,
  emptyTree,
  encodeFrontier,
  inclusionProof,
  leafHash,
  rootOf,
  treeRoot,
  verifyConsistency,
  verifyInclusion,
} from './index.js';
import { hex } from './octets.js';
import { vectors } from './test/vectors.js';

const shape = z.object({
  leaves: z.array(z.string()),
  roots: z.array(z.object({ desc: z.string(), size: z.int(), want: z.string() })),
  inclusion: z.array(z.object({ desc: z.string(), index: z.int(), size: z.int(), want: z.array(z.string()) })),
  consistency: z.array(z.object({ desc: z.string(), from: z.int(), to: z.int(), want: z.array(z.string()) })),
});
const published = vectors('rfc6962.json', shape);
const leaves = published.leaves.map((text) => leafHash(Buffer.from(text, 'hex')));
const frontierOver = (hashes: readonly Uint8Array[]) => hashes.reduce(appendLeaf, emptyTree());

describe('the published vectors', () => {
  it.each(published.roots)('root: $desc', ({ size, want }) => {
    expect(hex(treeRoot(leaves.slice(0, size)))).toBe(want);
    expect(hex(rootOf(frontierOver(leaves.slice(0, size))))).toBe(want);
  });

  it.each(published.inclusion)('inclusion: $desc', ({ index, size, want }) => {
    const proof = inclusionProof(leaves.slice(0, size), index);
    expect(proof.map(hex)).toEqual(want);
    expect(verifyInclusion({ index, size, leafHash: leaves[index]!, root: treeRoot(leaves.slice(0, size)), proof })).toBe(true);
  });

  it.each(published.consistency)('consistency: $desc', ({ from, to, want }) => {
    const [before, after] = [leaves.slice(0, from), leaves.slice(0, to)];
    const proof = consistencyProof(after, from);
    expect(proof.map(hex)).toEqual(want);
    expect(verifyConsistency({ fromSize: from, fromRoot: treeRoot(before), toSize: to, toRoot: treeRoot(after), proof })).toBe(true);
  });
});

const tree = (size: number) => Array.from({ length: size }, (_, i) => leafHash(Uint8Array.of(i & 255, i >> 8)));
const someTree = fc.integer({ min: 1, max: 300 }).map(tree);
const treeAndPlace = someTree.chain((hashes) => fc.tuple(fc.constant(hashes), fc.nat(hashes.length - 1)));

/** The same bytes with one bit turned. */
function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const other = bytes.slice();
  const at = Math.floor(bit / 8) % bytes.length;
  other[at] = other[at]! ^ (1 << (bit % 8));
  return other;
}

describe('a frontier', () => {
  it('has the root of the whole tree at every size', () => {
    let frontier = emptyTree();
    const hashes = tree(300);
    hashes.forEach((hash, i) => {
      frontier = appendLeaf(frontier, hash);
      expect(hex(rootOf(frontier))).toBe(hex(treeRoot(hashes.slice(0, i + 1))));
    });
  });

  it('can be stored and taken up again', () => {
    fc.assert(
      fc.property(someTree, (hashes) => {
        const frontier = frontierOver(hashes);
        expect(decodeFrontier(encodeFrontier(frontier))).toEqual(frontier);
      }),
    );
  });

  it.each([[[]], [[0, 0, 0, 0, 0, 0, 0, 1]], [[255, 0, 0, 0, 0, 0, 0, 0]], [[0, 0, 0, 0, 0, 0, 0, 0, 1]]])(
    'refuses the bytes %j',
    (bytes) => {
      expect(() => decodeFrontier(Uint8Array.from(bytes))).toThrow(RangeError);
    },
  );
});

describe('an inclusion proof', () => {
  it('verifies for every leaf of every tree up to 70', () => {
    for (let size = 1; size <= 70; size++) {
      const hashes = tree(size);
      const root = treeRoot(hashes);
      hashes.forEach((leaf, index) => {
        expect(verifyInclusion({ index, size, leafHash: leaf, root, proof: inclusionProof(hashes, index) })).toBe(true);
      });
    }
  });

  it('fails for any bit turned in leaf, root or proof, for another place, and for a longer or shorter proof', () => {
    fc.assert(
      fc.property(treeAndPlace, fc.nat(), ([hashes, index], bit) => {
        const claim = {
          index,
          size: hashes.length,
          leafHash: hashes[index]!,
          root: treeRoot(hashes),
          proof: inclusionProof(hashes, index),
        };
        const wrong = [
          { ...claim, leafHash: flipped(claim.leafHash, bit) },
          { ...claim, root: flipped(claim.root, bit) },
          { ...claim, proof: [...claim.proof, claim.root] },
          { ...claim, index: hashes.length },
          { ...claim, index: -1 },
          { ...claim, index: index + 0.5 },
          { ...claim, index: (index + 1) % hashes.length, size: Math.max(2, hashes.length) },
          ...claim.proof.map((_, i) => ({ ...claim, proof: claim.proof.map((hash, at) => (at === i ? flipped(hash, bit) : hash)) })),
          ...(claim.proof.length > 0
            ? [
                { ...claim, proof: claim.proof.slice(1) },
                { ...claim, proof: claim.proof.slice(0, -1) },
              ]
            : []),
        ];
        expect(verifyInclusion(claim)).toBe(true);
        expect(wrong.map(verifyInclusion)).toEqual(wrong.map(() => false));
      }),
    );
  });

  it('is refused for a leaf that is not there', () => {
    expect(() => inclusionProof(tree(3), 3)).toThrow(RangeError);
    expect(() => inclusionProof([], 0)).toThrow(RangeError);
  });
});

describe('a consistency proof', () => {
  it('verifies between all trees up to 40', () => {
    for (let toSize = 0; toSize <= 40; toSize++) {
      const hashes = tree(toSize);
      for (let fromSize = 0; fromSize <= toSize; fromSize++) {
        const claim = {
          fromSize,
          fromRoot: treeRoot(hashes.slice(0, fromSize)),
          toSize,
          toRoot: treeRoot(hashes),
          proof: consistencyProof(hashes, fromSize),
        };
        expect(verifyConsistency(claim)).toBe(true);
      }
    }
  });

  it('fails for any bit turned in a root or the proof, and for a longer or shorter proof', () => {
    fc.assert(
      fc.property(treeAndPlace, fc.nat(), ([hashes, place], bit) => {
        const fromSize = place + 1;
        const [fromRoot, toRoot] = [treeRoot(hashes.slice(0, fromSize)), treeRoot(hashes)];
        const claim = { fromSize, fromRoot, toSize: hashes.length, toRoot, proof: consistencyProof(hashes, fromSize) };
        const wrong = [
          { ...claim, fromRoot: flipped(fromRoot, bit) },
          { ...claim, toRoot: flipped(toRoot, bit) },
          { ...claim, proof: [...claim.proof, toRoot] },
          { ...claim, fromSize: hashes.length + 1 },
          ...claim.proof.map((_, i) => ({ ...claim, proof: claim.proof.map((hash, at) => (at === i ? flipped(hash, bit) : hash)) })),
          ...(claim.proof.length > 0
            ? [
                { ...claim, proof: claim.proof.slice(1) },
                { ...claim, proof: claim.proof.slice(0, -1) },
              ]
            : []),
        ];
        expect(verifyConsistency(claim)).toBe(true);
        expect(wrong.map(verifyConsistency)).toEqual(wrong.map(() => false));
      }),
    );
  });

  it('is refused for a beginning that is longer than the tree', () => {
    expect(() => consistencyProof(tree(3), 4)).toThrow(RangeError);
  });
});
