import { type Alias, createKeyRequest, generateMacRequest, type KeyId, scheduleDeletionRequest, tagKeyRequest } from '#contract';
import { newKeyId } from '#core';
import { freshAlias, GLOBEX, KeyWorld, refusal } from './key-world.js';

describe('the life of a key', () => {
  let world: KeyWorld;
  beforeAll(async () => {
    world = await KeyWorld.start();
  });
  afterAll(() => world?.stop());

  const page = { limit: 10, cursor: undefined };
  const describeKey = (keyId: KeyId) => world.admin('DescribeKey', { keyId });

  it('has a thousand versions at most', async () => {
    const { keyId } = await world.create();
    const copies = (most: number) =>
      world.database.as('superuser', (client) =>
        client.query(
          `INSERT INTO keyward.key_version (tenant_id, version_id, key_id, spec, usage, origin, protection_level, log_id, blob, mac)
            SELECT v.tenant_id, 'kver_0' || lpad(to_hex(n), 25, '0'), v.key_id, v.spec, v.usage, v.origin, v.protection_level, v.log_id, v.blob, v.mac
              FROM keyward.key_version v, generate_series(1, $2) n WHERE v.key_id = $1 AND v.version_id NOT LIKE 'kver_00%'`,
          [keyId, most],
        ),
      );
    await copies(998);
    await expect(world.admin('CreateKeyVersion', { keyId })).resolves.toBeDefined();
    expect((await refusal(world.admin('CreateKeyVersion', { keyId }))).fields).toEqual([
      { field: 'keyId', message: 'has 1000 versions, as many as a key of its kind may have' },
    ]);
  });

  it('waits for its end, which can be called off: then it is as before', async () => {
    const { keyId } = await world.create();
    await world.admin('DisableKey', { keyId });
    const waiting = await world.admin('ScheduleKeyDeletion', { keyId, pendingDays: 7 });
    expect(waiting).toMatchObject({ state: 'PendingDeletion', deletionAt: expect.any(String) });
    expect(await describeKey(keyId)).toEqual(waiting);
    const back = await world.admin('CancelKeyDeletion', { keyId });
    expect(back.state).toBe('Disabled');
    expect(back).not.toHaveProperty('deletionAt');
    expect(await describeKey(keyId)).toEqual(back);
  });

  it.each([
    [6, false],
    [7, true],
    [366, true],
    [367, false],
    [7.5, false],
  ])('waits %d days: %s', (pendingDays, valid) => {
    expect(scheduleDeletionRequest.safeParse({ pendingDays }).success).toBe(valid);
  });

  it('waits 30 days unless told otherwise', () => {
    expect(scheduleDeletionRequest.parse({})).toEqual({ pendingDays: 30 });
  });

  it('does not end while it is protected', async () => {
    const { keyId } = await world.create({ deletionProtection: true });
    expect(await refusal(world.admin('ScheduleKeyDeletion', { keyId, pendingDays: 7 }))).toMatchObject({
      ...{ code: 'state-unchangeable', reason: 'deletion-protected' },
    });
    expect(await world.admin('SetDeletionProtection', { keyId, enabled: false })).toMatchObject({ deletionProtection: false });
    expect(await world.admin('ScheduleKeyDeletion', { keyId, pendingDays: 7 })).toMatchObject({ state: 'PendingDeletion' });
  });

  it.each([
    [8192, true],
    [8193, false],
  ])('is described in %d characters: %s', (length, valid) => {
    expect(createKeyRequest.safeParse({ description: 'x'.repeat(length) }).success).toBe(valid);
  });

  it('is described anew', async () => {
    const { keyId } = await world.create({ description: 'old' });
    expect(await world.admin('UpdateKeyDescription', { keyId, description: 'new\nline' })).toMatchObject({ description: 'new\nline' });
    expect((await describeKey(keyId)).description).toBe('new\nline');
  });

  it.each(['AES_256', 'AES_128'] as const)('of %s has versions: the newest seals, all of them open', async (keySpec) => {
    const { keyId, primaryVersion: first } = await world.create({ keySpec });
    const seal = async () => {
      const sealed = await world.service('Encrypt', { keyId, plaintext: Buffer.from('x') });
      if (!('ciphertext' in sealed)) throw new Error('A dry run.');
      return sealed;
    };
    const old = await seal();
    const { primaryVersion: second, keySpec: same } = await world.admin('CreateKeyVersion', { keyId, reason: 'yearly' });
    expect([old.keyVersionId, (await seal()).keyVersionId, same]).toEqual([first, second, keySpec]);
    for (const sealed of [old, await seal()]) {
      const opened = await world.service('Decrypt', { ciphertext: Buffer.from(sealed.ciphertext) });
      expect('plaintext' in opened && Buffer.from(opened.plaintext).toString()).toBe('x');
    }
    const versions = (await world.admin('ListKeyVersions', { ...page, keyId })).items;
    expect(versions.map(({ keyVersionId, primary }) => [keyVersionId, primary])).toEqual([
      [first, false],
      [second, true],
    ]);
  });

  it('does not open under a header that names another algorithm', async () => {
    const { keyId } = await world.create();
    const sealed = await world.service('Encrypt', { keyId, plaintext: Buffer.from('x') });
    const ciphertext = 'ciphertext' in sealed ? Buffer.from(sealed.ciphertext) : Buffer.alloc(0);
    ciphertext[4] = 2;
    expect(await refusal(world.service('Decrypt', { ciphertext }))).toMatchObject({ code: 'decrypt-failed' });
  });

  it.each(['HMAC_256', 'HMAC_384', 'HMAC_512'] as const)(
    'of %s makes MACs, and knows those of its older versions by name',
    async (keySpec) => {
      const { keyId, keyUsage } = await world.create({ keySpec });
      expect(keyUsage).toBe('GENERATE_VERIFY_MAC');
      const message = Buffer.from('pay 100');
      const made = await world.service('GenerateMac', { keyId, message });
      const mac = 'mac' in made ? Buffer.from(made.mac) : Buffer.alloc(0);
      const ask = (more: object) => world.service('VerifyMac', { keyId, message, mac, ...more });
      expect(await ask({})).toMatchObject({ valid: true });
      expect(await ask({ message: Buffer.from('pay 1000') })).toMatchObject({ valid: false });
      await world.admin('CreateKeyVersion', { keyId });
      expect(await ask({})).toMatchObject({ valid: false });
      expect(await ask({ keyVersionId: made.keyVersionId })).toMatchObject({ valid: true, keyVersionId: made.keyVersionId });
      expect(world.records.at(-1)).toMatchObject({ op: 'VerifyMac', key: { id: keyId, versionId: made.keyVersionId } });
      expect(world.records.at(-1)?.crypto).toEqual({ plaintextSize: '≤8' });
    },
  );

  it('is not made where the HSM cannot, and the reason is told', async () => {
    world.custody.unavailable = { HMAC_512: 'C_SignInit: CKR_MECHANISM_INVALID (0x70)' };
    const { specs } = await world.admin('DescribeCapabilities', undefined);
    expect(specs.find(({ keySpec }) => keySpec === 'HMAC_512')).toMatchObject({ available: false, reason: expect.any(String) });
    expect(await refusal(world.create({ keySpec: 'HMAC_512' }))).toMatchObject({
      fields: [{ field: 'keySpec', message: 'the HSM cannot do it: C_SignInit: CKR_MECHANISM_INVALID (0x70)' }],
    });
    await expect(world.create({ keySpec: 'HMAC_384' })).resolves.toBeDefined();
    world.custody.unavailable = {};
  });

  it('is for what it was made for, and nothing else', async () => {
    const [cipher, macKey] = [await world.create(), await world.create({ keySpec: 'HMAC_256' })];
    const message = Buffer.from('m');
    world.custody.calls.length = 0;
    const refused = [
      world.service('GenerateMac', { keyId: cipher.keyId, message }),
      world.service('VerifyMac', { keyId: macKey.keyId, keyVersionId: cipher.primaryVersion, message, mac: message }),
      world.service('Encrypt', { keyId: macKey.keyId, plaintext: message }),
      world.service('GenerateDataKey', { keyId: macKey.keyId, dryRun: true }),
    ];
    const seen = await Promise.all(refused.map(refusal));
    expect(seen.map(({ code, fields }) => [code, fields[0]])).toEqual([
      ['invalid-request', { field: 'keyId', message: 'is a key for ENCRYPT_DECRYPT' }],
      ['invalid-request', { field: 'keyVersionId', message: 'is no version of this key' }],
      ['invalid-request', { field: 'keyId', message: 'is a key for GENERATE_VERIFY_MAC' }],
      ['invalid-request', { field: 'keyId', message: 'is a key for GENERATE_VERIFY_MAC' }],
    ]);
    expect(world.custody.calls.filter((call) => call !== 'checkBindings')).toEqual([]);
  });

  it.each([
    ['AES_256', 'GENERATE_VERIFY_MAC'],
    ['HMAC_256', 'ENCRYPT_DECRYPT'],
  ])('of %s is not made for %s', (keySpec, keyUsage) => {
    expect(createKeyRequest.safeParse({ keySpec, keyUsage }).error?.issues).toMatchObject([{ path: ['keyUsage'] }]);
  });

  it.each([
    [0, false],
    [1, true],
    [4096, true],
    [4097, false],
  ])('makes the MAC of %i bytes: %s', (length, valid) => {
    const message = Buffer.alloc(length).toString('base64');
    expect(generateMacRequest.safeParse({ keyId: 'alias/a', message }).success).toBe(valid);
  });

  describe('with tags', () => {
    const tagged = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`t${index}`, 'v']));

    it('gets, changes and loses them, and the record tells which', async () => {
      const { keyId } = await world.create({ tags: { team: 'blue' } });
      world.records.length = 0;
      expect((await world.admin('TagKey', { keyId, tags: { team: 'red', class: 'a' } })).tags).toEqual({ team: 'red', class: 'a' });
      expect((await world.admin('UntagKey', { keyId, names: ['class', 'none'] })).tags).toEqual({ team: 'red' });
      expect((await describeKey(keyId)).tags).toEqual({ team: 'red' });
      expect(world.records.slice(0, 2).map(({ change }) => change)).toEqual([
        { tags: 2, tag1: 'team=red', tag2: 'class=a' },
        { tags: 1, untag1: 'class' },
      ]);
    });

    it('has 20 at most', async () => {
      const { keyId } = await world.create({ tags: tagged(19) });
      await world.admin('TagKey', { keyId, tags: { one: 'more' } });
      const { fields } = await refusal(world.admin('TagKey', { keyId, tags: { and: 'another' } }));
      expect(fields).toEqual([{ field: 'tags', message: 'a key has at most 20 tags' }]);
      await world.admin('TagKey', { keyId, tags: { one: 'changed' } });
    });

    it.each([
      [{ ['n'.repeat(128)]: 'v'.repeat(128) }, true],
      [{ ['n'.repeat(129)]: '' }, false],
      [{ n: 'v'.repeat(129) }, false],
      [{ 'A-z0/\\_.+=:@': '' }, true],
      [{ '': 'v' }, false],
      [{ 'a b': 'v' }, false],
      [{ a: 'é' }, false],
      [JSON.parse('{"__proto__":"v"}') as Record<string, string>, false],
      [tagged(20), true],
      [tagged(21), false],
      [{}, false],
    ])('takes %j: %s', (tags, valid) => {
      expect(tagKeyRequest.safeParse({ tags }).success).toBe(valid);
    });

    it('is recorded with the longest that are allowed, and told when a record cannot hold the change', async () => {
      const { keyId } = await world.create();
      const longest = (fill: string) =>
        Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`${index}`.padStart(128, 'n'), fill.repeat(128)]));
      await world.admin('TagKey', { keyId, tags: longest('v') });
      expect((await refusal(world.admin('TagKey', { keyId, tags: longest('\\') }))).fields[0]?.message).toContain('too long');
    });

    it('means nothing to a tag that SQL wrote', async () => {
      const { keyId } = await world.create();
      await world.database.as('superuser', (client) =>
        client.query(`UPDATE keyward.cmk SET tags = '{"team":"red"}' WHERE key_id = $1`, [keyId]),
      );
      expect(await refusal(world.service('GenerateDataKey', { keyId }))).toMatchObject({ code: 'unavailable' });
    });
  });

  describe('with aliases', () => {
    it('lends a name to another key, and from then on it means that one', async () => {
      const [alias, one, other] = [freshAlias(), await world.create(), await world.create()];
      await world.admin('CreateAlias', { alias, keyId: one.keyId });
      expect(await world.service('GenerateDataKeyWithoutPlaintext', { keyId: alias })).toMatchObject({ keyId: one.keyId });
      expect(await world.admin('UpdateAlias', { alias, keyId: other.keyId })).toEqual({ alias, keyId: other.keyId });
      expect(await world.service('GenerateDataKeyWithoutPlaintext', { keyId: alias })).toMatchObject({ keyId: other.keyId });
      expect([(await describeKey(one.keyId)).aliases, (await describeKey(other.keyId)).aliases]).toEqual([[], [alias]]);
      await world.admin('UpdateAlias', { alias, keyId: other.keyId });
    });

    it('loses a name, which is free again', async () => {
      const alias = freshAlias();
      const { keyId } = await world.create({ alias });
      await world.admin('DeleteAlias', { alias });
      expect(await refusal(world.service('GenerateDataKey', { keyId: alias }))).toMatchObject({ code: 'not-granted' });
      expect(await refusal(world.admin('DeleteAlias', { alias }))).toMatchObject({ code: 'not-found' });
      await world.create({ alias });
      expect((await describeKey(keyId)).aliases).toEqual([]);
    });

    it('lets go of a name while it waits for its end', async () => {
      const [alias, heir] = [freshAlias(), await world.create()];
      const { keyId } = await world.create({ alias });
      await world.admin('ScheduleKeyDeletion', { keyId, pendingDays: 7 });
      await world.admin('UpdateAlias', { alias, keyId: heir.keyId });
      expect((await describeKey(heir.keyId)).aliases).toEqual([alias]);
    });

    it("knows nothing of another tenant's names and keys", async () => {
      const alias = freshAlias();
      const foreign = await world.create({ alias }, GLOBEX);
      const own = await world.create();
      expect(await refusal(world.admin('UpdateAlias', { alias, keyId: own.keyId }))).toMatchObject({ code: 'not-found' });
      expect(await refusal(world.admin('DeleteAlias', { alias }))).toMatchObject({ code: 'not-found' });
      expect(await refusal(world.admin('DescribeKey', { keyId: foreign.keyId }))).toMatchObject({ code: 'not-found' });
      expect(await refusal(world.admin('CreateAlias', { alias: freshAlias(), keyId: foreign.keyId }))).toMatchObject({ code: 'not-found' });
      expect(await refusal(world.service('GenerateDataKey', { keyId: alias }))).toMatchObject({ code: 'not-granted' });
      // Unique in its tenant only.
      await world.admin('CreateAlias', { alias, keyId: own.keyId });
      expect((await world.admin('ListAliases', { ...page, keyId: foreign.keyId })).items).toEqual([]);
    });

    it('refuses what exists, what is not there, and more than 50', async () => {
      const alias = freshAlias();
      const { keyId } = await world.create({ alias });
      expect(await refusal(world.admin('CreateAlias', { alias, keyId }))).toMatchObject({ code: 'already-exists' });
      expect(await refusal(world.admin('CreateAlias', { alias: freshAlias(), keyId: newKeyId(1) }))).toMatchObject({ code: 'not-found' });
      for (let count = 1; count < 50; count++) await world.admin('CreateAlias', { alias: freshAlias(), keyId });
      expect(await refusal(world.admin('CreateAlias', { alias: freshAlias(), keyId }))).toMatchObject({ code: 'state-unchangeable' });
      const elsewhere = freshAlias();
      await world.create({ alias: elsewhere });
      expect(await refusal(world.admin('UpdateAlias', { alias: elsewhere, keyId }))).toMatchObject({ code: 'state-unchangeable' });
    });
  });

  describe('in lists', () => {
    const all = async <Item>(list: (cursor: string | undefined) => Promise<{ items: Item[]; nextCursor?: string }>): Promise<Item[]> => {
      const items: Item[] = [];
      for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
        const answer = await list(cursor);
        items.push(...answer.items);
        cursor = answer.nextCursor;
      }
      return items;
    };

    it('is found by state, spec, usage and tag, page by page', async () => {
      const tag = { unit: freshAlias().replace('alias/', '') };
      const made = [];
      for (let count = 0; count < 5; count++) made.push((await world.create({ tags: count === 4 ? {} : tag })).keyId);
      await world.admin('DisableKey', { keyId: made[1]! });
      const found = (filter: object) =>
        all((cursor) => world.admin('ListKeys', { limit: 2, cursor, tag: `unit=${tag.unit}`, ...filter })).then((keys) =>
          keys.map(({ keyId }) => keyId),
        );
      expect(await found({})).toEqual(made.slice(0, 4));
      expect(await found({ state: 'Disabled' })).toEqual([made[1]]);
      expect(await found({ keySpec: 'AES_256', keyUsage: 'ENCRYPT_DECRYPT', state: 'Enabled' })).toEqual([made[0], made[2], made[3]]);
      expect(await found({ tag: 'unit=none' })).toEqual([]);
    });

    it('goes on only where a page of the same list ended', async () => {
      await world.create();
      await world.create();
      const { nextCursor } = await world.admin('ListKeys', { limit: 1, cursor: undefined });
      expect(await refusal(world.admin('ListKeys', { limit: 1, cursor: nextCursor, state: 'Enabled' }))).toMatchObject({
        fields: [{ field: 'cursor' }],
      });
    });

    it('has its names listed, of any length, page by page', async () => {
      const { keyId } = await world.create();
      const names = [freshAlias(), `alias/${'Z'.repeat(255)}` as Alias, freshAlias()];
      for (const alias of names) await world.admin('CreateAlias', { alias, keyId });
      const found = await all((cursor) => world.admin('ListAliases', { limit: 1, cursor, keyId }));
      expect(new Set(found.map(({ alias }) => alias))).toEqual(new Set(names));
    });
  });
});
