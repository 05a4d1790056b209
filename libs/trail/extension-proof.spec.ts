import { appendLeaf, consistencyProof, emptyTree, extensionProof, leafHash } from './index.js';
import { hex } from './octets.js';

const leaves = Array.from({ length: 70 }, (_, i) => leafHash(Uint8Array.of(i)));

it('the proof of growth from a frontier is the consistency proof from all leaves, for every pair of sizes', () => {
  let before = emptyTree();
  for (let from = 0; from <= leaves.length; from++) {
    for (let to = from; to <= leaves.length; to++) {
      const proof = extensionProof(before, leaves.slice(from, to));
      expect([from, to, ...proof.map(hex)]).toEqual([from, to, ...consistencyProof(leaves.slice(0, to), from).map(hex)]);
    }
    if (from < leaves.length) before = appendLeaf(before, leaves[from]!);
  }
});
