import { createHash, verify } from 'node:crypto';
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
    for (const [alias, keySpec] of [
      ['alias/p256', 'EC_P256'],
      ['alias/p384', 'EC_P384'],
      ['alias/p256k', 'EC_P256K'],
      ['alias/archive', 'AES_128'],
    ])
      await must(keyPlane, world.acme.admin, 'POST', '/v1/tenants/acme/keys', { alias, keySpec });
    const grants = [{ id: 'everything', subjects: ['svc:billing'], objects: ['*'], operations: ['@read', '@write'] }];
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
  ] as const)('signs with %s what anybody verifies by its public key', async (keyId, algorithm, hash) => {
    const { signature, requestId } = await client.sign({ tenant, keyId, algorithm, message });
    const { pem } = await client.getPublicKey({ tenant, keyId });
    expect(verify(hash, message, pem, signature)).toBe(true);
    const digest = { message: createHash(hash).update(message).digest(), messageType: 'DIGEST' as const };
    expect(await client.verify({ tenant, keyId, algorithm, ...digest, signature })).toMatchObject({ valid: true });
    expect(await client.verify({ tenant, keyId, algorithm, message: Buffer.from('pay 1000'), signature })).toMatchObject({ valid: false });
    expect(await recordsOf(requestId)).toMatchObject([{ op: 'Sign', outcome: 'succeeded', authz: { ruleId: 'everything' } }]);
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
});
