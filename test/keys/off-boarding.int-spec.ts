import { createHash } from 'node:crypto';
import fc from 'fast-check';
import {
  createSinkRequest,
  PLATFORM,
  type PrincipalName,
  type RecordBody,
  type SecretName,
  type ServiceName,
  type TenantId,
} from '#contract';
import { RestoreCheck, systemClock } from '#core';
import { destroyKeys, type DestructionParts, signReceipts } from '../../apps/worker/destructions.js';
import { NotNow } from '../../apps/worker/jobs/job-kind.js';
import { offBoardTenants } from '../../apps/worker/off-boardings.js';
import { rotateRoots } from '../../apps/worker/root-rotations.js';
import { dyingAfter } from './dying.js';
import { ACME, freshAlias, GLOBEX, KeyWorld, refusal } from './key-world.js';
import { round } from './round.js';

/** All that a tenant that has left may still have: its log with what is derived from it, and what is left of its keys. */
const STAYS = [
  ...['tenant', 'tenant_head', 'log', 'log_key', 'log_retention', 'pruned_tile', 'off_boarding', 'tenant_root'],
  ...['cmk', 'key_version', 'key_tombstone', 'alias'],
  ...['credential', 'read_count', 'key_use', 'signed_checkpoint'],
];
const isTrail = (table: string) => table.startsWith('trail_');

