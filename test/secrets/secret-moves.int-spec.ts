import {
  startRewrapRequest,
  type KeyId,
  type KeyVersionId,
  type LongOperationId,
  type SecretDescription,
  type ServiceName,
} from '#contract';
import { KeyBindingBroken } from '#core';
import { dyingAfter } from '../keys/dying.js';
import { type KeyWorld, refusal } from '../keys/key-world.js';
import { bytes, SecretWorld } from './secret-world.js';

describe('a re-wrap of secrets', () => {
  let secrets: SecretWorld;
  let world: KeyWorld;
  let keyId: KeyId;
  let from: KeyVersionId;
  let to: KeyVersionId;
  beforeAll(async () => {
    secrets = await SecretWorld.start();
    ({ world } = secrets);
  });
  afterAll(() => world?.stop());
  beforeEach(async () => {
    // Nothing that another test left is looked at.
    await secrets.sql(`UPDATE keyward.rewrap SET state = 'cancelled', ended_at = now() WHERE ended_at IS NULL`);
    ({ keyId, primaryVersion: from } = await world.create());
  });

  const create = (value: string, versionId = 'v1') => secrets.create({ keyId, value: bytes(value), versionId });
  const put = ({ secretId }: SecretDescription, value: string, versionId: string) =>
    world.admin('PutSecretValue', { secretId, value: bytes(value), format: 'text', versionId });
  const value = async ({ secretId }: SecretDescription, versionId = 'v1') =>
    Buffer.from((await world.admin('GetSecretValue', { secretId, versionId })).value).toString();
  const rotate = async () => void ({ primaryVersion: to } = await world.admin('CreateKeyVersion', { keyId }));
  const start = async (itemsPerSecond = 100_000): Promise<LongOperationId> => {
    await rotate();
    return (await world.admin('StartRewrap', { keyId, fromVersionId: from, itemsPerSecond, mode: 'secrets' })).operationId;
  };
  const work = (parts: Parameters<KeyWorld['secretMoves']>[0] = {}) => world.secretMoves(parts).round();
  const described = (operationId: LongOperationId) => world.admin('DescribeOperation', { operationId });
  const references = async (keyVersionId = from) => (await world.admin('ListVersionReferences', { keyId, keyVersionId })).references;
  const rests = (operationId: LongOperationId) =>
    secrets.sql(`UPDATE keyward.rewrap SET next_at = now() WHERE operation_id = $1`, [operationId]);
  /** Under which version of the key each value is, `v2` of `sec_…` as `sec_…/v2`. */
  const under = async () => {
    const text = 'SELECT secret_id, version_id, key_version FROM keyward.secret_version WHERE key_version IN ($1, $2) ORDER BY 1, 2';
    const { rows } = await secrets.sql(text, [from, to]);
    return Object.fromEntries(rows.map((row) => [`${row.secret_id}/${row.version_id}`, row.key_version]));
  };
  const recorded = async (operationId: LongOperationId, op = 'ReWrap') => {
    const text = `SELECT convert_from(r.bytes, 'UTF8')::json AS body, r.calls::integer AS calls FROM keyward.trail_record r
      WHERE r.op = $2 AND convert_from(r.bytes, 'UTF8')::json -> 'change' ->> 'operationId' = $1 ORDER BY r.seq`;
    return (await secrets.sql(text, [operationId, op])).rows as {
      calls: number;
      body: { outcome: string; secret?: object; authz: object };
    }[];
  };

  it('moves the data key of every value, those of what may be restored too; then the version goes, and all still opens', async () => {
    const [one, gone, elsewhere] = [await create('hunter2'), await create('restored'), await secrets.create()];
    await put(one, 'second', 'v2');
    await world.admin('DeleteSecret', { secretId: gone.secretId, force: false, recoveryDays: 7 });
    const operationId = await start();
    const newer = await create('of the newer version');
    expect(await described(operationId)).toMatchObject({ state: 'pending', mode: 'secrets', progress: { population: 3, done: 0 } });
    expect(await described(operationId)).not.toHaveProperty('service');
    const open = { kind: 'open-operation', operationId };
    expect([await references(), await references(to)]).toMatchObject([
      [open, { kind: 'secrets', count: 3 }],
      expect.arrayContaining([open]),
    ]);
    expect((await world.admin('WhoCan', { keyId, limit: 100 })).items).toMatchObject([
      { subject: 'worker', operations: ['ReWrap'], grant: `rewrap:${operationId}`, conditions: 'what opens secrets' },
    ]);

    await work();
    const over = await described(operationId);
    expect(over).toMatchObject({ state: 'succeeded', progress: { population: 3, done: 3, kept: 0, failed: 0 } });
    expect(over.records!.first).toBeLessThan(over.records!.last);
    expect(Object.values(await under())).toEqual([to, to, to, to]);
    const records = await recorded(operationId);
    const named = ({ secretId: id, name }: SecretDescription, versionId: string) => ({ id, name, versionId });
    expect(records.map(({ calls, body }) => [calls, body.outcome])).toEqual([1, 1, 1].map((calls) => [calls, 'succeeded']));
    expect(records.map(({ body }) => body.secret)).toEqual([named(one, 'v1'), named(one, 'v2'), named(gone, 'v1')]);
    expect(records[0]!.body.authz).toEqual({ decision: 'allow', ruleId: `rewrap:${operationId}` });
    expect(await recorded(operationId, 'EndRewrap')).toHaveLength(1);
    const { certificate } = await world.admin('GetCompletionCertificate', { operationId });
    expect(certificate).toContain('of: secrets\npopulation: 3\nmoved: 3\nkept: 0\nfailed: 0\n');
    const { rows } = await secrets.sql(`SELECT keyward.sealed_under('acme', $1, $2)::integer AS sealed`, [keyId, to]);
    expect(rows).toEqual([{ sealed: 3 }]);

    expect(await references()).toEqual([]);
    await world.admin('RetireKeyVersion', { keyId, keyVersionId: from, confirm: from });
    await world.admin('RestoreSecret', { secretId: gone.secretId });
    expect([
      await value(one),
      await value(one, 'v2'),
      await value(gone),
      await value(newer),
      await value(elsewhere, elsewhere.labels['ACSCurrent']),
    ]).toEqual(['hunter2', 'second', 'restored', 'of the newer version', 'hunter2']);
  });

  it('is over at once where there is nothing, and may be had again', async () => {
    for (let time = 0; time < 2; time++) {
      const operationId = await start();
      await work();
      expect(await described(operationId)).toMatchObject({ state: 'succeeded', progress: { population: 0, done: 0 } });
      expect((await world.admin('GetCompletionCertificate', { operationId })).certificate).toContain('population: 0\n');
    }
  });

  it.each<[string, () => Promise<() => Promise<unknown>>, string]>([
    ['a stop of everything', async () => (await world.stopped({ scope: 'everything' })).lift, 'stopped'],
    ['a stop of the key', async () => (await world.stopped({ scope: 'key', keyId })).lift, 'stopped'],
    [
      'the state of the key',
      async () => {
        await world.admin('DisableKey', { keyId });
        return () => world.admin('EnableKey', { keyId });
      },
      'key-disabled',
    ],
  ])('is suspended by %s, its end too, and goes on when that is over', async (_what, begin, reason) => {
    for (const values of [['one'], []]) {
      for (const one of values) await create(one);
      const operationId = await start();
      const end = await begin();
      await work();
      await rests(operationId);
      await work();
      expect(await described(operationId)).toMatchObject({ state: 'suspended', reason, progress: { done: 0 } });
      expect((await recorded(operationId)).map(({ body }) => body.outcome)).toEqual(['refused']);
      expect(Object.values(await under())).not.toContain(to);
      await end();
      await rests(operationId);
      await work();
      expect(await described(operationId)).toMatchObject({ state: 'succeeded', progress: { done: values.length } });
    }
  });

  it('moves nothing under rules that changed meanwhile', async () => {
    await create('one');
    const operationId = await start();
    const { custody } = world;
    let stop: { lift(): Promise<void> } | undefined;
    const moveItem: typeof custody.moveItem = async (permit, order) => {
      stop ??= await world.stopped({ scope: 'everything' });
      return await custody.moveItem(permit, order);
    };
    await work({ custody: { moveItem } });
    expect(stop).toBeDefined();
    expect(Object.values(await under())).toEqual([from]);
    expect(await described(operationId)).toMatchObject({ state: 'suspended' });
    await stop!.lift();
  });

  it('moves, records and counts each once, wherever the worker is killed and however many are at it', async () => {
    const made = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((one) => create(one)));
    const operationId = await start();
    for (let steps = 0; steps < 20; steps++) {
      const dying = dyingAfter(steps, { custody: world.custody, items: world.worker.secretMoves });
      await work({ ...dying, onFailure: () => undefined }).catch(() => undefined);
    }
    await Promise.all([1, 2, 3].map(() => work({ onFailure: () => undefined })));
    await work();
    expect(await described(operationId)).toMatchObject({ state: 'succeeded', progress: { population: 6, done: 6, failed: 0 } });
    expect((await recorded(operationId)).map(({ calls }) => calls)).toEqual([1, 1, 1, 1, 1, 1]);
    expect(await recorded(operationId, 'EndRewrap')).toHaveLength(1);
    expect(await Promise.all(made.map((one) => value(one)))).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
  });

  it.each<[string, (secret: SecretDescription) => Promise<unknown>, number]>([
    [
      'a put that makes room',
      async (secret) => {
        for (let version = 3; version <= 12; version++) await put(secret, `later ${version}`, `v${version}`);
      },
      1,
    ],
    ['its end', ({ secretId }) => world.admin('DeleteSecret', { secretId, force: true }), 0],
  ])('lets %s come first, and moves what is left', async (_what, meanwhile, left) => {
    const secret = await create('oldest');
    await put(secret, 'kept', 'v2');
    await world.admin('UpdateSecretVersionLabels', { secretId: secret.secretId, label: 'mine', moveTo: 'v2', removeFrom: undefined });
    const other = await create('other');
    const operationId = await start();
    const { custody } = world;
    let isFirst = true;
    const moveItem: typeof custody.moveItem = async (permit, order) => {
      const first = isFirst;
      isFirst = false;
      if (first) await meanwhile(secret);
      return await custody.moveItem(permit, order);
    };
    await work({ custody: { moveItem } });
    await work();
    expect(await described(operationId)).toMatchObject({ state: 'succeeded', progress: { population: left + 1, done: left + 1 } });
    expect(Object.values(await under())).not.toContain(from);
    expect(await value(other)).toBe('other');
    if (left > 0) expect([await value(secret, 'v2'), await value(secret, 'v12')]).toEqual(['kept', 'later 12']);
  });

  it('lets what does not open fail alone, says which, and keeps the version for it', async () => {
    const [bad, good] = [await create('bad'), await create('good')];
    await secrets.sql(
      'UPDATE keyward.secret_version SET edk = (SELECT edk FROM keyward.secret_version WHERE secret_id = $2) WHERE secret_id = $1',
      [bad.secretId, good.secretId],
    );
    const operationId = await start();
    await work();
    expect(await described(operationId)).toMatchObject({
      ...{ state: 'failed', progress: { population: 2, done: 1, failed: 1 } },
      failures: [{ itemId: `${bad.secretId}/v1`, code: 'decrypt-failed' }],
    });
    expect((await recorded(operationId)).map(({ body }) => body.outcome).sort()).toEqual(['failed', 'succeeded']);
    expect(await value(good)).toBe('good');
    expect(await references()).toEqual([{ kind: 'secrets', count: 1 }]);
    expect(await refusal(world.admin('RetireKeyVersion', { keyId, keyVersionId: from, confirm: from }))).toMatchObject({
      code: 'state-unchangeable',
    });
  });

  it('keeps to its rate, and ends where it is when it is cancelled', async () => {
    for (const one of ['a', 'b', 'c']) await create(one);
    const operationId = await start(1);
    const { secretMoves } = world.worker;
    let looks = 0;
    const due: typeof secretMoves.due = async (of) => (looks++ < 2 ? await secretMoves.due(of) : []);
    await work({ items: Object.assign(Object.create(secretMoves) as typeof secretMoves, { due }) });
    expect(await described(operationId)).toMatchObject({ state: 'running', progress: { population: 3, done: 1 } });
    await world.admin('CancelOperation', { operationId });
    await rests(operationId);
    await work();
    expect(await described(operationId)).toMatchObject({ state: 'cancelled', progress: { done: 1 } });
    expect(Object.values(await under()).sort()).toEqual([from, from, to].sort());
  });

  it('has the custodian believe no project that SQL made up', async () => {
    await create('one');
    const operationId = await start();
    const { primaryVersion } = await world.admin('CreateKeyVersion', { keyId });
    await secrets.sql('UPDATE keyward.rewrap SET to_version = $2 WHERE operation_id = $1', [operationId, primaryVersion]);
    await expect(work()).rejects.toThrow(KeyBindingBroken);
    expect(Object.values(await under())).toEqual([from]);
  });

  it('is of no service, one at a time, and nothing for services', async () => {
    const asked = { fromVersionId: from, mode: 'secrets' as const };
    const fields = (more: object) => startRewrapRequest.safeParse({ ...asked, ...more }).error?.issues.map(({ path }) => path.join('.'));
    expect([fields({}), fields({ service: 'billing' }), fields({ mode: 'pages' }), fields({ mode: undefined })]).toEqual([
      undefined,
      ...Array<string[]>(3).fill(['service']),
    ]);
    const operationId = await start();
    expect(await refusal(world.admin('StartRewrap', { keyId, itemsPerSecond: 1, ...asked }))).toMatchObject({ code: 'already-exists' });
    const service = 'billing' as ServiceName;
    await world.admin('StartRewrap', { keyId, itemsPerSecond: 1, ...asked, mode: 'pages', service });
    expect(await refusal(world.service('DescribeRewrap', { operationId }))).toMatchObject({ code: 'not-granted' });
  });
});
