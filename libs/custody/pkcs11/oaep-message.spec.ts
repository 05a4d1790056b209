import {
  constants,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  privateEncrypt,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { z } from 'zod';
import { ImportRefused } from '../import-refused.js';
import { oaepMessage } from './oaep-message.js';

const published = z
  .object({
    groups: z.array(
      z.object({
        privateKey: z.record(z.string(), z.string()),
        cases: z.array(z.object({ desc: z.string(), want: z.string(), ciphertext: z.string() })),
      }),
    ),
  })
  .parse(JSON.parse(readFileSync('test/vectors/oaep-sha256.json', 'utf8')));

/** node:crypto pads, this takes it off; and the other way it is asked what it thinks of a block that was changed. */
describe('the message of an OAEP block', () => {
  let pair: { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
  beforeAll(() => {
    pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
  });

  const OAEP = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' } as const;
  const raw = (ciphertext: Buffer) => privateDecrypt({ key: pair.privateKey, padding: constants.RSA_NO_PADDING }, ciphertext);
  const blockOf = (message: Buffer, how: object = OAEP) => raw(publicEncrypt({ key: pair.publicKey, ...how }, message));
  const refusal = (block: Buffer, length = 32) => {
    try {
      oaepMessage(block, length);
    } catch (error) {
      return error;
    }
    throw new Error('It was taken.');
  };
  const REFUSED = new ImportRefused('notMaterial');

  it('is what was padded, whatever its length; the block is wiped', () => {
    const lengths = fc.uint8Array({ minLength: 1, maxLength: 190 });
    fc.assert(
      fc.property(lengths, (bytes) => {
        const [message, block] = [Buffer.from(bytes), blockOf(Buffer.from(bytes))];
        expect(oaepMessage(block, message.length)).toEqual(message);
        expect(block).toEqual(Buffer.alloc(256));
      }),
      { numRuns: 50 },
    );
  });

  it('is refused when any bit is another one, as node:crypto refuses it, always with the same error', () => {
    const bits = fc.record({ at: fc.nat(255), bit: fc.nat(7) });
    fc.assert(
      fc.property(bits, ({ at, bit }) => {
        const block = blockOf(randomBytes(32));
        block[at]! ^= 1 << bit;
        const [copy, error] = [Buffer.from(block), refusal(block)];
        expect(error).toStrictEqual(REFUSED);
        expect(block).toEqual(Buffer.alloc(256));
        // Above the modulus there is no such ciphertext.
        if (copy[0] === 0) expect(() => again(copy)).toThrow();
      }),
      { numRuns: 300 },
    );
  });
  const again = (block: Buffer) =>
    privateDecrypt({ key: pair.privateKey, ...OAEP }, publicEncrypt({ key: pair.publicKey, padding: constants.RSA_NO_PADDING }, block));

  it('is refused at each byte of the block', () => {
    const block = blockOf(randomBytes(32));
    for (let at = 0; at < block.length; at++) {
      const changed = Buffer.from(block);
      changed[at]! ^= 0x01;
      expect(refusal(changed)).toStrictEqual(REFUSED);
    }
    // The same block, unchanged.
    expect(oaepMessage(block, 32)).toHaveLength(32);
  });

  const others: Record<string, () => Buffer> = {
    'a message one byte shorter': () => blockOf(randomBytes(31)),
    'a message one byte longer': () => blockOf(randomBytes(33)),
    'no message': () => blockOf(Buffer.alloc(0)),
    'a message that ends in the separator and 32 zeros': () => blockOf(Buffer.concat([Buffer.of(1), Buffer.alloc(32)])),
    'OAEP with SHA-1': () => blockOf(randomBytes(32), { ...OAEP, oaepHash: 'sha1' }),
    'OAEP with a label': () => blockOf(randomBytes(32), { ...OAEP, oaepLabel: Buffer.from('label') }),
    'PKCS #1 v1.5': () => blockOf(randomBytes(32), { padding: constants.RSA_PKCS1_PADDING }),
    'a signature': () => raw(publicEncrypt({ key: pair.publicKey, padding: constants.RSA_NO_PADDING }, signed())),
    zeros: () => Buffer.alloc(256),
  };
  const signed = () => raw(privateEncrypt(pair.privateKey, randomBytes(32)));
  it.each(Object.entries(others))('is not in %s', (_what, make) => {
    expect(refusal(make())).toStrictEqual(REFUSED);
  });

  const cases = published.groups.flatMap(({ privateKey, cases: of }) => of.map((one) => ({ ...one, privateKey })));
  it.each(cases)('is the published one: $desc', ({ privateKey, want, ciphertext }) => {
    const key = createPrivateKey({ key: privateKey, format: 'jwk' });
    const block = privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, Buffer.from(ciphertext, 'hex'));
    expect(oaepMessage(block, want.length / 2).toString('hex')).toBe(want);
  });

  it('fits, or the caller is wrong', () => {
    expect(oaepMessage(blockOf(randomBytes(190)), 190)).toHaveLength(190);
    expect(() => oaepMessage(Buffer.alloc(256), 191)).toThrow(RangeError);
  });
});
