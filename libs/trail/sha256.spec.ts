import { createHash, hash } from 'node:crypto';
import fc from 'fast-check';
import { hex, utf8 } from './octets.js';
import { type Sha256, sha256 } from './sha256.js';
import { leafHash, nodeHash, treeHasher } from './tree-hash.js';

const IMPLEMENTATIONS: readonly (readonly [whose: string, Sha256])[] = [
  ['our own', sha256],
  ["the platform's", (bytes) => hash('sha256', bytes, 'buffer')],
];

describe.each(IMPLEMENTATIONS)('%s SHA-256', (_, sha256: Sha256) => {
  // FIPS 180-4's examples.
  it.each([
    ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
    ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    ['abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq', '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1'],
    ['a'.repeat(1_000_000), 'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0'],
  ])('hashes the published examples', (text, want) => {
    expect(hex(sha256(utf8(text)))).toBe(want);
  });

  it('hashes leaves and nodes as the library does, whatever length follows whatever', () => {
    const hasher = treeHasher(sha256);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40_000, size: 'max' }), (bytes) =>
        expect(hex(hasher.leafHash(bytes))).toBe(hex(leafHash(bytes))),
      ),
      { numRuns: 40 },
    );
    for (const length of [16_383, 16_384, 0]) {
      const bytes = new Uint8Array(length).fill(7);
      expect(hex(hasher.leafHash(bytes))).toBe(hex(leafHash(bytes)));
    }
    const [left, right] = [leafHash(utf8('left')), leafHash(utf8('right'))];
    expect(hex(hasher.nodeHash(left, right))).toBe(hex(nodeHash(left, right)));
  });
});

describe('our own SHA-256', () => {
  it('agrees with another implementation at every length around a block', () => {
    for (let length = 0; length <= 260; length++) {
      const bytes = new Uint8Array(length).fill(length);
      expect(hex(sha256(bytes))).toBe(createHash('sha256').update(bytes).digest('hex'));
    }
  });

  it('agrees with another implementation on any parts', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40_000, size: 'max' }), { maxLength: 4 }), (parts) => {
        expect(hex(sha256(...parts))).toBe(createHash('sha256').update(Buffer.concat(parts)).digest('hex'));
      }),
      { numRuns: 60 },
    );
  });
});
