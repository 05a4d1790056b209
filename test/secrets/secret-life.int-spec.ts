import {
  CURRENT,
  createSecretRequest,
  deleteSecretRequest,
  listSecretsQuery,
  putSecretValueRequest,
  type SecretName,
  type StopTarget,
} from '#contract';
import { type PurgeParts, purgeSecrets } from '../../apps/worker/secret-purges.js';
import { type KeyWorld, refusal } from '../keys/key-world.js';
import { round } from '../keys/round.js';
import { bytes, SecretWorld } from './secret-world.js';

describe('the life of a secret', () => {
  let secrets: SecretWorld;
  let world: KeyWorld;
  beforeAll(async () => {
    secrets = await SecretWorld.start();
    ({ world } = secrets);
  });
  afterAll(() => world?.stop());

  const create: SecretWorld['create'] = (given) => secrets.create(given);
  const purges = (given: Partial<PurgeParts> = {}) => ({
    round: () =>
      round([purgeSecrets({ purges: world.worker.purges, seenDueForMs: 0, ...given })], (error) => {
        throw error;
      }),
  });

  it('is made once by its name, under a key that seals', async () => {
    const secret = await create();
    expect(await refusal(create({ name: secret.name }))).toMatchObject({ code: 'already-exists' });
    const pair = await world.create({ keySpec: 'EC_P256' });
    expect(await refusal(create({ keyId: pair.keyId }))).toMatchObject({ fields: [{ field: 'keyId' }] });
  });

  it('may begin without a value', async () => {
    const secret = await create({ value: undefined });
    expect(secret.labels).toEqual({});
    expect(await refusal(secrets.get(secret))).toMatchObject({ code: 'not-found' });
    await secrets.put(secret, 'first', { labels: ['blue'] });
    expect(await secrets.get(secret)).toBe('first');
    expect(await secrets.get(secret, { label: 'blue' })).toBe('first');
  });

  it('has its labels moved by an admin, and a stale move refused', async () => {
    const secret = await create({ versionId: 'v1' });
    await secrets.put(secret, 'second', { versionId: 'v2' });
    const label = (moveTo: string | undefined, removeFrom: string | undefined, name: string = CURRENT) =>
      world.admin('UpdateSecretVersionLabels', { secretId: secret.secretId, label: name, moveTo, removeFrom });
    expect(await refusal(label('v1', 'v1'))).toMatchObject({ fields: [{ field: 'removeFrom' }] });
    expect((await label('v1', 'v2')).labels).toEqual({ [CURRENT]: 'v1', ACSPrevious: 'v2' });
    expect(await secrets.get(secret)).toBe('hunter2');
    expect(world.records.find(({ op, outcome }) => op === 'UpdateSecretVersionLabels' && outcome === 'succeeded')).toMatchObject({
      change: { label: CURRENT, version: { before: 'v2', after: 'v1' } },
    });
  });

  it('has a description and tags, and is listed page by page', async () => {
    const made = [];
    for (let count = 0; count < 3; count++) made.push(await create({ name: `list/${count}` as SecretName }));
    const [first] = made;
    await world.admin('UpdateSecret', { secretId: first!.secretId, description: 'the first', tags: { team: 'pay' } });
    const page = await world.admin('ListSecrets', { limit: 2, prefix: 'list/' });
    expect(page.items.map(({ name, description, tags }) => [name, description, tags])).toEqual([
      ['list/0', 'the first', { team: 'pay' }],
      ['list/1', '', {}],
    ]);
    const next = await world.admin('ListSecrets', { limit: 2, prefix: 'list/', cursor: page.nextCursor });
    expect(next).toEqual({ items: [made[2]] });
    expect(await refusal(world.admin('ListSecrets', { limit: 2, cursor: page.nextCursor }))).toMatchObject({
      fields: [{ field: 'cursor' }],
    });
  });

  describe('ends', () => {
    it('after a window in which nobody reads it and it can be restored', async () => {
      const secret = await create();
      const { state, deletionAt } = await world.admin('DeleteSecret', { secretId: secret.secretId, recoveryDays: 7, force: false });
      expect(state).toBe('PendingDeletion');
      expect(Date.parse(deletionAt!) - Date.now()).toBeGreaterThan(6.9 * 86_400_000);
      const refused = { code: 'secret-pending-deletion' };
      expect(await refusal(secrets.get(secret))).toMatchObject(refused);
      expect(await refusal(secrets.read(secret))).toMatchObject(refused);
      expect(await refusal(secrets.put(secret, 'more'))).toMatchObject(refused);
      expect(await refusal(world.admin('RotateSecret', { secretId: secret.secretId }))).toMatchObject(refused);
      expect(await refusal(create({ name: secret.name }))).toMatchObject({ code: 'already-exists' });
      await world.admin('RestoreSecret', { secretId: secret.secretId });
      expect(await secrets.get(secret)).toBe('hunter2');
      expect(await refusal(world.admin('RestoreSecret', { secretId: secret.secretId }))).toMatchObject({ code: 'state-unchangeable' });
    });

    it('at once where that is forced', async () => {
      const secret = await create();
      await world.admin('DeleteSecret', { secretId: secret.secretId, force: true });
      expect(await refusal(secrets.read(secret))).toMatchObject({ code: 'not-found' });
      expect((await secrets.sql('SELECT FROM keyward.secret_version WHERE secret_id = $1', [secret.secretId])).rowCount).toBe(0);
      expect((await create({ name: secret.name })).name).toBe(secret.name);
    });

    it('by the worker, once, when the window is over, and not a moment before', async () => {
      const [secret, kept] = [await create(), await create()];
      for (const { secretId } of [secret, kept]) await world.admin('DeleteSecret', { secretId, force: false });
      const worker = purges();
      await worker.round();
      expect((await secrets.describe(secret)).state).toBe('PendingDeletion');
      await secrets.sql(`UPDATE keyward.secret SET deletion_at = now() - interval '1 second' WHERE secret_id = $1`, [secret.secretId]);
      const behind = purges({ clock: { now: () => new Date(Date.now() - 60_000) } });
      await expect(behind.round()).rejects.toMatchObject({ reason: expect.stringContaining('clock') as string });
      expect((await secrets.describe(secret)).state).toBe('PendingDeletion');
      await Promise.all([worker.round(), purges().round()]);
      expect(await refusal(secrets.describe(secret))).toMatchObject({ code: 'not-found' });
      expect((await secrets.describe(kept)).state).toBe('PendingDeletion');
      const { rows } = await secrets.sql(
        `SELECT convert_from(bytes, 'UTF8')::json AS record FROM keyward.trail_record WHERE op = 'PurgeSecret'`,
      );
      expect(rows.map(({ record }) => record)).toMatchObject([
        { secret: { id: secret.secretId, name: secret.name }, actor: { type: 'worker' }, writer: 'keyward_worker' },
      ]);
    });
  });

  describe('and its key', () => {
    it.each<[string, (keyId: string) => Promise<unknown>, string]>([
      ['disabled', (keyId) => world.admin('DisableKey', { keyId: keyId as never }), 'key-disabled'],
      ['to be deleted', (keyId) => world.admin('ScheduleKeyDeletion', { keyId: keyId as never, pendingDays: 30 }), 'key-pending-deletion'],
      ['destroyed', (keyId) => world.putInto('Destroyed', keyId as never), 'key-destroyed'],
    ])('%s: nobody reads or puts a value', async (_, end, code) => {
      const { keyId } = await world.create();
      const secret = await create({ keyId });
      expect(await secrets.get(secret)).toBe('hunter2');
      await end(keyId);
      expect(await refusal(secrets.get(secret))).toMatchObject({ code });
      expect(await refusal(secrets.read(secret))).toMatchObject({ code });
      expect(await refusal(secrets.put(secret, 'more'))).toMatchObject({ code });
      expect(await refusal(create({ keyId }))).toMatchObject({ code });
      expect(world.records.filter(({ op, outcome }) => op === 'GetSecretValue' && outcome === 'refused').at(-1)).toMatchObject({
        secret: { id: secret.secretId },
        key: { id: keyId },
      });
    });

    it.each<[string, (keyId: string) => StopTarget]>([
      ['the key', (keyId) => ({ scope: 'key', keyId })],
      ['everything', () => ({ scope: 'everything' })],
    ])('stopped by a stop of %s: not even its admin reads it', async (_, target) => {
      const { keyId } = await world.create();
      const secret = await create({ keyId });
      const stop = await world.stopped(target(keyId));
      try {
        expect(await refusal(secrets.read(secret))).toMatchObject({ code: 'stopped' });
        expect(world.records.at(-1)).toMatchObject({ op: 'GetSecretValue', authz: { decision: 'deny', stopId: expect.any(String) } });
        expect(
          await refusal(world.admin('PutSecretValue', { secretId: secret.secretId, value: bytes('x'), format: 'text' })),
        ).toMatchObject({
          code: 'stopped',
        });
      } finally {
        await stop.lift();
      }
      expect(await secrets.read(secret)).toBe('hunter2');
    });

    it('rotated: older values open, new ones are under the newer version, and the older is not retired while one needs it', async () => {
      const { keyId, primaryVersion } = await world.create();
      const secret = await create({ keyId, versionId: 'v1' });
      await world.admin('CreateKeyVersion', { keyId });
      await secrets.put(secret, 'second', { versionId: 'v2' });
      expect(await secrets.get(secret, { versionId: 'v1' })).toBe('hunter2');
      const { items } = await world.admin('ListSecretVersions', { secretId: secret.secretId });
      expect(items.map(({ keyVersionId }) => keyVersionId === primaryVersion)).toEqual([true, false]);
      const version = { keyId, keyVersionId: primaryVersion };
      expect((await world.admin('ListVersionReferences', version)).references).toEqual([{ kind: 'secrets', count: 1 }]);
      expect(await refusal(world.admin('RetireKeyVersion', { ...version, confirm: primaryVersion }))).toMatchObject({
        code: 'state-unchangeable',
      });
    });

    it('tells who read what it seals', async () => {
      const { keyId } = await world.create();
      const secret = await create({ keyId });
      await secrets.get(secret);
      expect((await world.admin('DescribeKey', { keyId })).lastUse).toMatchObject({ operation: 'GetSecretValue', service: 'billing' });
      const { services } = await world.admin('DescribeKeyUsage', { keyId });
      expect(services).toMatchObject([{ service: 'billing', operations: [{ operation: 'GetSecretValue', uses: 1 }] }]);
    });
  });

  describe('rotation', () => {
    it('is a policy that is kept, changed and taken away, and asked for at once', async () => {
      const connection = await create();
      const policy = { target: 'postgresql', intervalHours: 6, connectionSecret: connection.secretId } as const;
      const secret = await create({ type: 'database', rotation: policy });
      expect(secret.rotation).toMatchObject({ policy, state: 'Idle' });
      expect(Date.parse(secret.rotation!.nextRotationAt!) - Date.now()).toBeGreaterThan(5.9 * 3_600_000);
      const due = await world.admin('RotateSecret', { secretId: secret.secretId });
      expect(due.rotation).toMatchObject({ state: 'Due' });
      const changed = await world.admin('UpdateSecretRotationPolicy', { secretId: secret.secretId, policy: { target: 'schedule' } });
      expect(changed.rotation).toEqual({ policy: { target: 'schedule' }, state: 'Idle' });
      const gone = await world.admin('UpdateSecretRotationPolicy', { secretId: secret.secretId, policy: null });
      expect(gone.rotation).toBeUndefined();
      expect(await refusal(world.admin('RotateSecret', { secretId: secret.secretId }))).toMatchObject({ code: 'state-unchangeable' });
    });

    it('is not reached by itself, nor by what is nobody’s', async () => {
      const secret = await create();
      const policy = (connectionSecret: string) =>
        ({ target: 'webhook', connectionSecret: connectionSecret as typeof secret.secretId }) as const;
      for (const connection of [secret.secretId, 'sec_01jdsz0000e008000000000001'])
        expect(
          await refusal(world.admin('UpdateSecretRotationPolicy', { secretId: secret.secretId, policy: policy(connection) })),
        ).toMatchObject({ fields: [{ field: 'rotation.connectionSecret' }] });
    });
  });

  const put = { secretId: 'app/db' };
  const made = { name: 'app/db', keyId: 'alias/db' };
  const webhook = { target: 'webhook', connectionSecret: 'sec_01jdsz0000e008000000000001' };
  const based = (length: number) => Buffer.alloc(length, 'a').toString('base64');
  it.each<[string, { safeParse(value: unknown): { success: boolean } }, unknown, boolean]>([
    ['a value of 30,720 bytes', putSecretValueRequest, { ...put, value: based(30_720) }, true],
    ['a value of 30,721 bytes', putSecretValueRequest, { ...put, value: based(30_721) }, false],
    ['no value', putSecretValueRequest, { ...put, value: '' }, false],
    ['text that is none', putSecretValueRequest, { ...put, value: '/w==' }, false],
    ['the same, as binary', putSecretValueRequest, { ...put, value: '/w==', format: 'binary' }, true],
    ['eight labels', putSecretValueRequest, { ...put, value: 'AA==', labels: [...'abcdefgh'] }, true],
    ['nine labels', putSecretValueRequest, { ...put, value: 'AA==', labels: [...'abcdefghi'] }, false],
    ['a label of the platform', putSecretValueRequest, { ...put, value: 'AA==', labels: ['ACSPending'] }, false],
    ['a label that looks like one', putSecretValueRequest, { ...put, value: 'AA==', labels: ['acsMine'] }, false],
    ['a label that no map of ours can hold', putSecretValueRequest, { ...put, value: 'AA==', labels: ['__proto__'] }, false],
    ['both that callers may give', putSecretValueRequest, { ...put, value: 'AA==', labels: ['ACSCurrent', 'ACSPrevious'] }, true],
    ['a name of 192', createSecretRequest, { ...made, name: 'a'.repeat(192) }, true],
    ['a name of 193', createSecretRequest, { ...made, name: 'a'.repeat(193) }, false],
    ['a name of every sign', createSecretRequest, { ...made, name: 'aZ9_/+=.-@' }, true],
    ['a name with a space', createSecretRequest, { ...made, name: 'a b' }, false],
    ['a name that looks like an id', createSecretRequest, { ...made, name: 'sec_01jdsz0000e008000000000001' }, false],
    ['twenty tags', createSecretRequest, { ...made, tags: Object.fromEntries([...'abcdefghijklmnopqrst'].map((one) => [one, '1'])) }, true],
    ['21 tags', createSecretRequest, { ...made, tags: Object.fromEntries([...'abcdefghijklmnopqrstu'].map((one) => [one, '1'])) }, false],
    ['a version id of nothing', createSecretRequest, { ...made, versionId: 'v1' }, false],
    ['rotation every 6 hours', createSecretRequest, { ...made, rotation: { target: 'schedule', intervalHours: 6 } }, true],
    ['rotation every 5 hours', createSecretRequest, { ...made, rotation: { target: 'schedule', intervalHours: 5 } }, false],
    ['rotation every 365 days', createSecretRequest, { ...made, rotation: { target: 'schedule', intervalHours: 8760 } }, true],
    ['rotation every 365 days and an hour', createSecretRequest, { ...made, rotation: { target: 'schedule', intervalHours: 8761 } }, false],
    ['an overlap of 9 minutes', createSecretRequest, { ...made, rotation: { ...webhook, overlapMinutes: 9 } }, false],
    ['an overlap of 2 days', createSecretRequest, { ...made, rotation: { ...webhook, overlapMinutes: 2880 } }, true],
    ['a target that nobody reaches', createSecretRequest, { ...made, rotation: { target: 'postgresql' } }, false],
    ['a window of 7 days', deleteSecretRequest, { recoveryDays: 7 }, true],
    ['a window of 6 days', deleteSecretRequest, { recoveryDays: 6 }, false],
    ['a window of 31 days', deleteSecretRequest, { recoveryDays: 31 }, false],
    ['a window and force', deleteSecretRequest, { recoveryDays: 7, force: true }, false],
    ['a page of 100', listSecretsQuery, { limit: '100' }, true],
    ['a page of 101', listSecretsQuery, { limit: '101' }, false],
  ])('knows its limits: %s', (_, schema, value, allowed) => {
    expect(schema.safeParse(value).success).toBe(allowed);
  });
});
