import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { decode26, encode26, type KeyVersionId, versionIdBytes } from '#contract';
import { type CipherSpec, type CiphertextKind, ciphertextHeader, frameCiphertext, HEADER_BYTES, parseCiphertext } from './ciphertext.js';
import { DecryptFailed } from './errors.js';
import { newKeyVersionId } from './identifiers.js';

interface Vector {
  desc: string;
  kind: CiphertextKind;
  spec?: CipherSpec;
  versionId: KeyVersionId;
  iv: string;
  sealed: string;
  want: string;
}
const vectors = JSON.parse(readFileSync('test/vectors/ciphertext-v1.json', 'utf8')) as Vector[];
const unhex = (text: string) => Buffer.from(text, 'hex');

describe('ciphertext v1', () => {
  it.each(vectors)('$desc', ({ kind, spec, versionId, iv, sealed, want }) => {
    const header = ciphertextHeader(kind, versionId, spec);
    const framed = frameCiphertext(header, unhex(iv), unhex(sealed));
    expect(Buffer.from(framed).toString('hex')).toBe(want + Buffer.from(versionIdBytes(versionId)).toString('hex') + iv + sealed);
    expect(header).toHaveLength(HEADER_BYTES);
    expect(parseCiphertext(framed)).toMatchObject({ kind, versionId });
  });

  it('comes apart into what it was made of', () => {
    fc.assert(
      fc.property(
        fc.constantFrom<CiphertextKind>('direct', 'dataKey'),
        fc.uint8Array({ minLength: 12, maxLength: 12 }),
        fc.uint8Array({ minLength: 17, maxLength: 200 }),
        (kind, iv, sealed) => {
          const versionId = newKeyVersionId(1_700_000_000_000);
          const parsed = parseCiphertext(frameCiphertext(ciphertextHeader(kind, versionId), iv, sealed));
          expect(parsed).toMatchObject({ kind, versionId });
          expect(Buffer.from(parsed.iv).equals(iv) && Buffer.from(parsed.sealed).equals(sealed)).toBe(true);
        },
      ),
    );
  });

  it.each([
    ['too short', (good: Buffer) => good.subarray(0, 49)],
    ['another magic', (good: Buffer) => Buffer.concat([Buffer.from('XX'), good.subarray(2)])],
    ['another format version', (good: Buffer) => Buffer.concat([good.subarray(0, 2), Uint8Array.of(2), good.subarray(3)])],
    ['an unknown kind', (good: Buffer) => Buffer.concat([good.subarray(0, 3), Uint8Array.of(3), good.subarray(4)])],
    ['an unknown algorithm', (good: Buffer) => Buffer.concat([good.subarray(0, 4), Uint8Array.of(0), good.subarray(5)])],
    ['nothing', () => Buffer.alloc(0)],
  ])('is refused like any other failed decryption: %s', (_, spoil) => {
    const good = Buffer.from(frameCiphertext(ciphertextHeader('direct', newKeyVersionId(0)), Buffer.alloc(12), Buffer.alloc(17)));
    expect(() => parseCiphertext(spoil(good))).toThrow(DecryptFailed);
  });
});

describe('26 characters for 16 bytes', () => {
  it('and back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
        const text = encode26(bytes);
        expect(text).toMatch(/^[0-7][0-9a-hjkmnp-tv-z]{25}$/);
        expect(Buffer.from(decode26(text)).equals(bytes)).toBe(true);
        expect(BigInt(`0x${Buffer.from(bytes).toString('hex')}`)).toBe(
          [...text].reduce((n, c) => n * 32n + BigInt('0123456789abcdefghjkmnpqrstvwxyz'.indexOf(c)), 0n),
        );
      }),
    );
  });
});
