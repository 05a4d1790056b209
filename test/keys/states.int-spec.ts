import type { ImportToken, KeyId, KeyState } from '#contract';
import { OPERATIONS } from '#core';
import { freshAlias, KeyWorld, refusal } from './key-world.js';

const STATES = ['Enabled', 'Disabled', 'PendingDeletion', 'PendingImport', 'Destroyed'] as const satisfies readonly KeyState[];

/** Refusals of a state, by what is told: the state itself, or that it cannot be changed so. */
const disabled = 'key-disabled';
const deletion = 'key-pending-deletion';
const pimport = 'key-pending-import';
const gone = 'key-destroyed';
const fixed = 'state-unchangeable';

/** The state × operation table (docs/keys.md). Codes are those of the answer; the record's reason says the state as well. */
// biome-ignore format: an aligned table is read column by column
const TABLE = {
  //                     Enabled  Disabled  PendingDeletion  PendingImport  Destroyed
  Encrypt:               ['ok',   disabled, deletion,        pimport,       gone],
  Decrypt:               ['ok',   disabled, deletion,        pimport,       gone],
  GenerateDataKey:       ['ok',   disabled, deletion,        pimport,       gone],
  GenerateDataKeyWithoutPlaintext: ['ok', disabled, deletion, pimport,      gone],
  ReEncryptFrom:         ['ok',   disabled, deletion,        pimport,       gone],
  ReEncryptTo:           ['ok',   disabled, deletion,        pimport,       gone],
  CreateKeyVersion:      ['ok',   disabled, deletion,        pimport,       gone],
  ListKeyVersions:       ['ok',   'ok',     'ok',            'ok',          'ok'],
  GenerateMac:           ['ok',   disabled, deletion,        pimport,       gone],
  VerifyMac:             ['ok',   disabled, deletion,        pimport,       gone],
  Sign:                  ['ok',   disabled, deletion,        pimport,       gone],
  Verify:                ['ok',   disabled, deletion,        pimport,       gone],
  GetPublicKey:          ['ok',   disabled, deletion,        pimport,       gone],
  AsymmetricEncrypt:     ['ok',   disabled, deletion,        pimport,       gone],
  AsymmetricDecrypt:     ['ok',   disabled, deletion,        pimport,       gone],
  DescribePublicKey:     ['ok',   'ok',     'ok',            'ok',          'ok'],
  EnableKey:             ['ok',   'ok',     fixed,           fixed,         gone],
  DisableKey:            ['ok',   'ok',     fixed,           fixed,         gone],
  ScheduleKeyDeletion:   ['ok',   'ok',     fixed,           'ok',          gone],
  CancelKeyDeletion:     [fixed,  fixed,    'ok',            fixed,         gone],
  CreateAlias:           ['ok',   'ok',     fixed,           'ok',          gone],
  UpdateAlias:           ['ok',   'ok',     deletion,        'ok',          gone],
  DeleteAlias:           ['ok',   'ok',     'ok',            'ok',          'ok'],
  UpdateKeyDescription:  ['ok',   'ok',     deletion,        'ok',          gone],
  TagKey:                ['ok',   'ok',     deletion,        'ok',          gone],
  UntagKey:              ['ok',   'ok',     deletion,        'ok',          gone],
  SetDeletionProtection: ['ok',   'ok',     deletion,        'ok',          gone],
  DescribeKey:           ['ok',   'ok',     'ok',            'ok',          'ok'],
  ListKeys:              ['ok',   'ok',     'ok',            'ok',          'ok'],
  ListAliases:           ['ok',   'ok',     'ok',            'ok',          'ok'],
} as const;
/** The same of imports, on a key that was made in the HSM: where the state allows them, the next question is what refuses (`past`). */
const past = 'invalid-request';
// biome-ignore format: an aligned table is read column by column
const IMPORTS = {
  //                         Enabled  Disabled  PendingDeletion  PendingImport  Destroyed
  GetImportParameters:       [past,   past,     past,            past,          gone],
  ImportKeyMaterial:         [past,   past,     fixed,           past,          gone],
  DeleteImportedKeyMaterial: [past,   past,     past,            past,          gone],
} as const;
type Operation = keyof typeof TABLE;
const SIGNING: ReadonlySet<Operation> = new Set<Operation>(['Sign', 'Verify', 'GetPublicKey', 'DescribePublicKey']);

