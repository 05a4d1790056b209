import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { nodeSha256 } from './node-sha256.js';

describe("node's SHA-256 for the verifier", () => {
  it.each([
    ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
    ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
  ])('hashes the published example %j', (text, want) => {
    expect(Buffer.from(nodeSha256(Buffer.from(text))).toString('hex')).toBe(want);
  });

  it('agrees with createHash on any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20_000, size: 'max' }), (bytes) => {
        expect(Buffer.from(nodeSha256(bytes)).equals(createHash('sha256').update(bytes).digest())).toBe(true);
      }),
      { numRuns: 60 },
    );
  });
});
