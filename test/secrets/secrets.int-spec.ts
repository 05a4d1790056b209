import { CURRENT, type GrantedOperation, PREVIOUS, type SecretName } from '#contract';
import type { GrantRequest, KeywardError } from '#core';
import { CasbinGrants, readModel } from '#grants';
import { GLOBEX, type KeyWorld, refusal } from '../keys/key-world.js';
import { bytes, document, SecretWorld } from './secret-world.js';

const casbin = new CasbinGrants(readModel('policies/model.conf'));

describe('secrets', () => {
  let secrets: SecretWorld;
  let world: KeyWorld;
  beforeAll(async () => {
    secrets = await SecretWorld.start();
    ({ world } = secrets);
  });
  afterAll(() => world?.stop());
  afterEach(() => {
    world.ruling = () => ({});
  });

  const create: SecretWorld['create'] = (given) => secrets.create(given);
  const put: SecretWorld['put'] = (...given) => secrets.put(...given);
  const get: SecretWorld['get'] = (...given) => secrets.get(...given);
  /** Only what these allow. */
  const granting = (
    objects: string[],
    operations: (GrantedOperation | '@all')[],
    onKey: GrantedOperation[] = ['Decrypt', 'GenerateDataKey'],
  ) => {
    const policy = casbin.compile(document(objects, operations, secrets.key.keyId, onKey));
    world.ruling = (request: GrantRequest) => policy.decide(request);
  };

  describe('values', () => {
    it('come back to the admin and to the service, each reading a record of both decisions', async () => {
      const secret = await create();
      expect(secret).toMatchObject({ state: 'Active', labels: { [CURRENT]: expect.stringMatching(/^sver_/) } });
      granting([`secret:${secret.name}`], ['GetSecretValue']);
      expect(await get(secret)).toBe('hunter2');
      expect(world.records.at(-1)).toMatchObject({
        ...{ op: 'GetSecretValue', outcome: 'succeeded', category: 'use', rw: 'read' },
        secret: { id: secret.secretId, name: secret.name, versionId: secret.labels[CURRENT] },
        key: { id: secrets.key.keyId, state: 'Enabled' },
        authz: { decision: 'allow', ruleId: 'secrets', keyRuleId: 'key' },
        crypto: { context: [expect.any(String), expect.any(String)] },
      });
      const read = await world.admin('GetSecretValue', { secretId: secret.secretId });
      expect(Buffer.from(read.value).toString()).toBe('hunter2');
      expect(world.records.at(-1)).toMatchObject({ op: 'GetSecretValue', actor: { type: 'admin' }, secret: { id: secret.secretId } });
      expect(JSON.stringify(world.records)).not.toContain(Buffer.from('hunter2').toString('base64'));
    });

    it('are put by a service: the new one is current, the one before previous', async () => {
      const secret = await create();
      const first = secret.labels[CURRENT]!;
      const { versionId, labels } = await put(secret, 'second');
      expect(labels).toEqual([CURRENT]);
      expect(await get(secret)).toBe('second');
      expect(await get(secret, { label: PREVIOUS })).toBe('hunter2');
      expect(await get(secret, { versionId: first })).toBe('hunter2');
      expect(await world.service('DescribeSecret', { secretId: secret.name })).toMatchObject({
        labels: { [CURRENT]: versionId, [PREVIOUS]: first },
      });
    });

    it('are the same again under the same version id, and never another', async () => {
      const secret = await create();
      const once = await put(secret, 'second', { versionId: 'v2' });
      expect(await put(secret, 'second', { versionId: 'v2' })).toEqual(once);
      expect(world.records.at(-1)).toMatchObject({ op: 'PutSecretValue', outcome: 'succeeded', change: { again: true } });
      expect(await refusal(put(secret, 'third', { versionId: 'v2' }))).toMatchObject({ code: 'already-exists' });
      expect(await refusal(put(secret, 'second', { versionId: 'v2', format: 'binary' }))).toMatchObject({ code: 'already-exists' });
      expect(await get(secret)).toBe('second');
    });

    it('are compared with what is there for nobody who may not read it', async () => {
      const secret = await create();
      const once = await put(secret, 'second', { versionId: 'v2' });
      const again = (value: string) => refusal(put(secret, value, { versionId: 'v2' }));
      for (const [operations, onKey] of [
        [['PutSecretValue'], ['GenerateDataKey', 'Decrypt']],
        [['PutSecretValue', 'GetSecretValue'], ['GenerateDataKey']],
      ] as const) {
        granting([`secret:${secret.name}`], [...operations], [...onKey]);
        const [right, wrong] = [await again('second'), await again('third')];
        expect([right.code, right.message, right.reason]).toEqual(['already-exists', wrong.message, wrong.reason]);
        expect(wrong.code).toBe('already-exists');
      }
      granting([`secret:${secret.name}`], ['PutSecretValue', 'GetSecretValue']);
      expect(await put(secret, 'second', { versionId: 'v2' })).toEqual(once);
    });

    it('are an admin’s where a target is told of them: no service names the account that is rotated', async () => {
      const connectionSecret = (await create()).secretId;
      const secret = await create({ rotation: { target: 'postgresql', connectionSecret } });
      expect(await refusal(put(secret, '{"username":"postgres"}'))).toMatchObject({ code: 'not-granted', reason: 'value-of-a-rotation' });
      expect(world.records.at(-1)).toMatchObject({ op: 'PutSecretValue', outcome: 'refused' });
      await world.admin('PutSecretValue', { secretId: secret.secretId, value: bytes('by anna'), format: 'text' });
      expect(await get(secret)).toBe('by anna');
      await world.admin('UpdateSecretRotationPolicy', { secretId: secret.secretId, policy: { target: 'schedule' } });
      await put(secret, 'by billing');
      expect(await get(secret)).toBe('by billing');
    });

    it('are an admin’s where a rotation reaches its target by them: no service says which server is told', async () => {
      const connection = await create();
      await put(connection, 'not yet one');
      const rotated = await create({ rotation: { target: 'postgresql', connectionSecret: connection.secretId } });
      expect(await refusal(put(connection, '{"host":"evil"}'))).toMatchObject({ code: 'not-granted', reason: 'value-of-a-rotation' });
      await world.admin('UpdateSecretRotationPolicy', { secretId: rotated.secretId, policy: null });
      await put(connection, 'none any more');
      expect(await get(connection)).toBe('none any more');
    });

    it('are ten at most: the oldest without a label goes', async () => {
      const secret = await create({ versionId: 'v0' });
      await put(secret, 'kept', { versionId: 'kept', labels: ['keep'] });
      for (let number = 1; number <= 10; number++) await put(secret, `value ${number}`, { versionId: `v${number}` });
      const { items } = await world.admin('ListSecretVersions', { secretId: secret.secretId });
      expect(items.map(({ versionId }) => versionId)).toEqual(['kept', 'v2', 'v3', 'v4', 'v5', 'v6', 'v7', 'v8', 'v9', 'v10']);
      expect(await refusal(get(secret, { versionId: 'v1' }))).toMatchObject({ code: 'not-found' });
    });

    it('are put at once by two, and both are there', async () => {
      const secret = await create({ versionId: 'v0' });
      await Promise.all([put(secret, 'a', { versionId: 'a' }), put(secret, 'b', { versionId: 'b' })]);
      const { items } = await world.admin('ListSecretVersions', { secretId: secret.secretId });
      expect(items.map(({ versionId }) => versionId).sort()).toEqual(['a', 'b', 'v0']);
    });

    it('are read twenty at a time, each with its own outcome and record', async () => {
      const [one, two] = [await create(), await create({ value: bytes('other') })];
      const outcomes = await world.serviceBatch('GetSecretValue', [
        ...[{ secretId: one.name }, { secretId: 'no/such' as SecretName }, { secretId: two.secretId }],
        { secretId: two.secretId, versionId: 'none' },
      ]);
      expect(outcomes.map((outcome) => ('answer' in outcome ? Buffer.from(outcome.answer.value).toString() : outcome.error.code))).toEqual([
        ...['hunter2', 'not-granted', 'other', 'not-found'],
      ]);
      const records = outcomes.map((outcome) => ('answer' in outcome ? outcome.record : outcome.error.record));
      expect(new Set(records).size).toBe(4);
    });

    it('are wiped when their record cannot be made durable', async () => {
      const secret = await create();
      world.fencedOff = true;
      try {
        expect(await refusal(world.service('GetSecretValue', { secretId: secret.name }))).toMatchObject({ code: 'unavailable' });
      } finally {
        world.fencedOff = false;
      }
      expect(world.custody.lastPlaintext?.every((byte) => byte === 0)).toBe(true);
    });
  });

  describe('to a service', () => {
    it.each<[string, string[], (GrantedOperation | '@all')[], GrantedOperation[], boolean]>([
      ['its name', ['secret:app/x'], ['GetSecretValue'], ['Decrypt'], true],
      ['a prefix', ['secret:app/*'], ['GetSecretValue'], ['Decrypt'], true],
      ['every secret', ['secret:*'], ['@all'], ['Decrypt'], true],
      ['another name', ['secret:app/y'], ['GetSecretValue'], ['Decrypt'], false],
      ['a name it begins with', ['secret:app'], ['GetSecretValue'], ['Decrypt'], false],
      ['its tag, by which keys are meant', ['tag:team=pay'], ['GetSecretValue'], ['Decrypt'], false],
      ['another operation', ['secret:app/x'], ['PutSecretValue'], ['Decrypt'], false],
      ['no use of its key', ['secret:app/x'], ['GetSecretValue'], [], false],
      ['another use of its key', ['secret:app/x'], ['GetSecretValue'], ['GenerateDataKey'], false],
      ['every key, which is no secret', ['*'], ['@all'], ['Decrypt'], false],
    ])('a grant of %s', async (_, objects, operations, onKey, allowed) => {
      const secret = await create({ name: 'app/x' as SecretName, tags: { team: 'pay' } });
      try {
        granting(objects, operations, onKey);
        const outcome = await get(secret).catch((error: unknown) => (error as KeywardError).code);
        expect(outcome).toBe(allowed ? 'hunter2' : 'not-granted');
      } finally {
        await world.admin('DeleteSecret', { secretId: secret.secretId, force: true });
      }
    });

    describe('with limits', () => {
      const limits = { perDay: 1 };
      const limited = (...grants: { id: string; limits?: typeof limits; operations: GrantedOperation[] }[]) => {
        const { keyId } = secrets.key;
        const policy = casbin.compile({
          ...document([], [], keyId, []),
          document: {
            ...{ schema: 'keyward.policy/1', roles: {}, guardrails: [] },
            grants: grants.map((grant) => ({ ...grant, subjects: ['svc:billing'], objects: ['secret:*', keyId] })),
          },
        });
        world.ruling = (request: GrantRequest) => policy.decide(request);
      };

      it('a grant of the secret pays once a read', async () => {
        const secret = await create();
        limited({ id: 'once', limits, operations: ['GetSecretValue'] }, { id: 'key', operations: ['Decrypt'] });
        expect(await get(secret)).toBe('hunter2');
        expect(await refusal(get(secret))).toMatchObject({ code: 'too-many-requests' });
      });

      it('a grant of the key pays where the secret’s is not limited', async () => {
        const secret = await create();
        limited({ id: 'free', operations: ['GetSecretValue'] }, { id: 'key-once', limits, operations: ['Decrypt'] });
        expect(await get(secret)).toBe('hunter2');
        expect(await refusal(get(secret))).toMatchObject({ code: 'too-many-requests' });
      });

      it('one grant of both pays once, and two are no way around either', async () => {
        const secret = await create();
        limited({ id: 'both', limits, operations: ['GetSecretValue', 'Decrypt'] });
        expect(await get(secret)).toBe('hunter2');
        limited({ id: 'one', limits, operations: ['GetSecretValue'] }, { id: 'two', limits, operations: ['Decrypt'] });
        expect(await refusal(get(secret))).toMatchObject({ code: 'not-granted', reason: 'limits-of-two-grants' });
      });

      it('none pays for a put', async () => {
        const secret = await create();
        limited({ id: 'puts', limits, operations: ['PutSecretValue', 'GenerateDataKey'] });
        expect(await refusal(put(secret, 'second'))).toMatchObject({ code: 'not-granted', reason: 'limited-grant-of-a-change' });
      });
    });

    it('random passwords are granted as all that uses no key', async () => {
      const ask = () =>
        world.service('GetRandomPassword', {
          length: 12,
          excludeClasses: [],
          excludeCharacters: '',
          includeSpace: false,
          requireEachIncludedType: true,
        });
      expect((await ask()).password).toHaveLength(12);
      expect(world.records.at(-1)).toMatchObject({ op: 'GetRandomPassword', outcome: 'succeeded', authz: { decision: 'allow' } });
      granting(['secret:*'], ['GetRandomPassword']);
      expect(await refusal(ask())).toMatchObject({ code: 'not-granted' });
      granting(['*'], ['GetRandomPassword']);
      expect((await ask()).password).toHaveLength(12);
    });

    it('unknown, foreign and not granted look alike', async () => {
      const secret = await create();
      granting(['secret:other'], ['GetSecretValue']);
      const refusals = await Promise.all([
        refusal(get(secret)),
        refusal(world.service('GetSecretValue', { secretId: 'never/made' as SecretName })),
        refusal(world.service('GetSecretValue', { secretId: secret.secretId }, 'billing', GLOBEX)),
        refusal(world.service('GetSecretValue', { secretId: secret.secretId }, 'search')),
      ]);
      for (const { code, why, message } of refusals) expect([code, why, message]).toEqual(['not-granted', undefined, '']);
    });

    it('another tenant’s admin finds nothing', async () => {
      const secret = await create();
      expect(await refusal(world.admin('GetSecretValue', { secretId: secret.secretId }, GLOBEX))).toMatchObject({ code: 'not-found' });
      expect(await refusal(world.admin('ListSecretVersions', { secretId: secret.secretId }, GLOBEX))).toMatchObject({ code: 'not-found' });
    });
  });
});