function specFor(operation: Operation) {
  if (operation.startsWith('Asymmetric')) return 'RSA_2048';
  if (operation.endsWith('Mac')) return 'HMAC_256';
  return SIGNING.has(operation) ? 'EC_P256' : 'AES_256';
}

describe('an operation on a key in a state', () => {
  let world: KeyWorld;
  beforeAll(async () => {
    world = await KeyWorld.start();
  });
  afterAll(() => world?.stop());

  const page = { limit: 10, cursor: undefined };
  /** A key with an alias and a tag, and a call of each operation on it. */
  async function aKey(operation: Operation) {
    const alias = freshAlias();
    const keySpec = specFor(operation);
    const keyUsage = keySpec === 'RSA_2048' ? 'ENCRYPT_DECRYPT' : undefined;
    const { keyId, primaryVersion: keyVersionId } = await world.create({ keySpec, keyUsage, alias, tags: { team: 'blue' } });
    const message = Buffer.from('m');
    const algorithm = 'ECDSA_SHA_256' as const;
    const spare = freshAlias();
    await world.create({ alias: spare });
    const sealed = keySpec === 'AES_256' ? await world.service('Encrypt', { keyId, plaintext: Buffer.from('x') }) : undefined;
    const ciphertext = sealed !== undefined && 'ciphertext' in sealed ? Buffer.from(sealed.ciphertext) : Buffer.alloc(0);
    const oaep = 'RSAES_OAEP_SHA_256' as const;
    const toKey = keyUsage && (await world.service('AsymmetricEncrypt', { keyId, plaintext: message, algorithm: oaep }));
    const encrypted = toKey !== undefined && 'ciphertext' in toKey ? Buffer.from(toKey.ciphertext) : Buffer.alloc(0);
    const calls: Readonly<Record<Operation, () => Promise<unknown>>> = {
      Encrypt: () => world.service('Encrypt', { keyId, plaintext: Buffer.from('x') }),
      Decrypt: () => world.service('Decrypt', { ciphertext }),
      GenerateDataKey: () => world.service('GenerateDataKey', { keyId }),
      GenerateDataKeyWithoutPlaintext: () => world.service('GenerateDataKeyWithoutPlaintext', { keyId }),
      ReEncryptFrom: () => world.service('ReEncryptFrom', { ciphertext }),
      ReEncryptTo: () => world.service('ReEncryptTo', { keyId, opened: { plaintext: message, kind: 'direct' } }),
      GenerateMac: () => world.service('GenerateMac', { keyId, message }),
      VerifyMac: () => world.service('VerifyMac', { keyId, message, mac: Buffer.alloc(32) }),
      Sign: () => world.service('Sign', { keyId, message, algorithm }),
      Verify: () => world.service('Verify', { keyId, message, algorithm, signature: message }),
      GetPublicKey: () => world.service('GetPublicKey', { keyId }),
      AsymmetricEncrypt: () => world.service('AsymmetricEncrypt', { keyId, plaintext: message, algorithm: oaep }),
      AsymmetricDecrypt: () => world.service('AsymmetricDecrypt', { keyId, keyVersionId, ciphertext: encrypted, algorithm: oaep }),
      DescribePublicKey: () => world.admin('DescribePublicKey', { keyId }),
      CreateKeyVersion: () => world.admin('CreateKeyVersion', { keyId }),
      ListKeyVersions: () => world.admin('ListKeyVersions', { ...page, keyId }),
      EnableKey: () => world.admin('EnableKey', { keyId }),
      DisableKey: () => world.admin('DisableKey', { keyId }),
      ScheduleKeyDeletion: () => world.admin('ScheduleKeyDeletion', { keyId, pendingDays: 7 }),
      CancelKeyDeletion: () => world.admin('CancelKeyDeletion', { keyId }),
      CreateAlias: () => world.admin('CreateAlias', { alias: freshAlias(), keyId }),
      UpdateAlias: () => world.admin('UpdateAlias', { alias: spare, keyId }),
      DeleteAlias: () => world.admin('DeleteAlias', { alias }),
      UpdateKeyDescription: () => world.admin('UpdateKeyDescription', { keyId, description: 'new' }),
      TagKey: () => world.admin('TagKey', { keyId, tags: { team: 'red' } }),
      UntagKey: () => world.admin('UntagKey', { keyId, names: ['team'] }),
      SetDeletionProtection: () => world.admin('SetDeletionProtection', { keyId, enabled: true }),
      DescribeKey: () => world.admin('DescribeKey', { keyId }),
      ListKeys: () => world.admin('ListKeys', page),
      ListAliases: () => world.admin('ListAliases', { ...page, keyId }),
    };
    return { keyId, calls };
  }

  const inState = async (state: KeyState, keyId: KeyId) => {
    await world.putInto(state, keyId);
    // A replica that does not know yet has the HSM work once more, and the fence throws the result away: not what is asked here.
    await world.service('GenerateDataKey', { keyId, dryRun: true }).catch(() => undefined);
    world.custody.calls.length = 0;
    world.records.length = 0;
    return await world.rowsOf(keyId);
  };

  const cells = Object.entries(TABLE).flatMap(([operation, codes]) =>
    codes.map((code, index) => [operation as Operation, STATES[index]!, code] as const),
  );

  it('has a row in the table, whatever a state may refuse', () => {
    const limited = Object.entries(OPERATIONS).flatMap(([name, { keyStates }]) => (keyStates.length > 0 ? [name] : []));
    expect(limited.filter((name) => !Object.hasOwn({ ...TABLE, ...IMPORTS }, name))).toEqual([]);
  });

  it.each(cells)('%s, %s: %s', async (operation, state, code) => {
    const { keyId, calls } = await aKey(operation);
    const before = await inState(state, keyId);
    if (code === 'ok') {
      await calls[operation]();
      expect(world.records).toMatchObject([{ op: operation, outcome: 'succeeded' }]);
      return;
    }
    expect(await refusal(calls[operation]())).toMatchObject({ code, record: expect.any(BigInt) });
    expect(world.records).toMatchObject([{ op: operation, outcome: 'refused', error: { code, reason: expect.stringContaining(code) } }]);
    expect(await world.rowsOf(keyId)).toEqual(before);
    // To look whether the row is genuine is all that the HSM was asked for.
    expect(world.custody.calls.filter((call) => call !== 'checkBindings')).toEqual([]);
  });

  const importToken = `imp_${'0'.repeat(26)}` as ImportToken;
  const imports = {
    GetImportParameters: (keyId: KeyId) => world.admin('GetImportParameters', { keyId, algorithm: 'RSA_AES_KEY_WRAP_SHA_1' }),
    ImportKeyMaterial: (keyId: KeyId) => world.admin('ImportKeyMaterial', { keyId, importToken, encryptedKeyMaterial: Buffer.alloc(512) }),
    DeleteImportedKeyMaterial: (keyId: KeyId) => world.admin('DeleteImportedKeyMaterial', { keyId }),
  };
  const importCells = Object.entries(IMPORTS).flatMap(([operation, codes]) =>
    codes.map((code, index) => [operation as keyof typeof IMPORTS, STATES[index]!, code] as const),
  );
  it.each(importCells)('%s, %s: %s', async (operation, state, code) => {
    const { keyId } = await world.create();
    const before = await inState(state, keyId);
    expect(await refusal(imports[operation](keyId))).toMatchObject({ code, record: expect.any(BigInt) });
    expect(world.records).toMatchObject([{ op: operation, outcome: 'refused', error: { code } }]);
    expect(await world.rowsOf(keyId)).toEqual(before);
    expect(world.custody.calls.filter((call) => call !== 'checkBindings')).toEqual([]);
  });
});
