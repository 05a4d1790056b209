import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { buildDecrypt } from '@aws-crypto/decrypt-node';
import { buildEncrypt } from '@aws-crypto/encrypt-node';
import { AlgorithmSuiteIdentifier, CommitmentPolicy } from '@aws-crypto/material-management-node';
import fc from 'fast-check';
import { KeywardClient } from '../client.js';
import { Envelope } from '../envelope.js';
import { FakeDataPlane } from '../test/fake-data-plane.js';
import { KeywardKeyring } from './index.js';

const OPTIONS = { commitmentPolicy: CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT, maxEncryptedDataKeys: 2 };
const aws = { ...buildEncrypt(OPTIONS), ...buildDecrypt(OPTIONS) };
const { ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY, ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY_ECDSA_P384 } =
  AlgorithmSuiteIdentifier;
const suiteOf = (signed: boolean) =>
  signed ? ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY_ECDSA_P384 : ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY;
const scope = { tenant: 'acme', keyId: 'alias/invoices' };

/** The AWS Encryption SDK is the oracle: what either writes, the other reads. */
describe('messages beside those of the AWS Encryption SDK', () => {
  let fake: FakeDataPlane;
  let client: KeywardClient;
  beforeAll(async () => {
    fake = await FakeDataPlane.start();
    client = new KeywardClient({ apiKey: 'kw_platform_x_y', url: fake.url });
  });
  afterAll(async () => {
    client.close();
    await fake.close();
  });

  const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 8 }).filter((text) => text.isWellFormed() && text !== '__proto__');
  const context = fc.dictionary(name, name, { maxKeys: 5, noNullPrototype: true }).map((pairs) => ({ ...pairs, purpose: 'invoice' }));
  const shapes = fc.record({
    context: fc.oneof(context, fc.constant({})),
    frameBytes: fc.integer({ min: 1, max: 100 }),
    // Ends beside and on the borders of frames.
    frames: fc.integer({ min: 0, max: 4 }),
    more: fc.integer({ min: -1, max: 1 }),
    chunk: fc.integer({ min: 1, max: 150 }),
    spareKeyId: fc.constantFrom(undefined, 'alias/spare'),
    signed: fc.boolean(),
  });
  const plaintextOf = ({ frames, frameBytes, more }: { frames: number; frameBytes: number; more: number }) =>
    randomBytes(Math.max(0, frames * frameBytes + more));
  const chunked = (bytes: Uint8Array, size: number) =>
    Readable.from(Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => Buffer.from(bytes.subarray(i * size, (i + 1) * size))));

  it('ours opens there', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, async (shape) => {
        const envelope = new Envelope(client, { frameBytes: shape.frameBytes });
        const plaintext = plaintextOf(shape);
        const message = await buffer(chunked(plaintext, shape.chunk).pipe(envelope.encryptStream({ ...scope, ...shape })));
        const opened = await aws.decrypt(new KeywardKeyring(client, { tenant: 'acme' }), message);
        expect(opened.plaintext).toEqual(plaintext);
        const { 'aws-crypto-public-key': signer, ...opensWith } = opened.messageHeader.encryptionContext;
        expect([signer !== undefined, opensWith]).toEqual([shape.signed, shape.context]);
        expect(opened.messageHeader.suiteId).toBe(suiteOf(shape.signed));
        expect(opened.messageHeader.frameLength).toBe(shape.frameBytes);
      }),
      { numRuns: 60 },
    );
  });

  it('theirs opens here', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, async ({ context: encryptionContext, frameBytes: frameLength, chunk, signed, ...shape }) => {
        const plaintext = plaintextOf({ ...shape, frameBytes: frameLength });
        const keyring = new KeywardKeyring(client, scope);
        const { result } = await aws.encrypt(keyring, plaintext, { suiteId: suiteOf(signed), encryptionContext, frameLength });
        const envelope = new Envelope(client);
        const opening = envelope.decryptStream({ tenant: 'acme', expectedContext: encryptionContext, signed });
        expect(await buffer(chunked(result, chunk).pipe(opening))).toEqual(plaintext);
      }),
      { numRuns: 60 },
    );
  });

  it('and so do our vectors', async () => {
    const vectors = ['message-v2', 'message-v2-signed'].flatMap((name) =>
      JSON.parse(readFileSync(`test/vectors/${name}.json`, 'utf8')),
    ) as Record<'dataKey' | 'want' | 'plaintext', string>[];
    expect(vectors).not.toEqual([]);
    for (const { dataKey, want, plaintext } of vectors) {
      const made = { keyId: 'key_x', keyVersionId: 'kver_x', lease: { maxAgeSeconds: 1 }, requestId: 'req_x', record: 1 };
      const source = {
        generateDataKey: () => Promise.reject(new Error('Not asked.')),
        decrypt: async () => ({ ...made, plaintext: Uint8Array.from(Buffer.from(dataKey, 'hex')) }),
      };
      const opened = await aws.decrypt(new KeywardKeyring(source, { tenant: 'acme' }), Buffer.from(want, 'hex'));
      expect(opened.plaintext.toString('hex')).toBe(plaintext);
    }
  });
});
