import {
  type CountedQuota,
  createSinkRequest,
  PLATFORM,
  type PrincipalName,
  QUOTA_NAMES,
  type QuotaName,
  QUOTAS,
  type SecretName,
  type TenantId,
} from '#contract';
import { ACME, freshAlias, GLOBEX, KeyWorld, refusal } from './key-world.js';

describe('the quotas of a tenant', () => {
  let world: KeyWorld;
  let names = 0;
  beforeAll(async () => {
    world = await KeyWorld.start();
  });
  afterAll(() => world?.stop());

  const sql = (text: string, values: unknown[] = []) => world.database.as('superuser', (client) => client.query(text, values));
  /** Also below the least that an operator may say. */
  const limited = (quota: QuotaName, most: number) =>
    sql(
      `INSERT INTO keyward.tenant_quota VALUES ('platform', 'acme', $1, $2)
        ON CONFLICT (tenant_id, limited_tenant, quota) DO UPDATE SET most = excluded.most`,
      [quota, most],
    );
  const quotas = async () => {
    const { items } = await world.admin('DescribeQuotas', undefined);
    return new Map(items.map((item) => [item.quota, item]));
  };
  const records = async (tenant: TenantId) =>
    (await sql(`SELECT convert_from(bytes, 'UTF8')::json AS record FROM keyward.trail_record WHERE tenant_id = $1 ORDER BY seq`, [tenant]))
      .rows;

  const make: Record<CountedQuota, (replica: 0 | 1) => Promise<unknown>> = {
    keys: (replica) => world.admin('CreateKey', { keySpec: 'AES_256', origin: 'KEYWARD', description: '' }, ACME, replica),
    aliases: async (replica) => world.admin('CreateAlias', { alias: freshAlias(), keyId: (await aKey()).keyId }, ACME, replica),
    secrets: async (replica) => {
      const secret = { name: `app/${++names}` as SecretName, keyId: (await aKey()).keyId, type: 'generic', format: 'text' } as const;
      return await world.admin('CreateSecret', { ...secret, description: '', value: Buffer.from('x') }, ACME, replica);
    },
    sinks: (replica) =>
      world.admin('CreateSink', createSinkRequest.parse({ target: { type: 'webhook', url: 'https://hook.example/' } }), ACME, replica),
    credentials: (replica) =>
      world.admin('IssueCredential', { principal: `p-${++names}` as PrincipalName, role: 'auditor', expiresInDays: 1 }, ACME, replica),
  };
  let key: ReturnType<KeyWorld['create']> | undefined;
  const aKey = () => (key ??= world.create());

  it.each(Object.keys(make) as CountedQuota[])('let of many who make one more at once only so many do it: %s', async (quota) => {
    await aKey();
    const before = (await quotas()).get(quota)!.used!;
    await limited(quota, before + 2);
    const outcomes = await Promise.allSettled([0, 1, 0, 1, 0, 1].map((replica) => make[quota](replica as 0 | 1)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
    expect((await quotas()).get(quota)).toMatchObject({ used: before + 2, limit: before + 2 });
    world.records.length = 0;
    expect(await refusal(make[quota](0))).toMatchObject({
      code: 'limit-exceeded',
      message: `The quota \`${quota}\` of this tenant is ${before + 2}.`,
    });
    expect(world.records).toMatchObject([
      { outcome: 'refused', error: { code: 'limit-exceeded', reason: `quota: ${quota} ${before + 2}` } },
    ]);
    await sql('DELETE FROM keyward.tenant_quota');
    await expect(make[quota](0)).resolves.toBeDefined();
  });

  it('keep nobody from stopping, revoking, deleting and narrowing, however low they are', async () => {
    const { keyId } = await world.create();
    const alias = freshAlias();
    await world.admin('CreateAlias', { alias, keyId });
    const { secretId } = await world.admin('CreateSecret', {
      ...{ name: `app/${++names}` as SecretName, keyId, type: 'generic', description: '', format: 'text', value: Buffer.from('x') },
    });
    const issued = await world.admin('IssueCredential', { principal: 'leaver' as PrincipalName, role: 'admin', expiresInDays: 1 });
    for (const quota of QUOTA_NAMES) await limited(quota, 1);
    await world.admin('RevokeCredential', { credentialId: issued.credentialId });
    await world.admin('DeleteAlias', { alias });
    await world.admin('DeleteSecret', { secretId, force: false, recoveryDays: 7 });
    await world.admin('DisableKey', { keyId });
    await world.admin('ScheduleKeyDeletion', { keyId, pendingDays: 7 });
    // What has no other limit than its own: a key that is there goes on.
    await world.admin('CreateKeyVersion', { keyId: (await aKey()).keyId });
    await sql('DELETE FROM keyward.tenant_quota');
  });

  it('are set by an operator, told in both logs, and read by the tenant', async () => {
    const [acme, platform] = [await records(ACME), await records(PLATFORM)];
    expect(await world.operator('SetQuota', { limited: ACME, quota: 'keys', limit: 50 })).toMatchObject({ quota: 'keys', limit: 50 });
    const change = { limitedTenant: 'acme', keys: { before: QUOTAS.keys.standard, after: 50 } };
    const [told] = (await records(ACME)).slice(acme.length).map(({ record }) => record);
    const [own] = (await records(PLATFORM)).slice(platform.length).map(({ record }) => record);
    for (const record of [told, own])
      expect(record).toMatchObject({ op: 'SetQuota', outcome: 'succeeded', change, actor: { type: 'operator', tenant: PLATFORM } });
    // The tenant learns that an operator did it, and not who that is.
    expect([told._sd, own._sd.length > 0]).toEqual([undefined, true]);
    expect((await quotas()).get('keys')).toMatchObject({ limit: 50, standard: 100_000, used: expect.any(Number) });
    expect((await quotas()).get('useRate')).not.toHaveProperty('used');
    await world.operator('SetQuota', { limited: ACME, quota: 'useRate', limit: 9 });
    expect(await world.store.rateQuotas.rateQuotas()).toEqual(new Map([[ACME, { useRate: 9 }]]));
    expect(
      (await world.operator('DescribeTenantQuotas', { limited: GLOBEX })).items.every(({ limit, standard }) => limit === standard),
    ).toBe(true);
    for (const quota of ['keys', 'useRate'] as const) await world.operator('SetQuota', { limited: ACME, quota, limit: null });
    expect((await sql('SELECT FROM keyward.tenant_quota')).rowCount).toBe(0);
  });

  it.each(QUOTA_NAMES)('are within what the table says: %s', async (quota) => {
    const { least, most } = QUOTAS[quota];
    for (const limit of [least - 1, most + 1])
      expect(await refusal(world.operator('SetQuota', { limited: ACME, quota, limit }))).toMatchObject({
        fields: [{ field: 'limit', message: `must be from ${least} to ${most}` }],
      });
    for (const limit of [least, most])
      await expect(world.operator('SetQuota', { limited: ACME, quota, limit })).resolves.toMatchObject({ limit });
    await world.operator('SetQuota', { limited: ACME, quota, limit: null });
  });

  it('are of tenants that there are, and of no platform', async () => {
    for (const limited of [PLATFORM, 'hooli' as TenantId])
      expect(await refusal(world.operator('SetQuota', { limited, quota: 'keys', limit: 5 }))).toMatchObject({ code: 'not-found' });
  });

  it('change in both logs or not at all', async () => {
    const platform = await records(PLATFORM);
    const holder = await world.database.session('superuser');
    await holder.query(`BEGIN; SELECT FROM keyward.tenant_head WHERE tenant_id = 'acme' FOR UPDATE`);
    expect(await refusal(world.operator('SetQuota', { limited: ACME, quota: 'keys', limit: 5 }))).toMatchObject({ code: 'unavailable' });
    await holder.end();
    expect((await records(PLATFORM)).length).toBe(platform.length);
    expect((await sql('SELECT FROM keyward.tenant_quota')).rowCount).toBe(0);
  });

  it('and no tenant’s own transaction writes or tells one', async () => {
    const client = await world.database.session('keyward_key_plane');
    const state = async (text: string) => {
      await client.query(`BEGIN; SELECT set_config('app.tenant_id', 'acme', true)`);
      const outcome = await client.query(text).then(
        () => 'done',
        ({ code }: { code: string }) => code,
      );
      await client.query('ROLLBACK');
      return outcome;
    };
    expect(await state(`INSERT INTO keyward.tenant_quota VALUES ('platform', 'acme', 'keys', 5)`)).toBe('42501');
    const nobody = `'', 'acme', gen_random_uuid(), gen_random_uuid(), NULL, '', '', NULL, NULL, NULL, 'globex', ''`;
    expect(await state(`SELECT keyward.trail_commit_told(${nobody})`)).toBe('42501');
    await client.end();
  });
});
