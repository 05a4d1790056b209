import { createKeyRequest, type KeyId } from '#contract';
import { KeyWorld, refusal } from './key-world.js';

describe('an RSA key for encryption', () => {
  let world: KeyWorld;
  const algorithm = 'RSAES_OAEP_SHA_256' as const;
  const plaintext = Buffer.from('PIN 1234');
  const aKey = (keySpec: 'RSA_2048' | 'RSA_3072' = 'RSA_2048') => world.create({ keySpec, keyUsage: 'ENCRYPT_DECRYPT' });
  const encrypted = async (keyId: KeyId, bytes: Uint8Array = plaintext) => {
    const answer = await world.service('AsymmetricEncrypt', { keyId, plaintext: Buffer.from(bytes), algorithm });
    if (!('ciphertext' in answer)) throw new Error('A dry run?');
    return { keyVersionId: answer.keyVersionId, ciphertext: Buffer.from(answer.ciphertext) };
  };
  beforeAll(async () => {
    world = await KeyWorld.start();
  });
  afterAll(() => world?.stop());

  it('opens what was encrypted to each of its versions, which the call names', async () => {
    const { keyId, primaryVersion } = await aKey();
    const before = await encrypted(keyId);
    expect(before.keyVersionId).toBe(primaryVersion);
    await world.admin('CreateKeyVersion', { keyId, reason: 'a test' });
    const after = await encrypted(keyId);
    for (const sealed of [before, after])
      expect(await world.service('AsymmetricDecrypt', { keyId, algorithm, ...sealed })).toMatchObject({ algorithm, plaintext });
    const swapped = world.service('AsymmetricDecrypt', { keyId, algorithm, ...before, keyVersionId: after.keyVersionId });
    expect(await refusal(swapped)).toMatchObject({ code: 'decrypt-failed' });
    expect(world.records.at(-1)).toMatchObject({
      op: 'AsymmetricDecrypt',
      outcome: 'failed',
      key: { id: keyId, versionId: after.keyVersionId },
    });
  });

  it.each([
    ['RSA_2048', 190],
    ['RSA_3072', 318],
  ] as const)('%s takes %i bytes and not one more, and not one less of a ciphertext', async (spec, most) => {
    const { keyId } = await aKey(spec);
    const { ciphertext, keyVersionId } = await encrypted(keyId, Buffer.alloc(most, 1));
    expect((await refusal(encrypted(keyId, Buffer.alloc(most + 1, 1)))).fields).toEqual([
      { field: 'plaintext', message: `must be at most ${most} bytes` },
    ]);
    const shorter = world.service('AsymmetricDecrypt', { keyId, keyVersionId, algorithm, ciphertext: ciphertext.subarray(1) });
    expect(await refusal(shorter)).toMatchObject({ code: 'decrypt-failed' });
  });

  it('does nothing else, and no other key does this', async () => {
    const [rsa, signs, cipher] = [await aKey(), await world.create({ keySpec: 'RSA_2048', keyUsage: 'SIGN_VERIFY' }), await world.create()];
    world.custody.calls.length = 0;
    const refused = [
      world.service('Encrypt', { keyId: rsa.keyId, plaintext }),
      world.service('GenerateDataKey', { keyId: rsa.keyId }),
      world.service('Sign', { keyId: rsa.keyId, message: plaintext, algorithm: 'RSASSA_PSS_SHA_256' }),
      world.service('AsymmetricEncrypt', { keyId: signs.keyId, plaintext, algorithm }),
      world.service('AsymmetricEncrypt', { keyId: cipher.keyId, plaintext, algorithm }),
      world.service('AsymmetricDecrypt', { keyId: rsa.keyId, keyVersionId: cipher.primaryVersion, ciphertext: plaintext, algorithm }),
    ];
    const messages = (await Promise.all(refused.map(refusal))).map(({ fields }) => fields[0]?.message);
    expect(messages).toEqual([
      ...Array.from({ length: 3 }, () => 'is a key pair for ENCRYPT_DECRYPT'),
      'is a key pair for SIGN_VERIFY',
      'is a key for ENCRYPT_DECRYPT',
      'is no version of this key',
    ]);
    expect(world.custody.calls.filter((call) => call !== 'checkBindings')).toEqual([]);
  });

  it('is not used in a way that the HSM cannot do', async () => {
    const { keyId } = await aKey();
    world.custody.algorithms = { RSAES_OAEP_SHA_256: 'C_DecryptInit: CKR_ARGUMENTS_BAD (0x7)' };
    try {
      expect((await refusal(encrypted(keyId))).fields[0]).toMatchObject({ field: 'algorithm' });
      expect((await world.admin('DescribeCapabilities', undefined)).algorithms).toContainEqual({
        algorithm: 'RSAES_OAEP_SHA_256',
        available: false,
        reason: 'C_DecryptInit: CKR_ARGUMENTS_BAD (0x7)',
      });
    } finally {
      world.custody.algorithms = {};
    }
  });

  it.each([
    [{ keySpec: 'RSA_2048' }, 'is needed: keys of this spec are for signatures or for encryption'],
    [{ keySpec: 'RSA_2048', keyUsage: 'GENERATE_VERIFY_MAC' }, 'does not fit the spec'],
    [{ keySpec: 'AES_256', keyUsage: 'SIGN_VERIFY' }, 'does not fit the spec'],
    [{ keySpec: 'RSA_4096', keyUsage: 'SIGN_VERIFY' }, undefined],
    [{ keySpec: 'EC_P256' }, undefined],
  ])('is asked for as %j: %s', (request, message) => {
    expect(createKeyRequest.safeParse(request).error?.issues[0]?.message).toBe(message);
  });
});
