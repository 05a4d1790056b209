import { constants, createHash, publicEncrypt, verify } from 'node:crypto';
import { DATA_OPERATIONS } from '#contract';
import { KeywardClient } from '#sdk';
import { must } from './api.js';
import { type Onboarded, onboarded } from './onboarded.js';

/** Signatures and re-encryption on a whole platform, by the SDK. */
describe('a service that was granted every operation', () => {
  let world: Onboarded;
  let client: KeywardClient;
  const message = Buffer.from('pay 100');
  const tenant = 'acme';

  beforeAll(async () => {
    world = await onboarded();
    const { keyPlane, dataPlanes } = world.platform.urls;
    await must(keyPlane, world.operator, 'PUT', '/v1/services/billing/catalogue', { operations: DATA_OPERATIONS });
    for (const [alias, keySpec, keyUsage] of [
      ['alias/p256', 'EC_P256'],
      ['alias/p384', 'EC_P384'],
      ['alias/p256k', 'EC_P256K'],
      ['alias/archive', 'AES_128'],
      ['alias/rsa', 'RSA_3072', 'SIGN_VERIFY'],
      ['alias/mailbox', 'RSA_2048', 'ENCRYPT_DECRYPT'],
    ])
      await must(keyPlane, world.acme.admin, 'POST', '/v1/tenants/acme/keys', { alias, keySpec, keyUsage });
    const grants = [{ id: 'everything', subjects: ['svc:billing'], objects: ['*'], operations: ['@read', '@write', 'GenerateRandom'] }];
    const policy = { schema: 'keyward.policy/1', grants };
    await must(keyPlane, world.acme.admin, 'PUT', '/v1/tenants/acme/policy', policy, { 'if-match': '"1"' });
    client = new KeywardClient({ apiKey: world.billing, url: dataPlanes[0]! });
  }, 180_000);
  afterAll(async () => {
    client?.close();
    await world?.stop();
  }, 60_000);

  const recordsOf = async (requestId: string | undefined) =>
    (await must(world.platform.urls.auditor, world.acme.auditor, 'GET', `/v1/tenants/acme/records?requestId=${requestId}`)).body['items'];

  it.each([
    ['alias/p256', 'ECDSA_SHA_256', 'sha256'],
    ['alias/p384', 'ECDSA_SHA_384', 'sha384'],
    ['alias/p256k', 'ECDSA_SHA_256', 'sha256'],
    ['alias/rsa', 'RSASSA_PKCS1_V1_5_SHA_384', 'sha384'],
  ] as const)('signs with %s what anybody verifies by its public key', async (keyId, algorithm, hash) => {
    const { signature, requestId } = await client.sign({ tenant, keyId, algorithm, message });
    const { pem } = await client.getPublicKey({ tenant, keyId });
    expect(verify(hash, message, pem, signature)).toBe(true);
    const digest = { message: createHash(hash).update(message).digest(), messageType: 'DIGEST' as const };
    expect(await client.verify({ tenant, keyId, algorithm, ...digest, signature })).toMatchObject({ valid: true });
    expect(await client.verify({ tenant, keyId, algorithm, message: Buffer.from('pay 1000'), signature })).toMatchObject({ valid: false });
    expect(await recordsOf(requestId)).toMatchObject([{ op: 'Sign', outcome: 'succeeded', authz: { ruleId: 'everything' } }]);
  });

  it('encrypts to an RSA key what the HSM alone opens', async () => {
    const [keyId, algorithm] = ['alias/mailbox', 'RSAES_OAEP_SHA_1'] as const;
    const { ciphertext, keyVersionId } = await client.asymmetricEncrypt({ tenant, keyId, algorithm, plaintext: message });
    const { pem } = await client.getPublicKey({ tenant, keyId });
    const outside = publicEncrypt({ key: pem, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1' }, message);
    for (const sealed of [ciphertext, outside]) {
      const opened = await client.asymmetricDecrypt({ tenant, keyId, keyVersionId, algorithm, ciphertext: sealed });
      expect(Buffer.from(opened.plaintext)).toEqual(message);
      expect(await recordsOf(opened.requestId)).toMatchObject([{ op: 'AsymmetricDecrypt', outcome: 'succeeded' }]);
    }
    const sha256 = client.asymmetricEncrypt({ tenant, keyId, algorithm: 'RSAES_OAEP_SHA_256', plaintext: message });
    await expect(sha256).rejects.toMatchObject({ code: 'invalid-request', fields: [{ field: 'algorithm' }] });
  });

  it('is given random bytes, by a grant for every key', async () => {
    const { plaintext, requestId } = await client.generateRandom({ tenant, numberOfBytes: 1024 });
    expect([plaintext.length, plaintext.every((byte) => byte === 0)]).toEqual([1024, false]);
    expect(await recordsOf(requestId)).toMatchObject([{ op: 'GenerateRandom', outcome: 'succeeded', authz: { ruleId: 'everything' } }]);
    await expect(client.mayGenerateRandom({ tenant, numberOfBytes: 1 })).resolves.toHaveProperty('record');
    await expect(client.generateRandom({ tenant, numberOfBytes: 1025 })).rejects.toMatchObject({ code: 'invalid-request' });
  });

  it('moves a ciphertext to another key under one request, with a record of each', async () => {
    const context = { purpose: 'invoice' };
    const { ciphertext } = await client.encrypt({ tenant, keyId: 'alias/invoices', context, plaintext: message });
    const moved = await client.reEncrypt({ tenant, ciphertext, sourceContext: context, destinationKeyId: 'alias/archive' });
    expect(Buffer.from((await client.decrypt({ tenant, ciphertext: moved.ciphertext })).plaintext)).toEqual(message);
    const records = (await recordsOf(moved.requestId)) as { op: string; seq: number }[];
    expect(records.map(({ op }) => op).sort()).toEqual(['ReEncryptFrom', 'ReEncryptTo']);
    expect(records.find(({ op }) => op === 'ReEncryptTo')?.seq).toBe(moved.record);
  });

  it('moves many at once, each as if it were alone', async () => {
    const context = { purpose: 'invoice' };
    const plaintexts = Array.from({ length: 100 }, (_, i) => Buffer.from(`item ${i}`));
    const sealed = await client.encryptBatch(
      tenant,
      plaintexts.map((plaintext) => ({ keyId: 'alias/invoices', context, plaintext })),
    );
    const items = sealed.map((one, i) => {
      if ('error' in one) throw one.error;
      const { ciphertext } = one;
      // One whose context is wrong, and one that may not go where it should.
      return { ciphertext, sourceContext: i === 3 ? {} : context, destinationKeyId: i === 5 ? 'alias/nowhere' : 'alias/archive' };
    });
    const moved = await client.reEncryptBatch(tenant, [...items, { ...items[0]!, ciphertext: new Uint8Array(3) }]);
    expect(moved.flatMap((one, i) => ('error' in one ? [[i, one.error.name]] : []))).toEqual([
      [3, 'DecryptFailed'],
      [5, 'Refused'],
      [100, 'InvalidCall'],
    ]);
    for (const [i, one] of moved.entries()) {
      if ('error' in one || i % 10 !== 0) continue;
      expect(Buffer.from((await client.decrypt({ tenant, ciphertext: one.ciphertext })).plaintext)).toEqual(plaintexts[i]);
    }
    const [first] = moved;
    const records = (await recordsOf('error' in first! ? '' : first!.requestId)) as { op: string; outcome: string; count?: number }[];
    const told = records.map(({ op, outcome, count = 1 }) => `${op} ${outcome} ${count}`).sort();
    expect(told).toEqual(expect.arrayContaining(['ReEncryptFrom succeeded 99', 'ReEncryptTo refused 1', 'ReEncryptTo succeeded 98']));
  });
});
