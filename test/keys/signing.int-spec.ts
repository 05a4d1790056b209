import { createHash, createPublicKey, verify } from 'node:crypto';
import { signRequest } from '#contract';
import { KeyWorld, refusal } from './key-world.js';

const PAIRS = [
  ['EC_P256', 'ECDSA_SHA_256', 'sha256'],
  ['EC_P384', 'ECDSA_SHA_384', 'sha384'],
  ['EC_P256K', 'ECDSA_SHA_256', 'sha256'],
  ['RSA_2048', 'RSASSA_PKCS1_V1_5_SHA_256', 'sha256'],
  ['RSA_3072', 'RSASSA_PKCS1_V1_5_SHA_512', 'sha512'],
] as const;

describe('a key pair', () => {
  let world: KeyWorld;
  const message = Buffer.from('pay 100');
  beforeAll(async () => {
    world = await KeyWorld.start();
  });
  afterAll(() => world?.stop());

  it.each(PAIRS)('of %s signs, and its public key verifies it elsewhere', async (keySpec, algorithm, hash) => {
    const { keyId, keyUsage, primaryVersion } = await world.create({ keySpec, keyUsage: 'SIGN_VERIFY' });
    expect(keyUsage).toBe('SIGN_VERIFY');
    const signed = await world.service('Sign', { keyId, message, algorithm });
    const signature = 'signature' in signed ? Buffer.from(signed.signature) : Buffer.alloc(0);
    const told = await world.service('GetPublicKey', { keyId });
    const spki = 'publicKey' in told ? Buffer.from(told.publicKey) : Buffer.alloc(0);
    expect(verify(hash, message, createPublicKey({ key: spki, format: 'der', type: 'spki' }), signature)).toBe(true);
    const described = await world.admin('DescribePublicKey', { keyId });
    expect(described).toMatchObject({ keyVersionId: primaryVersion, keySpec, publicKey: spki.toString('base64') });
    expect(createPublicKey(described.pem).export({ format: 'der', type: 'spki' })).toEqual(spki);

    const digest = createHash(hash).update(message).digest();
    const ask = (more: object) => world.service('Verify', { keyId, message, algorithm, signature, ...more });
    expect(await ask({})).toMatchObject({ valid: true });
    expect(await ask({ message: digest, messageType: 'DIGEST' })).toMatchObject({ valid: true });
    expect(await ask({ message: Buffer.from('pay 1000') })).toMatchObject({ valid: false });
    await world.admin('CreateKeyVersion', { keyId, reason: 'a test' });
    expect(await ask({})).toMatchObject({ valid: false });
    expect(await ask({ keyVersionId: primaryVersion })).toMatchObject({ valid: true });
    expect(world.records.at(-1)).toMatchObject({
      op: 'Verify',
      key: { id: keyId, versionId: primaryVersion },
      crypto: { plaintextSize: '≤8' },
    });
    expect((await world.admin('DescribePublicKey', { keyId })).publicKey).not.toBe(described.publicKey);
    const older = await world.admin('DescribePublicKey', { keyId, keyVersionId: primaryVersion });
    expect(older.publicKey).toBe(described.publicKey);
  });

  it('of ED25519 signs the message itself, and takes no digest', async () => {
    const { keyId } = await world.create({ keySpec: 'ED25519' });
    const asked = { keyId, message, algorithm: 'ED25519_SHA_512' as const };
    const signed = await world.service('Sign', asked);
    const signature = 'signature' in signed ? Buffer.from(signed.signature) : Buffer.alloc(0);
    const { pem } = await world.admin('DescribePublicKey', { keyId });
    expect(verify(null, message, createPublicKey(pem), signature)).toBe(true);
    expect(await world.service('Verify', { ...asked, signature })).toMatchObject({ valid: true });
    expect(await world.service('Verify', { ...asked, signature, message: Buffer.from('pay 1000') })).toMatchObject({ valid: false });
    const digest = { ...asked, message: message.toString('base64'), messageType: 'DIGEST' };
    expect(signRequest.safeParse(digest).error?.issues[0]).toMatchObject({ path: ['messageType'] });
  });

  it('is refused where the HSM cannot wrap it, with what the HSM said', async () => {
    world.custody.unavailable = { ED25519: 'C_WrapKey: CKR_KEY_NOT_WRAPPABLE (0x69)' };
    try {
      expect((await refusal(world.create({ keySpec: 'ED25519' }))).fields).toEqual([
        { field: 'keySpec', message: 'the HSM cannot do it: C_WrapKey: CKR_KEY_NOT_WRAPPABLE (0x69)' },
      ]);
    } finally {
      world.custody.unavailable = {};
    }
  });

  it('gets a new version within 7 days for a reason only, and at most 50', async () => {
    const { keyId } = await world.create({ keySpec: 'EC_P256' });
    const next = (reason?: string) => world.admin('CreateKeyVersion', { keyId, ...(reason && { reason }) });
    expect((await refusal(next())).fields).toEqual([{ field: 'reason', message: 'is needed: the newest version is not 7 days old' }]);
    for (let versions = 1; versions < 50; versions++) await next('again');
    expect((await refusal(next('again'))).fields).toEqual([
      { field: 'keyId', message: 'has 50 versions, as many as a key of its kind may have' },
    ]);
    await expect(world.service('Sign', { keyId, message, algorithm: 'ECDSA_SHA_256' })).resolves.toHaveProperty('signature');
  });

  it('is for signatures, by its own algorithm', async () => {
    const [pair, cipher] = [await world.create({ keySpec: 'EC_P384' }), await world.create()];
    world.custody.calls.length = 0;
    const refused = [
      world.service('Sign', { keyId: pair.keyId, message, algorithm: 'ECDSA_SHA_256' }),
      world.service('Sign', { keyId: cipher.keyId, message, algorithm: 'ECDSA_SHA_256', dryRun: true }),
      world.service('Encrypt', { keyId: pair.keyId, plaintext: message }),
      world.service('GetPublicKey', { keyId: cipher.keyId }),
      world.admin('DescribePublicKey', { keyId: cipher.keyId }),
    ];
    const seen = await Promise.all(refused.map(refusal));
    expect(seen.map(({ code, fields }) => [code, fields[0]])).toEqual([
      ['invalid-request', { field: 'algorithm', message: 'is not one of a key of EC_P384' }],
      ['invalid-request', { field: 'keyId', message: 'is a key for ENCRYPT_DECRYPT' }],
      ['invalid-request', { field: 'keyId', message: 'is a key pair for SIGN_VERIFY' }],
      ['invalid-request', { field: 'keyId', message: 'is a key for ENCRYPT_DECRYPT' }],
      ['invalid-request', { field: 'keyId', message: 'is a key for ENCRYPT_DECRYPT' }],
    ]);
    expect(world.custody.calls.filter((call) => call !== 'checkBindings')).toEqual([]);
  });

  it('is not told with a public key that SQL put there', async () => {
    const { keyId } = await world.create({ keySpec: 'EC_P256' });
    await world.database.as('superuser', (client) =>
      client.query(`UPDATE keyward.key_version SET public_key = set_byte(public_key, 80, get_byte(public_key, 80) # 1) WHERE key_id = $1`, [
        keyId,
      ]),
    );
    for (const attempt of [() => world.service('GetPublicKey', { keyId }), () => world.admin('DescribePublicKey', { keyId })])
      expect(await refusal(attempt())).toMatchObject({ code: 'unavailable', reason: expect.stringContaining('binding') });
  });

  it.each([
    ['a message of 6144 bytes', 6144, undefined, true],
    ['a message of 6145 bytes', 6145, undefined, false],
    ['nothing', 0, undefined, false],
    ['a digest', 32, 'DIGEST', true],
    ['a digest of another length', 48, 'DIGEST', false],
  ])('takes %s: %#', (_what, length, messageType, valid) => {
    const request = { keyId: 'alias/a', message: Buffer.alloc(length).toString('base64'), algorithm: 'ECDSA_SHA_256', messageType };
    expect(signRequest.safeParse(request).success).toBe(valid);
  });
});