describe('a tenant that leaves', () => {
  let world: KeyWorld;
  let restore: () => Promise<void>;
  beforeAll(async () => {
    world = await KeyWorld.start();
  }, 60_000);
  afterAll(() => world?.stop());

  const sql = async (text: string, values: unknown[] = []) =>
    (await world.database.as('superuser', (client) => client.query(text, values))).rows;
  const recordsOf = async (tenant: TenantId): Promise<RecordBody[]> =>
    (
      await sql(`SELECT convert_from(bytes, 'UTF8')::json AS record FROM keyward.trail_record WHERE tenant_id = $1 ORDER BY seq`, [tenant])
    ).map(({ record }) => record);
  const agreed = (tenant: TenantId = ACME) => world.admin('AgreeToOffBoarding', { confirm: tenant }, tenant);
  const begin = (leaving: TenantId = ACME) => world.operator('OffBoardTenant', { leaving, days: 7, reason: 'contract over' });
  const suspend = () => world.operator('SuspendTenant', { suspended: ACME, reason: '' });
  const waited = () =>
    sql(
      `UPDATE keyward.off_boarding SET begun_at = begun_at - interval '8 days', ends_at = ends_at - interval '8 days' WHERE step = 'Waiting'`,
    );
  const worker = (parts: Partial<DestructionParts> = {}, offBoardings = world.worker.offBoardings, roots = world.worker.roots) => {
    const destruction = { endings: world.worker.endings, custody: world.custody, seenDueForMs: 0, ...parts };
    const custody = parts.custody === undefined ? world.custody : (parts.custody as KeyWorld['custody']);
    return [
      offBoardTenants({ offBoardings, seenDueForMs: 0 }),
      destroyKeys(destruction),
      signReceipts(destruction),
      rotateRoots({ roots, custody }),
    ];
  };
  const unlessNotNow = (error: unknown) => {
    if (!(error instanceof NotNow)) throw Object.assign(error as Error, { message: String((error as { reason?: string }).reason) });
  };
  const worked = async () => {
    const left = async () => (await sql(`SELECT FROM keyward.off_boarding WHERE step <> 'Ended'`)).length;
    for (let times = 0; times < 12 && (await left()) > 0; times++) await round(worker(), unlessNotNow);
    expect(await left()).toBe(0);
  };
  const rowsOf = async (tenant: string) => {
    const tables =
      await sql(`SELECT table_name AS name FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
        WHERE table_schema = 'keyward' AND column_name = 'tenant_id' AND table_type = 'BASE TABLE' ORDER BY 1`);
    const counted = [];
    for (const { name } of tables)
      if ((await sql(`SELECT FROM keyward.${name} WHERE tenant_id = $1 LIMIT 1`, [tenant])).length > 0) counted.push(name as string);
    return counted;
  };
  /** A tenant with one of many things. */
  const furnished = async (tenant: TenantId = ACME) => {
    const [key, imported] = [await world.create({}, tenant), await world.create({ origin: 'EXTERNAL' }, tenant)];
    await world.create({ keySpec: 'EC_P256', description: 'for contracts' }, tenant);
    await world.admin('CreateAlias', { alias: freshAlias(), keyId: key.keyId }, tenant);
    await world.admin('PutKeyRotation', { keyId: key.keyId, enabled: true, intervalDays: 90, replaces: 0 }, tenant);
    await world.admin('SetDeletionProtection', { keyId: key.keyId, enabled: true }, tenant);
    const secret = { name: 'app/db' as SecretName, keyId: key.keyId, type: 'generic', description: '', format: 'text' } as const;
    await world.admin('CreateSecret', { ...secret, value: Buffer.from('hunter2') }, tenant);
    await world.admin('GetImportParameters', { keyId: imported.keyId, algorithm: 'RSAES_OAEP_SHA_256' }, tenant);
    const document = { schema: 'keyward.policy/1' as const, roles: {}, grants: [], guardrails: [] };
    await world.admin('PutPolicy', { document, replaces: 0 }, tenant);
    await world.admin('PutPolicyDraft', { format: 'json', text: JSON.stringify(document) }, tenant);
    const made = await world.service('GenerateDataKeyWithoutPlaintext', { keyId: key.keyId }, 'billing', tenant);
    await world.admin('CreateKeyVersion', { keyId: key.keyId }, tenant);
    const project = { fromVersionId: key.primaryVersion, service: 'billing' as ServiceName, itemsPerSecond: 1, mode: 'upload' as const };
    const { operationId } = await world.admin('StartRewrap', { keyId: key.keyId, ...project }, tenant);
    const items = [{ itemId: 'row-1', ciphertext: Buffer.from('ciphertext' in made ? made.ciphertext : []), encryptionContext: {} }];
    await world.service('UploadRewrapItems', { operationId, items }, 'billing', tenant);
    await world.admin('IssueCredential', { principal: 'rita' as PrincipalName, role: 'auditor', expiresInDays: 30 }, tenant);
    await world.operator('SetQuota', { limited: tenant, quota: 'keys', limit: 500 });
    return key.keyId;
  };

  const digestOfReceipts = async () => {
    const rows = await sql(`SELECT receipt FROM keyward.key_tombstone WHERE tenant_id = 'acme' ORDER BY key_id`);
    const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
    return sha256(rows.map(({ receipt }) => sha256(receipt)).join(''));
  };
  const stepOf = (tenant: TenantId) => world.worker.offBoardings.step(tenant);
  /** Of acme, what an older copy of the database has of its keys; `restore` puts it back. */
  const copied = async () => {
    const [keys, versions] = [
      await sql(`SELECT key_id, state FROM keyward.cmk WHERE tenant_id = 'acme'`),
      await sql(`SELECT version_id, blob, mac FROM keyward.key_version WHERE tenant_id = 'acme'`),
    ];
    return async () => {
      await sql(`DELETE FROM keyward.off_boarding WHERE tenant_id = 'acme'`);
      await sql(`UPDATE keyward.tenant SET state = 'Active' WHERE tenant_id = 'acme'`);
      await sql(`DELETE FROM keyward.key_tombstone WHERE tenant_id = 'acme'`);
      for (const { key_id, state } of keys)
        await sql('UPDATE keyward.cmk SET state = $2, destroyed_at = NULL WHERE key_id = $1', [key_id, state]);
      for (const { version_id, blob, mac } of versions)
        await sql('UPDATE keyward.key_version SET blob = $2, mac = $3 WHERE version_id = $1', [version_id, blob, mac]);
    };
  };

  it('is begun on the agreement of its admin or on a suspension, and told at once in its own log', async () => {
    expect(await refusal(begin())).toMatchObject({ code: 'state-unchangeable', reason: 'no-basis' });
    expect(await refusal(begin('hooli' as TenantId))).toMatchObject({ code: 'not-found' });
    expect(await refusal(begin(PLATFORM))).toMatchObject({ code: 'not-found' });
    expect(await refusal(world.admin('AgreeToOffBoarding', { confirm: 'globex' }))).toMatchObject({ fields: [{ field: 'confirm' }] });
    await suspend();
    expect(await begin()).toMatchObject({ basis: 'suspension' });
    const told = (await recordsOf(ACME)).at(-1);
    expect(told).toMatchObject({
      op: 'OffBoardTenant',
      actor: { type: 'operator' },
      change: { basis: 'suspension', endsAt: expect.any(String) },
    });
    expect(await world.admin('DescribeOffBoarding', undefined)).toMatchObject({ state: 'Waiting', basis: 'suspension' });
    expect(await refusal(begin())).toMatchObject({ reason: 'off-boarding-Waiting' });
    // What it rests on stays, and so does the root that is to be the last but one.
    expect(await refusal(world.operator('ResumeTenant', { suspended: ACME }))).toMatchObject({ code: 'state-unchangeable' });
    expect(await refusal(world.admin('RotateRoot', undefined))).toMatchObject({ code: 'state-unchangeable' });
    expect(await refusal(world.admin('WithdrawFromOffBoarding', undefined))).toMatchObject({ code: 'state-unchangeable' });
    expect(await refusal(world.admin('AgreeToOffBoarding', { confirm: 'acme' }))).toMatchObject({ code: 'state-unchangeable' });
    await world.operator('CancelOffBoarding', { leaving: ACME });
    await world.operator('ResumeTenant', { suspended: ACME });
  });

  it('is cancelled while it waits: by the operator, or by its admin who agreed, and all is as before', async () => {
    const { keyId } = await world.create();
    await suspend();
    await begin();
    await world.operator('CancelOffBoarding', { leaving: ACME });
    expect((await recordsOf(ACME)).at(-1)).toMatchObject({ op: 'CancelOffBoarding' });
    await world.operator('ResumeTenant', { suspended: ACME });
    await agreed();
    await begin();
    await world.admin('WithdrawFromOffBoarding', undefined);
    expect(await refusal(world.admin('DescribeOffBoarding', undefined))).toMatchObject({ code: 'not-found' });
    await waited();
    await round(worker(), unlessNotNow);
    await expect(world.service('GenerateDataKey', { keyId })).resolves.toBeDefined();
    await expect(world.admin('RotateRoot', undefined)).resolves.toMatchObject({ root: 1 });
    while ((await world.admin('DescribeRoot', undefined)).rotating) await round(worker(), unlessNotNow);
    expect(await refusal(world.operator('CancelOffBoarding', { leaving: ACME }))).toMatchObject({ code: 'not-found' });
  });

  it('waits: by no worker is it closed before its time, and no row can say less than seven days or stand without a basis', async () => {
    await agreed();
    await begin();
    expect(await world.worker.offBoardings.dueOffBoardings(ACME)).toEqual([]);
    const state = (role: 'keyward_key_plane' | 'keyward_worker', text: string) =>
      world.database.as(role, (client) =>
        client.query(text).then(
          () => 'done',
          ({ code }: { code: string }) => code,
        ),
      );
    const close = `SELECT 1 / count(x) FROM keyward.close_tenant('', 'acme', (now() + interval '1 day')::timestamptz) x`;
    expect([await state('keyward_worker', close), await state('keyward_key_plane', close)]).toEqual(['22012', '42501']);
    expect(await state('keyward_worker', `SELECT keyward.off_board_step('acme')`)).toBe('KW001');
    const as = (tenant: string, text: string) =>
      state('keyward_key_plane', `BEGIN; SELECT set_config('app.tenant_id', '${tenant}', true); ${text}`);
    expect(await as('acme', `UPDATE keyward.off_boarding SET closed_at = now()`)).toBe('42501');
    expect(await as('platform', `UPDATE keyward.off_boarding SET ends_at = begun_at + interval '6 days'`)).toBe('23514');
    const nothing = `'Waiting', 'root', now(), now() + interval '7 days', '', 1`;
    const begun = '(tenant_id, step, begun_by, begun_at, ends_at, reason, last_root)';
    expect(await as('platform', `INSERT INTO keyward.off_boarding ${begun} VALUES ('globex', ${nothing})`)).toBe('23514');
    expect(await as('globex', `INSERT INTO keyward.off_boarding ${begun} VALUES ('acme', ${nothing})`)).toBe('42501');
    expect(await rowsOf(GLOBEX)).not.toContain('off_boarding');
    await world.admin('WithdrawFromOffBoarding', undefined);
  });

  it('does so whatever dies, at every call: each step once', async () => {
    await furnished(GLOBEX);
    await agreed(GLOBEX);
    await begin(GLOBEX);
    await waited();
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 25 }), async (steps) => {
        const { endings, offBoardings, roots } = dyingAfter(steps, {
          ...{ endings: world.worker.endings, offBoardings: world.worker.offBoardings, roots: world.worker.roots },
        });
        const kinds = worker({ endings }, offBoardings, roots);
        for (let times = 0; times < 3; times++) await round(kinds, () => undefined).catch(() => undefined);
      }),
      { numRuns: 12, endOnFailure: true },
    );
    await worked();
    const ops = (await recordsOf(GLOBEX)).map(({ op }) => op);
    for (const [op, times] of [
      ['CloseTenant', 1],
      ['DestroyKey', 3],
      ['RetireRoot', 1],
      ['EndTenant', 1],
    ] as const)
      expect([op, ops.filter((one) => one === op).length]).toEqual([op, times]);
  });

  it('leaves nothing but its log and the tombstones of its keys, which are told one by one', async () => {
    const keyId = await furnished();
    await world.admin('CreateSink', createSinkRequest.parse({ target: { type: 'webhook', url: 'https://hook.example/' } }));
    restore = await copied();
    await agreed();
    expect(await begin()).toMatchObject({ tenant: ACME, state: 'Waiting', basis: 'agreement' });
    // It waits, and all goes on.
    await round(worker(), unlessNotNow);
    await expect(world.service('GenerateDataKey', { keyId })).resolves.toBeDefined();
    // Each side reads what the other did, and not who it was.
    const own = await world.admin('DescribeOffBoarding', undefined);
    expect([own.agreedBy, own.begunBy, own.begunAt]).toEqual([expect.any(String), undefined, expect.any(String)]);
    const { items } = await world.operator('ListOffBoardings', { limit: 10, cursor: undefined });
    const listed = items.find(({ tenant }) => tenant === ACME);
    expect([listed?.agreedBy, listed?.begunBy, listed?.agreedAt]).toEqual([undefined, expect.any(String), expect.any(String)]);
    await waited();
    // Closed: from here on nobody gets in, and nothing takes it back.
    await round(worker(), unlessNotNow);
    expect(await refusal(world.service('GenerateDataKey', { keyId }))).toMatchObject({ code: 'not-granted', reason: 'unknown-tenant' });
    for (const late of [world.admin('ListKeys', { limit: 10, cursor: undefined }), world.admin('CancelKeyDeletion', { keyId })])
      expect(await refusal(late)).toMatchObject({ reason: 'tenant-ended' });
    expect(await refusal(world.operator('CancelOffBoarding', { leaving: ACME }))).toMatchObject({ reason: 'off-boarding-Closing' });
    // A sink that has not heard of it holds up the end, for a day.
    const waits = async () => (await stepOf(ACME).catch(() => 'others first')) === 'sinks';
    for (let times = 0; times < 12 && !(await waits()); times++) await round(worker(), unlessNotNow);
    expect(await waits()).toBe(true);
    await sql(`UPDATE keyward.off_boarding SET closed_at = closed_at - interval '1 day'`);
    await worked();
    expect(await refusal(world.admin('ListKeys', { limit: 10, cursor: undefined }))).toMatchObject({ code: 'unauthenticated' });
    expect(await refusal(world.operator('OnboardTenant', { tenant: ACME, displayName: 'Again' }))).toMatchObject({
      code: 'already-exists',
    });
    expect(await refusal(begin())).toMatchObject({ reason: 'tenant-Ended' });
    const rows = await rowsOf('acme');
    expect(rows.filter((table) => !STAYS.includes(table) && !isTrail(table))).toEqual([]);
    expect(await sql(`SELECT role FROM keyward.credential WHERE tenant_id = 'acme'`)).toEqual([{ role: 'auditor' }]);
    expect(await sql(`SELECT FROM keyward.cmk WHERE state <> 'Destroyed' OR description <> ''`)).toEqual([]);
    expect(await sql(`SELECT FROM keyward.key_version WHERE length(blob) > 0`)).toEqual([]);
    expect(await sql('SELECT FROM keyward.tenant_quota')).toEqual([]);
    // Not only the blobs: the root that opened them, also in every backup.
    expect(world.custody.rootsOf(ACME)).toEqual([2]);
    const records = await recordsOf(ACME);
    const ops = records.map(({ op }) => op).slice(records.findIndex(({ op }) => op === 'CloseTenant'));
    // One key is of the tests before.
    expect(ops.filter((op) => ['CloseTenant', 'DestroyKey', 'RetireRoot', 'EndTenant'].includes(op))).toEqual([
      ...['CloseTenant', 'DestroyKey', 'DestroyKey', 'DestroyKey', 'DestroyKey', 'RetireRoot', 'EndTenant'],
    ]);
    const said = {
      destroyedKeys: 4,
      secret: 1,
      policyVersion: 1,
      policyDraft: 1,
      rewrap: 1,
      rewrapItem: 1,
      keyImport: 1,
      receipts: await digestOfReceipts(),
    };
    expect(records.at(-1)).toMatchObject({ op: 'EndTenant', actor: { type: 'worker' }, change: said });
    expect((await recordsOf(PLATFORM)).findLast(({ op }) => op === 'EndTenant')).toMatchObject({
      op: 'EndTenant',
      change: { leavingTenant: 'acme', ...said },
    });
  });

  it('does not come back with an older copy of the database: no key opens, and each is destroyed again', async () => {
    await restore();
    expect(await sql(`SELECT FROM keyward.cmk WHERE tenant_id = 'acme' AND state <> 'Destroyed'`)).not.toEqual([]);
    const [enabled] = await sql(`SELECT key_id FROM keyward.cmk WHERE tenant_id = 'acme' AND state = 'Enabled'`);
    const use = () => world.service('GenerateDataKeyWithoutPlaintext', { keyId: enabled.key_id });
    expect(await refusal(use())).toMatchObject({ code: 'key-destroyed' });
    const onFailure = (error: unknown) => {
      throw error;
    };
    const check = { store: world.store.restores, custody: world.custody, clock: systemClock, onRestored: () => undefined, onFailure };
    await new RestoreCheck(check).round();
    await round(worker(), unlessNotNow);
    expect(await sql(`SELECT FROM keyward.cmk WHERE tenant_id = 'acme' AND state <> 'Destroyed'`)).toEqual([]);
    // And no custodian that forgot all of it could open one: the root is gone.
    expect(world.custody.rootsOf(ACME)).toEqual([2]);
  });
});
