import { createHash, generateKeyPairSync } from 'node:crypto';
import { decryptRequest, generateDataKeyRequest, generateDataKeyWithoutPlaintextRequest, type KeyId } from '#contract';
import { openAsRecipient } from '#contract/hpke';
import { KeyWorld, refusal } from './key-world.js';

const pair = generateKeyPairSync('x25519');
const recipient = pair.publicKey.export({ format: 'der', type: 'spki' });
const digest = createHash('sha256').update(recipient).digest('base64url');

describe('a plaintext for a recipient', () => {
  let world: KeyWorld;
  let keyId: KeyId;
  beforeAll(async () => {
    world = await KeyWorld.start();
    ({ keyId } = await world.create());
  });
  afterAll(() => world?.stop());

  const opened = (answer: object, of: Uint8Array) => {
    if (!('ciphertextForRecipient' in answer)) throw new Error('Not sealed.');
    expect(answer).not.toHaveProperty('plaintext');
    return openAsRecipient(pair.privateKey, answer.ciphertextForRecipient as Uint8Array, of);
  };

  it('is a data key that its ciphertext opens to, and nobody else has it', async () => {
    const made = await world.service('GenerateDataKey', { keyId, recipient });
    const ciphertext = 'ciphertext' in made ? Buffer.from(made.ciphertext) : Buffer.alloc(0);
    const dataKey = opened(made, ciphertext);
    const plain = await world.service('Decrypt', { ciphertext });
    expect('plaintext' in plain && plain.plaintext).toEqual(dataKey);
    expect(opened(await world.service('Decrypt', { ciphertext, recipient }), ciphertext)).toEqual(dataKey);
    expect(world.custody.lastPlaintext).toEqual(Buffer.alloc(32));
  });

  it('stands in its record by the digest of the key, with its lease', async () => {
    await world.service('GenerateDataKey', { keyId, recipient });
    expect(world.records.at(-1)).toMatchObject({ op: 'GenerateDataKey', request: { recipient: digest }, crypto: { lease: {} } });
    await world.service('GenerateDataKey', { keyId });
    expect(world.records.at(-1)!.request).not.toHaveProperty('recipient');
  });

  it('is one record a recipient in a batch', async () => {
    world.records.length = 0;
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'der', type: 'spki' });
    await world.serviceBatch(
      'GenerateDataKey',
      [recipient, other, recipient, undefined].map((one) => ({ keyId, recipient: one })),
    );
    expect(world.records.map(({ request, count }) => [request.recipient, count ?? 1])).toEqual([
      [digest, 2],
      [createHash('sha256').update(other).digest('base64url'), 1],
      [undefined, 1],
    ]);
  });

  it('uses no key for a point that shares no secret', async () => {
    world.custody.calls.length = 0;
    const point = Buffer.concat([recipient.subarray(0, -32), Buffer.alloc(32)]);
    expect(await refusal(world.service('GenerateDataKey', { keyId, recipient: point }))).toMatchObject({
      code: 'invalid-request',
      fields: [{ field: 'recipient' }],
    });
    expect(world.custody.calls.filter((call) => call !== 'checkBindings')).toEqual([]);
    expect(world.records.at(-1)).toMatchObject({ outcome: 'refused', error: { code: 'invalid-request' }, key: { id: keyId } });
  });

  it('is asked in a dry run without any', async () => {
    expect(await world.service('GenerateDataKey', { keyId, recipient, dryRun: true })).toMatchObject({ dryRun: true });
    expect(world.records.at(-1)).toMatchObject({ request: { dryRun: true, recipient: digest } });
  });

  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'der', type: 'spki' });
  it.each([
    ['no base64', '§', 'must be base64 (RFC 4648 §4, padded)'],
    ['RSA', rsa.toString('base64'), 'must be the SubjectPublicKeyInfo (DER)'],
    ['a byte too many', Buffer.concat([recipient, Buffer.alloc(1)]).toString('base64'), 'must be the SubjectPublicKeyInfo (DER)'],
    ['Ed25519', generateKeyPairSync('ed25519').publicKey.export({ format: 'der', type: 'spki' }).toString('base64'), 'must be the Subject'],
  ])('is not asked for with %s', (_, told, message) => {
    for (const asked of [
      decryptRequest.safeParse({ ciphertext: Buffer.alloc(60).toString('base64'), recipient: told }),
      generateDataKeyRequest.safeParse({ keyId: 'alias/invoices', recipient: told }),
    ])
      expect(asked.error?.issues).toMatchObject([{ path: ['recipient'], message: expect.stringContaining(message) }]);
  });

  it('is nothing for a data key without plaintext', () => {
    const asked = { keyId: 'alias/invoices', recipient: recipient.toString('base64') };
    expect(generateDataKeyRequest.safeParse(asked).success).toBe(true);
    expect(generateDataKeyWithoutPlaintextRequest.safeParse(asked).error?.issues).toMatchObject([{ keys: ['recipient'] }]);
  });
});
