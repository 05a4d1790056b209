import fc from 'fast-check';
import {
  appendLeaf,
  consistencyProof,
  emptyTree,
  frontierAt,
  growTree,
  inclusionProof,
  leafHash,
  type ReadHashTile,
  rootOf,
  type TileNode,
  TileProofs,
  treeRoot,
} from './index.js';
import { hex } from './octets.js';

const SIZE = 70_000;
const leaves = Array.from({ length: SIZE }, (_, i) => leafHash(Uint8Array.of(i & 255, (i >> 8) & 255, i >> 16)));
const nodes: TileNode[] = [];
const tree = leaves.reduce((grown, leaf) => growTree(grown, leaf, (node) => nodes.push(node)), emptyTree());
const levels = [leaves, ...[1, 2].map((level) => nodes.filter((node) => node.level === level).map(({ hash }) => hash))];

let reads = 0;
const readTile: ReadHashTile = async (level, index, width) => {
  reads++;
  const hashes = levels[level]!.slice(256 * index, 256 * index + width);
  expect(hashes.length).toBe(width);
  return hashes;
};
beforeEach(() => void (reads = 0));

describe('the nodes above full tiles', () => {
  it('are told once each, in order, as roots of 256 to the power of their level', () => {
    for (const level of [1, 2]) {
      const span = 256 ** level;
      expect(levels[level]!.length).toBe(Math.floor(SIZE / span));
      levels[level]!.forEach((hash, index) => {
        if (index % 50 === 0) expect(hex(hash)).toBe(hex(treeRoot(leaves.slice(index * span, (index + 1) * span))));
      });
      expect(nodes.filter((node) => node.level === level).map(({ index }) => index)).toEqual(levels[level]!.map((_, index) => index));
    }
  });
});

describe('a frontier from tiles', () => {
  it('is the one that the leaves make', async () => {
    for (const size of [0, 1, 2, 255, 256, 257, 511, 512, 1000, 65_535, 65_536, 65_537, 69_999]) {
      const wanted = leaves.slice(0, size).reduce((grown, leaf) => appendLeaf(grown, leaf), emptyTree());
      expect(await frontierAt(size, readTile)).toEqual(wanted);
    }
  });

  it('is refused where hashes are missing', async () => {
    await expect(frontierAt(300, async (_, __, width) => leaves.slice(1, width))).rejects.toThrow(RangeError);
  });
});

describe('proofs from tiles', () => {
  const sizes = fc.oneof(fc.integer({ min: 1, max: SIZE }), fc.constantFrom(1, 2, 255, 256, 257, 512, 65_535, 65_536, 65_537, SIZE));

  it('have the root of the whole', async () => {
    for (const size of [1, 2, 3, 255, 256, 257, 1000, 65_536, 65_537])
      expect(hex(await new TileProofs(size, readTile).rootOf(0, size))).toBe(hex(treeRoot(leaves.slice(0, size))));
    expect(hex(await new TileProofs(SIZE, readTile).rootOf(0, SIZE))).toBe(hex(rootOf(tree)));
  });

  it('are the same as from all leaves', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(), async (size, other) => {
        const proofs = new TileProofs(size, readTile);
        const all = leaves.slice(0, size);
        expect((await proofs.inclusion(other % size)).map(hex)).toEqual(inclusionProof(all, other % size).map(hex));
        expect((await proofs.consistency(other % (size + 1))).map(hex)).toEqual(consistencyProof(all, other % (size + 1)).map(hex));
      }),
      { numRuns: 15 },
    );
  });

  it('read a few tiles of each level', async () => {
    await new TileProofs(SIZE, readTile).inclusion(300);
    expect(reads).toBeLessThan(8);
  });

  it.each([-1, 0.5, 10, 11])('refuse the place %p in a log of 10', async (place) => {
    const proofs = new TileProofs(10, readTile);
    await expect(proofs.inclusion(place)).rejects.toThrow(RangeError);
    if (place !== 10) await expect(proofs.consistency(place)).rejects.toThrow(RangeError);
  });
});
