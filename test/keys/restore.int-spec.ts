import { type KeyId, PLATFORM } from '#contract';
import { RestoreCheck, type RestoreCheckParts, type Restored, systemClock } from '#core';
import { aTree } from '../../libs/testing/claimed-tree.js';
import { treeRoot } from '#trail';
import { ACME, GLOBEX, KeyWorld, refusal } from './key-world.js';

describe('after the restore of an older database', () => {
  let world: KeyWorld;
  beforeAll(async () => {
    world = await KeyWorld.start();
  });
  afterAll(() => world?.stop());

  const found: Restored[] = [];
  const check = (custody: RestoreCheckParts['custody'] = world.custody) =>
    new RestoreCheck({
      ...{ store: world.store.restores, custody, clock: systemClock },
      onRestored: (one) => found.push(one),
      onFailure: (error) => {
        throw error;
      },
    });
  beforeEach(() => found.splice(0));

  const sql = <Row extends object>(text: string, ...values: unknown[]) =>
    world.database.as('superuser', async (client) => (await client.query<Row>(text, values)).rows);
  /** Destroys a key, and puts back the rows that an older copy has of it. */
  const restoredKey = async () => {
    const { keyId } = await world.create();
    const [row] = await sql<{ blob: Buffer; mac: Buffer }>('SELECT blob, mac FROM keyward.key_version WHERE key_id = $1', keyId);
    await world.admin('ScheduleKeyDeletion', { keyId, pendingDays: 7 });
    await world.endWait(keyId);
    await world.destructions().round();
    await sql('DELETE FROM keyward.key_tombstone WHERE key_id = $1', keyId);
    await sql(`UPDATE keyward.cmk SET state = 'Enabled', destroyed_at = NULL WHERE key_id = $1`, keyId);
    await sql('UPDATE keyward.key_version SET blob = $2, mac = $3 WHERE key_id = $1', keyId, row!.blob, row!.mac);
    return keyId;
  };
  const stateOf = async (keyId: KeyId) => (await world.admin('DescribeKey', { keyId })).state;

  it('a destroyed key is refused by custody at once, and destroyed again: recorded, with a tombstone and a receipt', async () => {
    const keyId = await restoredKey();
    expect((await refusal(world.service('GenerateDataKeyWithoutPlaintext', { keyId }))).code).toBe('key-destroyed');
    const rounds = check();
    await rounds.round();
    expect(await stateOf(keyId)).toBe('PendingDeletion');
    expect(found).toEqual([{ what: 'destroyed-key', tenant: ACME, keyId }]);
    // An admin who cancels it does not have the key back.
    await world.admin('CancelKeyDeletion', { keyId });
    expect((await refusal(world.service('GenerateDataKeyWithoutPlaintext', { keyId }))).code).toBe('key-destroyed');
    await rounds.round();
    await world.destructions().round();
    expect(await stateOf(keyId)).toBe('Destroyed');
    expect(await world.rowsOf(keyId)).toMatchObject({ versions: [{ blob: '\\x' }] });
    expect(await world.admin('GetShreddingReceipt', { keyId })).toMatchObject({ receipt: expect.stringContaining(keyId) });
    const ops = await sql(
      'SELECT op FROM keyward.trail_record WHERE key_id = $1 AND op IN ($2, $3) ORDER BY seq',
      keyId,
      'DestroyKey',
      'DestroyAgain',
    );
    expect(ops.map((row) => (row as { op: string }).op)).toEqual(['DestroyKey', 'DestroyAgain', 'DestroyAgain', 'DestroyKey']);
    found.splice(0);
    await check().round();
    expect(found).toEqual([]);
  });

  it('leaves keys alone that nobody destroyed, and those that the older copy does not know', async () => {
    const keys = await Promise.all([world.create(), world.create()]);
    const gone = await restoredKey();
    await sql('DELETE FROM keyward.key_version WHERE key_id = $1', gone);
    await sql('DELETE FROM keyward.cmk WHERE key_id = $1', gone);
    await check().round();
    expect(found).toEqual([]);
    for (const { keyId } of keys) expect(await stateOf(keyId)).toBe('Enabled');
  });

  it('tells a token that went back, and changes nothing', async () => {
    const { keyId } = await world.create();
    await sql('INSERT INTO keyward.tenant_root VALUES ($1, 7, now(), true, now())', ACME);
    const rounds = check();
    await rounds.round();
    await rounds.round();
    expect(found).toEqual([{ what: 'token', tenant: ACME, missingRoot: 7 }]);
    await sql('DELETE FROM keyward.tenant_root');
    await expect(world.service('GenerateDataKeyWithoutPlaintext', { keyId })).resolves.toBeDefined();
  });

  it('takes no log for one that went back that is only ahead of what was read of it', async () => {
    const { keyId } = await world.create();
    const [head] = (await world.store.restores.logHeads('', 100)).filter(({ tenant }) => tenant === ACME);
    const custody = {
      // What is recorded in between is signed at once.
      kept: async (...asked: Parameters<typeof world.custody.kept>) => {
        await world.service('GenerateDataKeyWithoutPlaintext', { keyId });
        return { ...(await world.custody.kept(...asked)), signedSize: asked[0] === ACME ? head!.size + 1n : 0n };
      },
    };
    await check(custody).round();
    expect(found).toEqual([]);
    await expect(world.service('GenerateDataKeyWithoutPlaintext', { keyId })).resolves.toBeDefined();
  });

  it('a tenant whose trail went back and then grew past what was signed is stopped, once; one that only grew is not', async () => {
    await world.create({}, GLOBEX);
    await world.create({}, GLOBEX);
    const restores = world.store.restores;
    const { size } = (await restores.logHeads('', 100)).find(({ tenant }) => tenant === GLOBEX)!;
    const signedSize = size - 1n;
    const root = (await restores.treeRoot(GLOBEX, signedSize))!;
    const leaves = await sql<{ leaf_hash: Buffer }>('SELECT leaf_hash FROM keyward.trail_record WHERE tenant_id = $1 ORDER BY seq', GLOBEX);
    expect(Buffer.from(treeRoot(leaves.slice(0, -1).map(({ leaf_hash }) => leaf_hash)))).toEqual(Buffer.from(root));
    const signing = (signedRoot: Uint8Array) => ({
      kept: async (...asked: Parameters<typeof world.custody.kept>) => ({
        ...(await world.custody.kept(...asked)),
        ...(asked[0] === GLOBEX && { signedSize, signedRoot }),
      }),
    });
    await check(signing(root)).round();
    expect(found).toEqual([]);
    for (let round = 0; round < 2; round++) await check(signing(aTree(Number(signedSize), 0, 1).root)).round();
    expect(found).toMatchObject([{ what: 'trail', tenant: GLOBEX, signedSize }]);
    const { items } = await world.admin('ListStops', { limit: 10, cursor: undefined }, GLOBEX);
    expect(items).toMatchObject([{ stoppedBy: 'restore', reason: expect.stringContaining('there are others') }]);
  });

  it('a tenant whose trail went back is stopped, once, until its admin lifts that', async () => {
    const { keyId } = await world.create();
    const [log] = await sql<{ log_id: string; origin: string }>('SELECT log_id, origin FROM keyward.log WHERE tenant_id = $1', ACME);
    const tree = aTree(100_000);
    await world.custody.signCheckpoint(ACME, { logId: log!.log_id, origin: log!.origin, keys: [1] }, tree);
    await check().round();
    expect(found).toMatchObject([{ what: 'trail', tenant: ACME, signedSize: 100_000n }]);
    const { items } = await world.admin('ListStops', { limit: 10, cursor: undefined });
    expect(items).toMatchObject([{ target: { scope: 'everything' }, stoppedBy: 'restore' }]);
    expect(items[0]).not.toHaveProperty('liftedAt');
    expect((await sql(`SELECT op FROM keyward.trail_record WHERE tenant_id = $1 AND op = 'StopRestored'`, ACME)).length).toBe(1);
    await world.admin('Lift', { stopId: items[0]!.stopId });
    await check().round();
    expect(
      (await world.admin('ListStops', { limit: 10, cursor: undefined })).items.filter(({ liftedAt }) => liftedAt === undefined),
    ).toEqual([]);
    await expect(world.service('GenerateDataKeyWithoutPlaintext', { keyId })).resolves.toBeDefined();
    expect((await sql('SELECT 1 FROM keyward.stop WHERE tenant_id = $1', PLATFORM)).length).toBe(0);
  });
});
