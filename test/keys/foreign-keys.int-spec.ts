import type { Alias, KeyId } from '#contract';
import { freshAlias, GLOBEX, KeyWorld, refusal } from './key-world.js';

/** What acme's admin and its services ask of a key of globex. */
const ADMINS = {
  DescribeKey: (keyId) => ({ keyId }),
  EnableKey: (keyId) => ({ keyId }),
  DisableKey: (keyId) => ({ keyId }),
  CreateKeyVersion: (keyId) => ({ keyId }),
  ListKeyVersions: (keyId) => ({ keyId, limit: 10, cursor: undefined }),
  DescribePublicKey: (keyId) => ({ keyId }),
  UpdateKeyDescription: (keyId) => ({ keyId, description: 'mine' }),
  TagKey: (keyId) => ({ keyId, tags: { team: 'acme' } }),
  UntagKey: (keyId) => ({ keyId, names: ['team'] }),
  SetDeletionProtection: (keyId) => ({ keyId, enabled: true }),
  PutKeyRotation: (keyId) => ({ keyId, enabled: true, intervalDays: 90, replaces: 0 }),
  GetKeyRotation: (keyId) => ({ keyId }),
  ScheduleKeyDeletion: (keyId) => ({ keyId, pendingDays: 7 }),
  CancelKeyDeletion: (keyId) => ({ keyId }),
  CreateAlias: (keyId) => ({ keyId, alias: freshAlias() }),
  UpdateAlias: (keyId, own) => ({ keyId, alias: own }),
} as const satisfies Partial<Record<string, (keyId: KeyId, own: Alias) => object>>;
const message = Buffer.from('m');
const USES = {
  Encrypt: { plaintext: message },
  GenerateDataKey: {},
  GenerateDataKeyWithoutPlaintext: {},
  ReEncryptTo: { opened: { plaintext: message, kind: 'direct' } },
  GenerateMac: { message },
  VerifyMac: { message, mac: Buffer.alloc(32) },
  Sign: { message, algorithm: 'ECDSA_SHA_256' },
  Verify: { message, algorithm: 'ECDSA_SHA_256', signature: message },
  GetPublicKey: {},
} as const;

describe("another tenant's key", () => {
  let world: KeyWorld;
  let keyId: KeyId;
  let alias: Alias;
  let own: Alias;
  let before: unknown;

  beforeAll(async () => {
    world = await KeyWorld.start();
    [alias, own] = [freshAlias(), freshAlias()];
    ({ keyId } = await world.create({ alias, tags: { team: 'globex' } }, GLOBEX));
    await world.create({ alias: own });
  });
  afterAll(() => world?.stop());
  beforeEach(async () => {
    before = await world.rowsOf(keyId);
    world.records.length = 0;
    world.custody.calls.length = 0;
  });
  afterEach(async () => {
    expect(await world.rowsOf(keyId)).toEqual(before);
    expect(world.custody.calls.filter((call) => call !== 'checkBindings')).toEqual([]);
  });

  it.each(Object.entries(ADMINS))('is not there for %s', async (operation, inputOf) => {
    const attempt = world.admin(operation as keyof typeof ADMINS, inputOf(keyId, own));
    expect(await refusal(attempt)).toMatchObject({ code: 'not-found', record: expect.any(BigInt) });
    expect(world.records).toMatchObject([{ op: operation, outcome: 'refused', error: { code: 'not-found', reason: 'unknown-key' } }]);
  });

  it("cannot be named by its owner's alias", async () => {
    expect(await refusal(world.admin('DescribeKey', { keyId: alias }))).toMatchObject({ code: 'not-found' });
    expect(await refusal(world.admin('DeleteAlias', { alias }))).toMatchObject({ code: 'not-found' });
  });

  it.each(Object.entries(USES))('is one that nobody granted, by id or alias, for %s', async (operation, input) => {
    for (const reference of [keyId, alias]) {
      const attempt = world.service(operation as keyof typeof USES, { ...input, keyId: reference });
      expect(await refusal(attempt)).toMatchObject({ code: 'not-granted', record: expect.any(BigInt) });
    }
    expect(world.records).toMatchObject([
      { op: operation, outcome: 'refused', error: { code: 'not-granted', reason: 'unknown-key' } },
      { op: operation, outcome: 'refused', error: { code: 'not-granted', reason: 'unknown-key' } },
    ]);
  });
});
