import { randomBytes } from 'node:crypto';
import type { KeyId } from '#contract';
import { dropExpiredImports } from '../../apps/worker/expired-imports.js';
import { WHOLE } from '../../apps/worker/jobs/job-kind.js';
import { anImportedKey, wrappedFor } from './importing.js';
import { freshAlias, KeyWorld } from './key-world.js';

describe('a key whose material comes and goes', () => {
  let world: KeyWorld;
  beforeAll(async () => {
    world = await KeyWorld.start();
  });
  afterAll(() => world?.stop());

  const stateOf = async (keyId: KeyId) => (await world.admin('DescribeKey', { keyId })).state;
  const STEPS = {
    delete: (keyId) => world.admin('DeleteImportedKeyMaterial', { keyId }),
    schedule: (keyId) => world.admin('ScheduleKeyDeletion', { keyId, pendingDays: 7 }),
    cancel: (keyId) => world.admin('CancelKeyDeletion', { keyId }),
  } as const satisfies Record<string, (keyId: KeyId) => Promise<unknown>>;

  it.each([
    'delete',
    'delete delete',
    'schedule cancel',
    'delete schedule cancel',
    'schedule delete cancel',
    'schedule delete cancel schedule delete cancel',
  ])('is in the state before, exactly, when it is back: %s', async (course) => {
    const steps = course.split(' ') as (keyof typeof STEPS)[];
    for (const before of ['Enabled', 'Disabled'] as const) {
      const material = randomBytes(32);
      const { keyId, primaryVersion } = await anImportedKey(world, material);
      if (before === 'Disabled') await world.admin('DisableKey', { keyId });
      for (const step of steps) await STEPS[step](keyId);
      const isAway = steps.includes('delete');
      expect(await stateOf(keyId)).toBe(isAway ? 'PendingImport' : before);
      if (isAway) await world.admin('ImportKeyMaterial', { keyId, ...(await wrappedFor(world, keyId, material)) });
      expect(await world.admin('DescribeKey', { keyId })).toMatchObject({ state: before, primaryVersion });
    }
  });

  it.each(['deleted', 'ended'])('takes no other version meanwhile, with a token from before its material was %s', async (course) => {
    const [material, early] = [randomBytes(32), randomBytes(32)];
    const { keyId, primaryVersion } = await world.create({ origin: 'EXTERNAL' });
    const validTo = new Date(Date.now() + 3_600_000).toISOString();
    await world.admin('ImportKeyMaterial', { keyId, ...(await wrappedFor(world, keyId, material)), validTo });
    const token = await wrappedFor(world, keyId, early);
    if (course === 'deleted') await STEPS.delete(keyId);
    else world.offsetMs = 7_200_000;
    const refused = { fields: [{ field: 'importToken', message: expect.stringContaining('another version') }] };
    await expect(world.admin('ImportKeyMaterial', { keyId, ...token })).rejects.toMatchObject(refused);
    await world.admin('ImportKeyMaterial', { keyId, ...(await wrappedFor(world, keyId, material)) });
    expect(await world.admin('DescribeKey', { keyId })).toMatchObject({ state: 'Enabled', primaryVersion });
    world.offsetMs = 0;
    await world.admin('ImportKeyMaterial', { keyId, ...token });
    expect((await world.admin('DescribeKey', { keyId })).primaryVersion).not.toBe(primaryVersion);
  });

  it('has, after its first import, no other state than Enabled, also when its end was scheduled and cancelled before', async () => {
    const { keyId } = await world.create({ origin: 'EXTERNAL' });
    await STEPS.schedule(keyId);
    await STEPS.cancel(keyId);
    expect(await stateOf(keyId)).toBe('PendingImport');
    await world.admin('ImportKeyMaterial', { keyId, ...(await wrappedFor(world, keyId)) });
    expect(await stateOf(keyId)).toBe('Enabled');
  });

  it('tells when it was destroyed, in its description as in lists', async () => {
    const { keyId } = await world.create({ alias: freshAlias() });
    await STEPS.schedule(keyId);
    await world.endWait(keyId);
    const destructions = world.destructions();
    while ((await stateOf(keyId)) !== 'Destroyed') await destructions.round();
    const { destroyedAt } = await world.admin('DescribeKey', { keyId });
    expect(Date.parse(destroyedAt ?? '')).not.toBeNaN();
    const { items } = await world.admin('ListKeys', { limit: 100, cursor: undefined, state: 'Destroyed' });
    expect(items).toMatchObject([{ keyId, destroyedAt }]);
  });

  it('leaves no wrapping key of an import that came too late', async () => {
    const { keyId } = await world.create({ origin: 'EXTERNAL' });
    const [late, good] = [await wrappedFor(world, keyId), await wrappedFor(world, keyId)];
    const blobs = () =>
      world.database.as('superuser', async (client) => {
        const text = 'SELECT import_token AS token, length(blob) > 0 AS there FROM keyward.key_import WHERE key_id = $1';
        const { rows } = await client.query<{ token: string; there: boolean }>(text, [keyId]);
        return new Map(rows.map(({ token, there }) => [token, there]));
      });
    await world.database.as('superuser', (client) =>
      client.query(`UPDATE keyward.key_import SET expires_at = now() WHERE import_token = $1`, [late.importToken]),
    );
    await dropExpiredImports(world.worker.roots).run(WHOLE, jest.fn());
    expect(await blobs()).toEqual(
      new Map([
        [late.importToken, false],
        [good.importToken, true],
      ]),
    );
  });

  it('is in the state before, exactly, when it is back after it ended by itself', async () => {
    const [material, { keyId }] = [randomBytes(32), await anImportedKey(world)];
    await world.admin('DisableKey', { keyId });
    const wrapped = await wrappedFor(world, keyId, material);
    // On a slow machine the end may have come before the import: then nothing was imported.
    for (let ms = 500, isIn = false; !isIn; ms *= 2) {
      const validTo = new Date(Date.now() + ms).toISOString();
      isIn = await world.admin('ImportKeyMaterial', { keyId, ...wrapped, validTo }).then(
        () => true,
        () => false,
      );
    }
    while ((await stateOf(keyId)) !== 'PendingImport') await new Promise((resolve) => setTimeout(resolve, 50));
    await STEPS.schedule(keyId);
    await STEPS.cancel(keyId);
    expect(await stateOf(keyId)).toBe('PendingImport');
    await world.admin('ImportKeyMaterial', { keyId, ...(await wrappedFor(world, keyId, material)) });
    expect(await stateOf(keyId)).toBe('Disabled');
  });
});
