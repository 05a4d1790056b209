import type { Alias, KeyId, ServiceName } from '#contract';
import { createKeyRequest, ownAlias } from '#contract';
import { CustodyUnavailable } from '#core';
import { FakeCustody } from '../../libs/testing/fake-custody.js';
import { freshAlias, GLOBEX, KeyWorld, refusal } from './key-world.js';

const service = 'billing' as ServiceName;
const alias = 'alias/acs/billing' as Alias;

/** Keys of integrations: made for a service of the ISV, owned by the tenant. */
describe('a key that is kept for a service', () => {
  let world: KeyWorld;
  let keyId: KeyId;
  beforeAll(async () => {
    world = await KeyWorld.start();
    ({ keyId } = await world.create({ service }));
  });
  afterAll(() => world?.stop());

  const MEANT = {
    DisableKey: (named?: ServiceName) => world.admin('DisableKey', { keyId, service: named }),
    SetDeletionProtection: (named?: ServiceName) => world.admin('SetDeletionProtection', { keyId, enabled: false, service: named }),
    ScheduleKeyDeletion: (named?: ServiceName) => world.admin('ScheduleKeyDeletion', { keyId, pendingDays: 7, service: named }),
  };

  it('has a name that only Keyward gives, and says whose it is, where it is described and listed', async () => {
    const told = { keyId, managedBy: service, aliases: [alias], deletionProtection: true };
    expect(await world.admin('DescribeKey', { keyId })).toMatchObject(told);
    expect((await world.admin('ListKeys', { limit: 10, cursor: undefined })).items).toMatchObject([told]);
    expect(await world.service('GenerateDataKey', { keyId: alias })).toMatchObject({ keyId });
    for (const name of [alias, 'alias/acs', 'alias/acs-x', 'alias/aws/x']) expect(ownAlias.safeParse(name).success).toBe(false);
  });

  it('is there once a service of this platform', async () => {
    expect(await refusal(world.create({ service }))).toMatchObject({ code: 'already-exists', message: expect.stringContaining(keyId) });
    const unknown = world.create({ service: 'nobody' as ServiceName });
    expect(await refusal(unknown)).toMatchObject({ fields: [{ field: 'service', message: expect.stringContaining('no service') }] });
    expect(createKeyRequest.safeParse({ service, origin: 'EXTERNAL' }).error?.issues).toMatchObject([{ path: ['service'] }]);
  });

  it.each(Object.keys(MEANT) as (keyof typeof MEANT)[])('is not taken from it by mistake: %s', async (operation) => {
    const before = await world.rowsOf(keyId);
    world.records.length = 0;
    const code = 'state-unchangeable';
    expect(await refusal(MEANT[operation]())).toMatchObject({ code, message: expect.stringContaining(service) });
    expect(world.records).toMatchObject([{ op: operation, outcome: 'refused', error: { code, reason: 'managed-key: billing' } }]);
    const other = MEANT[operation]('payroll' as ServiceName);
    expect(await refusal(other)).toMatchObject({ code: 'invalid-request', fields: [{ field: 'service' }] });
    expect(await world.rowsOf(keyId)).toEqual(before);
  });

  it('gives its name to no other while nobody can tell whether its names are genuine', async () => {
    await world.create({ service }, GLOBEX);
    const { custody } = world;
    const checking = jest.spyOn(custody, 'checkBindings').mockImplementation(async (rows) => {
      if (rows.some(({ kind }) => kind === 'key-names')) throw new CustodyUnavailable('gone');
      return await FakeCustody.prototype.checkBindings.call(custody, rows);
    });
    const refused = await refusal(world.create({ service }, GLOBEX));
    checking.mockRestore();
    expect(refused).toMatchObject({ code: 'unavailable' });
    expect(await refusal(world.create({ service }, GLOBEX))).toMatchObject({ code: 'already-exists' });
  });

  it('is no such key by SQL: a name that Keyward did not give opens nothing', async () => {
    const { keyId: plain } = await world.create({ alias: freshAlias() });
    await world.database.as('superuser', (client) =>
      client.query(`INSERT INTO keyward.alias (tenant_id, alias, key_id) VALUES ('acme', 'alias/acs/forged', $1)`, [plain]),
    );
    expect((await refusal(world.admin('DisableKey', { keyId: plain }))).code).not.toBe('state-unchangeable');
  });

  it('is disabled and ended by who names the service, and its name goes on to the next', async () => {
    await MEANT.DisableKey(service);
    expect(await refusal(world.service('GenerateDataKey', { keyId: alias }))).toMatchObject({ code: 'key-disabled' });
    await world.admin('EnableKey', { keyId });
    expect(await refusal(MEANT.ScheduleKeyDeletion(service))).toMatchObject({ message: 'Deletion protection is on.' });
    await MEANT.SetDeletionProtection(service);
    await MEANT.ScheduleKeyDeletion(service);
    await world.endWait(keyId);
    const destructions = world.destructions();
    while ((await world.admin('DescribeKey', { keyId })).state !== 'Destroyed') await destructions.round();
    const next = await world.create({ service });
    expect(next).toMatchObject({ managedBy: service, aliases: [alias] });
    expect(await world.admin('DescribeKey', { keyId })).toMatchObject({ state: 'Destroyed', aliases: [] });
    expect(await world.service('GenerateDataKey', { keyId: alias })).toMatchObject({ keyId: next.keyId });
  });

  it('is disabled by any admin for other keys, who names none', async () => {
    const { keyId: plain } = await world.create();
    const named = world.admin('DisableKey', { keyId: plain, service });
    expect(await refusal(named)).toMatchObject({ fields: [{ field: 'service', message: 'is not who the key is kept for' }] });
    await expect(world.admin('DisableKey', { keyId: plain })).resolves.toMatchObject({ state: 'Disabled' });
  });
});
