import { type KeyId, SOFTWARE_SPECS } from '#contract';
import { sm2Digest } from '../../libs/core/sm2-digest.js';
import { KeyWorld, refusal } from './key-world.js';

describe('a key in software', () => {
  let world: KeyWorld;
  const message = Buffer.from('pay 100');
  beforeAll(async () => {
    world = await KeyWorld.start();
  });
  afterAll(() => world?.stop());

  it.each(SOFTWARE_SPECS)('of %s says so: in its description, its versions, its records', async (keySpec) => {
    world.records.length = 0;
    const { keyId, protectionLevel } = await world.create({ keySpec });
    await world.admin('CreateKeyVersion', { keyId, reason: 'a test' });
    const versions = await world.admin('ListKeyVersions', { keyId, limit: 10, cursor: undefined });
    expect([protectionLevel, ...versions.items.map((version) => version.protectionLevel)]).toEqual(['SOFTWARE', 'SOFTWARE', 'SOFTWARE']);
    expect(world.records.filter(({ op }) => op.startsWith('Create'))).toMatchObject([
      { op: 'CreateKey', change: { spec: keySpec, protectionLevel: 'SOFTWARE' } },
      { op: 'CreateKeyVersion', change: { protectionLevel: 'SOFTWARE' } },
    ]);
  });

  it('is told beside those of the HSM before one is made', async () => {
    const { specs } = await world.admin('DescribeCapabilities', undefined);
    expect(specs.filter(({ protectionLevel }) => protectionLevel === 'SOFTWARE').map(({ keySpec }) => keySpec)).toEqual(
      expect.arrayContaining([...SOFTWARE_SPECS]),
    );
  });

  it('of SM4 seals and opens, under a header of its own', async () => {
    const { keyId } = await world.create({ keySpec: 'SM4' });
    const sealed = await world.service('Encrypt', { keyId, plaintext: message });
    const ciphertext = 'ciphertext' in sealed ? Buffer.from(sealed.ciphertext) : Buffer.alloc(0);
    expect(ciphertext[4]).toBe(3);
    const opened = await world.service('Decrypt', { ciphertext });
    expect('plaintext' in opened && Buffer.from(opened.plaintext)).toEqual(message);
    for (const algorithm of [1, 2, 4]) {
      ciphertext[4] = algorithm;
      expect(await refusal(world.service('Decrypt', { ciphertext }))).toMatchObject({ code: 'decrypt-failed' });
    }
  });

  it('of EC_SM2 signs the digest of identity, key and message, whoever makes it', async () => {
    const { keyId } = await world.create({ keySpec: 'EC_SM2' });
    const algorithm = 'SM2DSA' as const;
    const told = await world.service('GetPublicKey', { keyId });
    const digest = Buffer.from(sm2Digest('publicKey' in told ? told.publicKey : undefined, message));
    const byKeyward = await world.service('Sign', { keyId, message, algorithm });
    const byCaller = await world.service('Sign', { keyId, message: digest, messageType: 'DIGEST', algorithm });
    for (const signed of [byKeyward, byCaller]) {
      const signature = 'signature' in signed ? Buffer.from(signed.signature) : Buffer.alloc(0);
      expect(await world.service('Verify', { keyId, message, algorithm, signature })).toMatchObject({ valid: true });
      const other = { message: Buffer.from('pay 1000'), algorithm, signature };
      expect(await world.service('Verify', { keyId, ...other })).toMatchObject({ valid: false });
    }
    expect(await refusal(world.service('Sign', { keyId, message, algorithm: 'ECDSA_SHA_256' }))).toMatchObject({ code: 'invalid-request' });
  });

  describe('with a new version', () => {
    const rotated = async (keyId: KeyId) => (await world.admin('CreateKeyVersion', { keyId, reason: 'a test' })).primaryVersion;
    const bytes = (answer: object, name: string) => Buffer.from((answer as Record<string, Uint8Array>)[name]!);

    it('of SM4 seals with the new one, and opens what the older one sealed', async () => {
      const { keyId } = await world.create({ keySpec: 'SM4' });
      const before = bytes(await world.service('Encrypt', { keyId, plaintext: message }), 'ciphertext');
      const primary = await rotated(keyId);
      expect(await world.service('Encrypt', { keyId, plaintext: message })).toMatchObject({ keyVersionId: primary });
      expect(bytes(await world.service('Decrypt', { ciphertext: before }), 'plaintext')).toEqual(message);
    });

    it('of HMAC_SM3 makes MACs with the new one, and knows those of the older one by its name', async () => {
      const { keyId, primaryVersion: keyVersionId } = await world.create({ keySpec: 'HMAC_SM3' });
      const mac = bytes(await world.service('GenerateMac', { keyId, message }), 'mac');
      const primary = await rotated(keyId);
      expect(await world.service('GenerateMac', { keyId, message })).toMatchObject({ keyVersionId: primary });
      expect(await world.service('VerifyMac', { keyId, message, mac })).toMatchObject({ valid: false });
      expect(await world.service('VerifyMac', { keyId, keyVersionId, message, mac })).toMatchObject({ valid: true });
    });

    it('of EC_SM2 signs with the new one, and verifies what the older one signed', async () => {
      const { keyId, primaryVersion: keyVersionId } = await world.create({ keySpec: 'EC_SM2' });
      const algorithm = 'SM2DSA' as const;
      const signature = bytes(await world.service('Sign', { keyId, message, algorithm }), 'signature');
      const primary = await rotated(keyId);
      expect(await world.service('Sign', { keyId, message, algorithm })).toMatchObject({ keyVersionId: primary });
      expect(await world.service('Verify', { keyId, message, algorithm, signature })).toMatchObject({ valid: false });
      expect(await world.service('Verify', { keyId, keyVersionId, message, algorithm, signature })).toMatchObject({ valid: true });
    });
  });
});
