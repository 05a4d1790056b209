import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { nodeSpeed } from './node-speed.js';

const { sha256, latin1 } = nodeSpeed;

describe("node's own SHA-256 and decoder for the verifier", () => {
  it.each([
    ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
    ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
  ])('hashes the published example %j', (text, want) => {
    expect(Buffer.from(sha256(Buffer.from(text))).toString('hex')).toBe(want);
  });

  it('agrees with createHash on any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20_000, size: 'max' }), (bytes) => {
        expect(Buffer.from(sha256(bytes)).equals(createHash('sha256').update(bytes).digest())).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('spells one character a byte, of a part of a buffer too', () => {
    const all = Uint8Array.from({ length: 300 }, (_, byte) => byte);
    const characters = [...latin1(all.subarray(20, 256))].map((character) => character.charCodeAt(0));
    expect(characters).toEqual([...all.subarray(20, 256)]);
  });
});
