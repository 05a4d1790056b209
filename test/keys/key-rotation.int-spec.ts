import type { KeyId, KeyVersionId } from '#contract';
import { drawnAt } from '#core';
import { ACME, KeyWorld, refusal } from './key-world.js';

const DAY_MS = 86_400_000;
const born = (version: KeyVersionId): number => drawnAt(version).getTime();

describe('the rotation policy of a key', () => {
  let world: KeyWorld;
  beforeAll(async () => {
    world = await KeyWorld.start();
  });
  afterAll(() => world?.stop());

  const every = (keyId: KeyId, intervalDays: number, replaces = 0) =>
    world.admin('PutKeyRotation', { keyId, enabled: true, intervalDays, replaces });
  const rotationOf = (keyId: KeyId) => world.admin('GetKeyRotation', { keyId });
  const nextAt = async (keyId: KeyId) => {
    const { rows } = await world.database.as('superuser', (client) =>
      client.query<{ next_at: Date | null }>('SELECT next_at FROM keyward.key_rotation WHERE key_id = $1', [keyId]),
    );
    return rows[0]?.next_at?.getTime();
  };

  it('is due its interval after the birth of the newest version, is described, and is recorded', async () => {
    const { keyId, primaryVersion } = await world.create();
    expect(await rotationOf(keyId)).toEqual({ version: 0, status: 'Disabled' });
    const next = born(primaryVersion) + 90 * DAY_MS;
    const rotation = { version: 1, status: 'Enabled', intervalDays: 90, nextRotationAt: new Date(next).toISOString() };
    expect(await every(keyId, 90)).toEqual(rotation);
    expect(world.records.at(-1)).toMatchObject({
      op: 'PutKeyRotation',
      key: { id: keyId },
      change: { rotationVersion: { before: 0, after: 1 }, intervalDays: { before: null, after: 90 } },
    });
    expect(await world.admin('DescribeKey', { keyId })).toMatchObject({ rotation });
    expect(await nextAt(keyId)).toBe(next);
  });

  it('counts from a version that was asked for in between', async () => {
    const { keyId, primaryVersion } = await world.create();
    await every(keyId, 7);
    const { primaryVersion: second } = await world.admin('CreateKeyVersion', { keyId });
    expect(second).not.toBe(primaryVersion);
    expect(await rotationOf(keyId)).toMatchObject({ nextRotationAt: new Date(born(second) + 7 * DAY_MS).toISOString() });
    expect(await nextAt(keyId)).toBe(born(second) + 7 * DAY_MS);
  });

  it('can be switched off, and is then due never', async () => {
    const { keyId } = await world.create();
    await every(keyId, 7);
    expect(await world.admin('PutKeyRotation', { keyId, enabled: false, replaces: 1 })).toEqual({ version: 2, status: 'Disabled' });
    expect(await nextAt(keyId)).toBeUndefined();
  });

  it('is replaced only by who has read it, also when two do so at once', async () => {
    const { keyId } = await world.create();
    await every(keyId, 7);
    expect(await refusal(every(keyId, 8))).toMatchObject({ code: 'precondition-failed' });
    const put = (replica: 0 | 1) =>
      world.admin('PutKeyRotation', { keyId, enabled: true, intervalDays: 10 + replica, replaces: 1 }, ACME, replica);
    const both = await Promise.allSettled([put(0), put(1)]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(await rotationOf(keyId)).toMatchObject({ version: 2 });
  });

  it('is suspended, not forgotten, while its key is disabled or waits for its end', async () => {
    const { keyId } = await world.create();
    const { nextRotationAt } = await every(keyId, 7);
    const suspended = { status: 'Suspended', suspendedBy: 'key-state', intervalDays: 7, nextRotationAt };
    await world.admin('DisableKey', { keyId });
    expect(await rotationOf(keyId)).toMatchObject(suspended);
    await world.admin('ScheduleKeyDeletion', { keyId, pendingDays: 7 });
    expect(await rotationOf(keyId)).toMatchObject(suspended);
    await world.admin('CancelKeyDeletion', { keyId });
    await world.admin('EnableKey', { keyId });
    expect(await rotationOf(keyId)).toMatchObject({ status: 'Enabled', nextRotationAt });
  });

  it.each([
    ['a key pair', { keySpec: 'EC_P256' }, 'public key'],
    ['a key for MACs', { keySpec: 'HMAC_256' }, 'MACs do not name'],
    ['imported material', { origin: 'EXTERNAL' }, 'imported material'],
  ] as const)('is refused for %s, which says why', async (_, kind, why) => {
    const { keyId } = await world.create(kind);
    await world.putInto('Enabled', keyId);
    const refused = await refusal(every(keyId, 7));
    expect(refused).toMatchObject({ code: 'invalid-request', fields: [{ field: 'keyId', message: expect.stringContaining(why) }] });
    expect(await nextAt(keyId)).toBeUndefined();
  });

  it('counts only as it was bound: by SQL alone nobody has a key rotated more often', async () => {
    const { keyId } = await world.create();
    await every(keyId, 90);
    const edit = (days: number) =>
      world.database.as('superuser', (client) =>
        client.query('UPDATE keyward.key_rotation SET interval_days = $1 WHERE key_id = $2', [days, keyId]),
      );
    await edit(7);
    expect(await refusal(rotationOf(keyId))).toMatchObject({ code: 'unavailable', reason: `binding-broken: key-rotation ${keyId}` });
    await edit(90);
    expect(await rotationOf(keyId)).toMatchObject({ status: 'Enabled' });
  });
});
