import { randomBytes } from 'node:crypto';
import type { ImportToken, KeyId, KeyState, ServiceName } from '#contract';
import { OPERATIONS } from '#core';
import { anImportedKey, wrappedFor } from './importing.js';
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
  StartRewrap:           ['ok',   disabled, deletion,        pimport,       gone],
  RetireKeyVersion:      ['ok',   'ok',     deletion,        pimport,       gone],
  PutKeyRotation:        ['ok',   disabled, deletion,        pimport,       gone],
  GetKeyRotation:        ['ok',   'ok',     'ok',            'ok',          'ok'],
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
/** The same of a key whose material comes from outside. */
// biome-ignore format: an aligned table is read column by column
const IMPORTS = {
  //                         Enabled  Disabled  PendingDeletion  PendingImport  Destroyed
  GetImportParameters:       ['ok',   'ok',     'ok',            'ok',          gone],
  ImportKeyMaterial:         ['ok',   'ok',     fixed,           'ok',          gone],
  DeleteImportedKeyMaterial: ['ok',   'ok',     'ok',            'ok',          gone],
} as const;
type ImportOperation = keyof typeof IMPORTS;
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
    if (operation === 'StartRewrap' || operation === 'RetireKeyVersion') await world.admin('CreateKeyVersion', { keyId });
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
      RetireKeyVersion: () => world.admin('RetireKeyVersion', { keyId, keyVersionId, confirm: keyVersionId }),
      StartRewrap: () =>
        world.admin('StartRewrap', { keyId, fromVersionId: keyVersionId, service: 'billing' as ServiceName, itemsPerSecond: 1 }),
      PutKeyRotation: () => world.admin('PutKeyRotation', { keyId, enabled: true, intervalDays: 90, replaces: 0 }),
      GetKeyRotation: () => world.admin('GetKeyRotation', { keyId }),
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

  /** One record says what came of it; what was refused changed nothing, and the HSM was only asked whether the rows are genuine. */
  async function verdict(call: () => Promise<unknown>, of: { operation: string; code: string; keyId: KeyId; before: unknown }) {
    const { operation, code } = of;
    if (code === 'ok') {
      await call();
      expect(world.records).toMatchObject([{ op: operation, outcome: 'succeeded' }]);
      return;
    }
    expect(await refusal(call())).toMatchObject({ code, record: expect.any(BigInt) });
    const reason = code === 'invalid-request' ? expect.any(String) : expect.stringContaining(code);
    expect(world.records).toMatchObject([{ op: operation, outcome: 'refused', error: { code, reason } }]);
    expect(await world.rowsOf(of.keyId)).toEqual(of.before);
    expect(world.custody.calls.filter((name) => name !== 'checkBindings')).toEqual([]);
  }

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
    await verdict(calls[operation], { operation, code, keyId, before });
  });

  const importToken = `imp_${'0'.repeat(26)}` as ImportToken;
  const none = { importToken, encryptedKeyMaterial: Buffer.alloc(512) };
  const imports = (keyId: KeyId, material = none): Readonly<Record<ImportOperation, () => Promise<unknown>>> => ({
    GetImportParameters: () => world.admin('GetImportParameters', { keyId, algorithm: 'RSA_AES_KEY_WRAP_SHA_1' }),
    ImportKeyMaterial: () => world.admin('ImportKeyMaterial', { keyId, ...material }),
    DeleteImportedKeyMaterial: () => world.admin('DeleteImportedKeyMaterial', { keyId }),
  });
  const importCells = Object.entries(IMPORTS).flatMap(([operation, codes]) =>
    codes.map((code, index) => [operation as ImportOperation, STATES[index]!, code] as const),
  );
  it.each(importCells)('%s, %s: %s', async (operation, state, code) => {
    const bytes = randomBytes(32);
    const { keyId } = await anImportedKey(world, bytes);
    await world.putInto(state, keyId);
    const material = state === 'Destroyed' ? none : await wrappedFor(world, keyId, bytes);
    const before = await inState(state, keyId);
    await verdict(imports(keyId, material)[operation], { operation, code, keyId, before });
  });

  it.each(Object.keys(IMPORTS) as ImportOperation[])('%s, of a key that was made in the HSM', async (operation) => {
    const { keyId } = await world.create();
    const before = await inState('Enabled', keyId);
    await verdict(imports(keyId)[operation], { operation, code: 'invalid-request', keyId, before });
  });
});
