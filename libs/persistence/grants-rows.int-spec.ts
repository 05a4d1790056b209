import {
  type Alias,
  type CredentialId,
  PLATFORM,
  type PolicyDocument,
  type RecordBody,
  type ServiceName,
  type StopId,
  type TenantId,
} from '#contract';
import {
  type Appended,
  type Changes,
  liftedDigest,
  newCredentialId,
  newKeyId,
  newKeyVersionId,
  newStopId,
  type NewCredential,
  type StoredIdentityProvider,
  type Writes,
} from '#core';
import { encodeCursor } from './cursor.js';
import { type DataPlaneStore, type KeyPlaneStore, openDataPlaneStore, openKeyPlaneStore } from './stores.js';
import { aRecord, TestDatabase, type TestTenant } from './test-database.js';

const now = new Date();
const tomorrow = new Date(now.getTime() + 86_400_000);
const bytes = (fill: number) => Buffer.alloc(32, fill);
const acme = 'acme' as TenantId;
const page = { limit: 10, cursor: undefined };
const document: PolicyDocument = { schema: 'keyward.policy/1', roles: {}, grants: [], guardrails: [] };

describe('the rows that grants rest on', () => {
  let database: TestDatabase;
  let key: KeyPlaneStore;
  let data: DataPlaneStore;
  let tenants: Map<string, TestTenant>;

  beforeAll(async () => {
    database = await TestDatabase.start();
    tenants = await database.addTenants('platform', 'acme', 'globex');
    key = await openKeyPlaneStore(database.settings('keyward_key_plane'));
    data = await openDataPlaneStore(database.settings('keyward_data_plane'));
  });
  afterAll(async () => {
    await Promise.all([key?.close(), data?.close()]);
    await database.stop();
  });

  const sql = (text: string) => database.as('superuser', (client) => client.query(text));
  async function change(
    tenant: string,
    op: RecordBody['op'],
    apply: (writes: Writes) => Promise<void>,
    changes: Changes = key.changes,
  ): Promise<Appended> {
    const owner = tenants.get(tenant)!;
    const { epochs } = (await key.rules.rules(owner.tenant))!;
    const credential = { tenant: owner.tenant, credentialId: owner.credentialId };
    return await changes.commit({ tenant: owner.tenant, epochs, validUntil: tomorrow, body: aRecord(owner, op), credential, apply });
  }
  async function stopped(): Promise<StopId> {
    const stopId = newStopId(Date.now());
    const target = { scope: 'service' as const, service: 'billing' };
    const stop = { stopId, target, reason: '', stoppedBy: 'anna', stoppedAt: now.toISOString(), mac: undefined };
    await change('acme', 'Stop', (writes) => writes.insertStop(stop));
    return stopId;
  }
  const lift = (id: StopId, number: number, fill = number) =>
    change('acme', 'Lift', (writes) => writes.liftStop(id, { by: 'anna', at: now, number, mac: bytes(fill) }));
  const rules = async () => (await data.rules.rules(acme))!;

  describe('stops', () => {
    it('may get their MAC later, once, and the epoch moves with it', async () => {
      const id = await stopped();
      const before = await rules();
      expect(before.stops).toMatchObject([{ stopId: id, stoppedBy: 'anna', stoppedAt: now.toISOString(), mac: undefined }]);
      await key.seals.sealStop(acme, id, bytes(1));
      const after = await rules();
      expect(after.stops).toMatchObject([{ stopId: id, mac: bytes(1) }]);
      expect(after.epochs.tenant).not.toBe(before.epochs.tenant);
      await key.seals.sealStop(acme, id, bytes(2));
      await key.seals.sealStop(tenants.get('globex')!.tenant, id, bytes(3));
      expect(await rules()).toMatchObject({ stops: [{ mac: bytes(1) }], epochs: after.epochs });
      expect(await key.reads.stop(acme, id)).toMatchObject({ stopId: id, target: { scope: 'service', service: 'billing' } });
      await lift(id, 1);
    });

    it('that are lifted are told in the order of lifting, by the latest MAC', async () => {
      const [first] = await key.reads.liftedStops(acme);
      const [second, third] = [await stopped(), await stopped()];
      await lift(third, 2);
      await lift(second, 3);
      const order = [first!, third, second];
      expect(await key.reads.liftedStops(acme)).toEqual(order);
      expect((await rules()).lifted).toEqual({ count: 3, digest: liftedDigest(order), mac: bytes(3) });
      expect(await key.reads.stop(acme, newStopId(1))).toBeUndefined();
    });

    it('lifted at once have one order: the second is told, and changes nothing', async () => {
      const ids = [await stopped(), await stopped()];
      const answers = await Promise.allSettled(ids.map((id) => lift(id, 4)));
      const lost = answers.findIndex(({ status }) => status === 'rejected');
      expect(answers[lost]).toMatchObject({ reason: { code: 'precondition-failed' } });
      expect(answers[1 - lost]).toMatchObject({ value: { verdict: 'durable' } });
      expect((await rules()).stops.map(({ stopId }) => stopId)).toEqual([ids[lost]]);
      await lift(ids[lost]!, 5);
      expect((await rules()).lifted.count).toBe(5);
    });

    it('lifted by hand change the digest, however it was done', async () => {
      const id = await stopped();
      const { lifted } = await rules();
      await sql(`UPDATE keyward.stop SET lifted_at = now() WHERE stop_id = '${id}'`);
      const order = await key.reads.liftedStops(acme);
      expect(order.at(-1)).toBe(id);
      expect((await rules()).lifted).toEqual({ count: 6, digest: liftedDigest(order), mac: lifted.mac });
      await sql(`UPDATE keyward.stop SET lifted_at = NULL WHERE stop_id = '${id}'`);
      expect((await rules()).lifted).toEqual(lifted);
      await sql(`UPDATE keyward.stop SET lift_number = 7 WHERE lift_number = 1`);
      expect((await rules()).lifted.digest).not.toEqual(lifted.digest);
      await sql(`UPDATE keyward.stop SET lift_number = 1 WHERE lift_number = 7`);
      await lift(id, 6);
    });

    it('that are lifted are read from their index alone', async () => {
      await sql('VACUUM keyward.stop');
      const plan = await database.as('superuser', async (client) => {
        await client.query('SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off');
        const text = `SELECT string_agg(s.stop_id, ',' ORDER BY s.lift_number, s.stop_id) FROM keyward.stop s WHERE s.tenant_id = 'acme' AND s.lifted_at IS NOT NULL`;
        const { rows } = await client.query<{ 'QUERY PLAN': string }>(`EXPLAIN ${text}`);
        return rows.map((row) => row['QUERY PLAN']).join('\n');
      });
      expect(plan).toContain('Index Only Scan using lifted_stop');
      expect(plan).not.toContain('Sort');
    });

    it('have connections that no other call can hold', async () => {
      const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
      const busy = Array.from({ length: 8 }, () => change('globex', 'CreateAlias', () => held));
      const holding = async () => (await sql(`SELECT FROM pg_stat_activity WHERE state = 'idle in transaction'`)).rowCount ?? 0;
      while ((await holding()) < 4) await new Promise((resolve) => setTimeout(resolve, 5));
      const id = newStopId(Date.now());
      const stop = { stopId: id, target: { scope: 'everything' as const }, reason: '', stoppedBy: 'anna', stoppedAt: now.toISOString() };
      expect(await change('acme', 'Stop', (writes) => writes.insertStop({ ...stop, mac: undefined }), key.stops.changes)).toMatchObject({
        verdict: 'durable',
      });
      expect((await key.stops.rules.rules(acme))?.stops.map(({ stopId }) => stopId)).toContain(id);
      letGo();
      await Promise.allSettled(busy);
      await lift(id, 7);
    });
  });

  it('policies have versions to look back to, in pages', async () => {
    for (let version = 1; version <= 12; version++) {
      const policy = { version, digest: `d${version}`, author: 'anna', publishedAt: now.toISOString(), document, mac: bytes(version) };
      await change('acme', 'PutPolicy', (writes) => writes.insertPolicy(policy));
    }
    expect((await rules()).policy).toEqual({
      ...{ version: 12, digest: 'd12', author: 'anna', publishedAt: now.toISOString(), document },
      mac: bytes(12),
    });
    const first = await key.reads.policyVersions(acme, page);
    expect(first.items.map(({ version }) => version)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(first.items[0]).toEqual({ version: 1, digest: 'd1', author: 'anna', publishedAt: now.toISOString() });
    const second = await key.reads.policyVersions(acme, { limit: 10, cursor: first.nextCursor });
    expect(second.items.map(({ version }) => version)).toEqual([11, 12]);
    expect(second).not.toHaveProperty('nextCursor');
    expect(await key.reads.policyVersion(acme, 2)).toEqual({ ...first.items[1], document, mac: bytes(2) });
    for (const version of [0, 13, 2 ** 31, 1e300]) expect(await key.reads.policyVersion(acme, version)).toBeUndefined();
    for (const forged of ['w1', 'v', 'v99999999999', 'v3000000000'])
      await expect(
        key.reads.policyVersions(acme, { limit: 1, cursor: encodeCursor('policy-versions acme', forged) }),
      ).rejects.toMatchObject({ code: 'invalid-request', fields: [{ field: 'cursor' }] });
  });

  it('a draft is replaced and discarded, and no decision sees it', async () => {
    const before = await rules();
    const draft = { digest: 'one', author: 'anna', savedAt: now.toISOString(), document };
    expect(await key.reads.policyDraft(acme)).toBeUndefined();
    await change('acme', 'PutPolicyDraft', (writes) => writes.putPolicyDraft(draft));
    await change('acme', 'PutPolicyDraft', (writes) => writes.putPolicyDraft({ ...draft, digest: 'two', author: 'ben' }));
    expect(await key.reads.policyDraft(acme)).toEqual({ ...draft, digest: 'two', author: 'ben' });
    expect(await key.reads.policyDraft(tenants.get('globex')!.tenant)).toBeUndefined();
    for (let i = 0; i < 2; i++)
      expect(await change('acme', 'DiscardPolicyDraft', (writes) => writes.deletePolicyDraft())).toMatchObject({ verdict: 'durable' });
    expect(await key.reads.policyDraft(acme)).toBeUndefined();
    expect((await rules()).epochs).toEqual(before.epochs);
  });

  it('the catalogue says what each service may ask for, and which is suspended', async () => {
    const service = 'billing' as ServiceName;
    const entry = { service, description: 'Invoices', operations: ['Encrypt' as const, 'Decrypt' as const] };
    await change('platform', 'RegisterService', (writes) => writes.insertService({ ...entry, createdAt: now }));
    expect((await rules()).services).toEqual(new Map([['billing', { operations: ['Encrypt', 'Decrypt'], suspended: false }]]));
    await change('platform', 'PutCatalogueEntry', (writes) => writes.setServiceOperations(service, ['Decrypt']));
    await change('platform', 'SuspendService', (writes) => writes.setServiceSuspended(service, true));
    expect((await rules()).services.get('billing')).toEqual({ operations: ['Decrypt'], suspended: true });
    const summary = { ...entry, operations: ['Decrypt'], suspended: true, createdAt: now.toISOString() };
    expect(await key.reads.service(service)).toEqual(summary);
    expect((await key.reads.services(page)).items).toEqual([summary]);
    const none = 'none' as ServiceName;
    expect(await key.reads.service(none)).toBeUndefined();
    for (const apply of [
      (writes: Writes) => writes.setServiceOperations(none, []),
      (writes: Writes) => writes.setServiceSuspended(none, false),
    ])
      await expect(change('platform', 'PutCatalogueEntry', apply)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('a catalogued operation that this code does not know is none', async () => {
    await sql(`UPDATE keyward.service SET operations = '{Decrypt,Teleport}' WHERE service = 'billing'`);
    expect((await rules()).services.get('billing')?.operations).toEqual(['Decrypt']);
  });

  it('a suspended tenant is suspended alone, until it is resumed', async () => {
    const suspension = { tenant: acme, reason: 'unpaid', suspendedBy: 'root', suspendedAt: now.toISOString() };
    await change('platform', 'SuspendTenant', (writes) => writes.putSuspension(suspension));
    await change('platform', 'SuspendTenant', (writes) => writes.putSuspension({ ...suspension, reason: 'still unpaid' }));
    expect((await rules()).suspended).toBe(true);
    expect((await data.rules.rules(tenants.get('globex')!.tenant))?.suspended).toBe(false);
    expect((await key.reads.suspensions(page)).items).toEqual([{ ...suspension, reason: 'still unpaid' }]);
    await expect(
      change('platform', 'SuspendTenant', (writes) => writes.putSuspension({ ...suspension, tenant: 'nobody' as TenantId })),
    ).rejects.toMatchObject({ code: 'not-found' });
    await change('platform', 'ResumeTenant', (writes) => writes.deleteSuspension(acme));
    expect((await rules()).suspended).toBe(false);
    await expect(change('platform', 'ResumeTenant', (writes) => writes.deleteSuspension(acme))).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  describe('callers', () => {
    const provider: StoredIdentityProvider = {
      ...{
        issuer: 'https://login.acme.test',
        audience: 'keyward',
        jwksUri: 'https://login.acme.test/jwks',
        algorithms: ['RS256', 'EdDSA'],
      },
      ...{ changedBy: 'anna', changedAt: now.toISOString(), version: 'v-1', mac: bytes(1) },
    };
    const person = (subject: string, issuer: string, createdAt = now): NewCredential => ({
      ...{ tenant: acme, credentialId: newCredentialId(Date.now()), principal: 'ben', role: 'auditor', authMethod: 'oidc', mac: bytes(7) },
      ...{ subject, issuer, publicKey: undefined, createdAt, expiresAt: tomorrow, bindingMac: bytes(8) },
    });
    const issue = (credential: NewCredential) =>
      change(credential.tenant, 'IssueCredential', (writes) => writes.insertCredential(credential));
    const found = async (subject: string) => (await key.rules.credentialOfSubject(acme, subject))?.credential;

    it('of a service may be known by a public key', async () => {
      const publicKey = { kty: 'OKP' as const, crv: 'Ed25519' as const, x: 'A'.repeat(43) };
      const credential: NewCredential = {
        ...{ ...person('', ''), tenant: PLATFORM, role: 'service', authMethod: 'private-key-jwt' },
        ...{ subject: undefined, issuer: undefined, publicKey },
      };
      await issue(credential);
      const stored = await data.rules.credential(PLATFORM, credential.credentialId);
      expect(stored?.credential).toEqual({ ...credential, revokedAt: undefined });
      expect((await key.reads.credentials(PLATFORM, page)).items).toContainEqual(
        expect.objectContaining({ credentialId: credential.credentialId, authMethod: 'private-key-jwt' }),
      );
    });

    it('have an identity provider that is replaced and removed, each time under another epoch', async () => {
      const before = (await rules()).epochs.tenant;
      expect(await key.rules.identityProvider(acme)).toBeUndefined();
      await change('acme', 'PutIdentityProvider', (writes) => writes.putIdentityProvider({ ...provider, version: 'v-0', audience: 'old' }));
      await change('acme', 'PutIdentityProvider', (writes) => writes.putIdentityProvider(provider));
      const { epoch, provider: stored } = (await key.rules.identityProvider(acme))!;
      expect(stored).toEqual(provider);
      expect(epoch).toBe((await rules()).epochs.tenant);
      expect(epoch).not.toBe(before);
      await change('acme', 'DeleteIdentityProvider', (writes) => writes.deleteIdentityProvider());
      expect(await key.rules.identityProvider(acme)).toBeUndefined();
      const again = change('acme', 'DeleteIdentityProvider', (writes) => writes.deleteIdentityProvider());
      await expect(again).rejects.toMatchObject({ code: 'not-found' });
    });

    it('are found by subject only under the issuer in force, the newest that is not revoked', async () => {
      const [old, fresh] = [person('sub-1', provider.issuer, new Date(now.getTime() - 1000)), person('sub-1', provider.issuer)];
      const elsewhere = person('sub-1', 'https://other.test', tomorrow);
      for (const credential of [old, fresh, elsewhere]) await issue(credential);
      expect(await found('sub-1')).toBeUndefined();
      await change('acme', 'PutIdentityProvider', (writes) => writes.putIdentityProvider(provider));
      expect(await found('sub-1')).toEqual({ ...fresh, revokedAt: undefined });
      expect(await found('sub-2')).toBeUndefined();
      const revoke = (id: CredentialId) => change('acme', 'RevokeCredential', (writes) => writes.revokeCredential(id, now));
      await revoke(fresh.credentialId);
      expect((await found('sub-1'))?.credentialId).toBe(old.credentialId);
      await revoke(old.credentialId);
      expect(await found('sub-1')).toMatchObject({ credentialId: fresh.credentialId, revokedAt: now });
      await change('acme', 'PutIdentityProvider', (writes) => writes.putIdentityProvider({ ...provider, issuer: 'https://other.test' }));
      expect((await found('sub-1'))?.credentialId).toBe(elsewhere.credentialId);
      expect((await key.reads.credentials(acme, page)).items).toContainEqual(
        expect.objectContaining({ credentialId: elsewhere.credentialId, authMethod: 'oidc', subject: 'sub-1' }),
      );
    });

    it('of a person are nothing that the data plane may ask for', async () => {
      const refused = { code: 'unavailable', reason: 'database: 42501' };
      await expect(data.rules.credentialOfSubject(acme, 'sub-1')).rejects.toMatchObject(refused);
      await expect(data.rules.identityProvider(acme)).rejects.toMatchObject(refused);
    });
  });

  it('keys are told with the names by which rules mean them', async () => {
    const [keyId, versionId] = [newKeyId(1), newKeyVersionId(1)];
    const made = { spec: 'AES_256', usage: 'ENCRYPT_DECRYPT', origin: 'KEYWARD', protectionLevel: 'SOFTWARE_TOKEN' } as const;
    const life = { description: '', deletionProtection: false, deletion: undefined };
    const version = { tenant: acme, keyId, versionId, ...made, logId: tenants.get('acme')!.logId, blob: bytes(1), mac: bytes(2) };
    const named = { keyId, state: 'Enabled' as const, aliases: ['alias/a' as Alias, 'alias/b' as Alias], tags: { team: 'blue' } };
    await change('acme', 'CreateKey', (writes) =>
      writes.insertKey({ ...named, ...life, createdAt: now, primaryVersion: versionId, versions: [version], namesMac: bytes(3) }),
    );
    expect(await key.reads.keyNames(acme, page)).toEqual({ items: [named] });
    expect(await key.reads.keyNames(tenants.get('globex')!.tenant, page)).toEqual({ items: [] });
    expect(await key.reads.namesOfKey(acme, keyId)).toEqual(named);
    expect(await key.reads.namesOfKey(tenants.get('globex')!.tenant, keyId)).toBeUndefined();
  });

  it.each([
    ['a time that JavaScript does not know', `UPDATE keyward.policy_version SET published_at = 'infinity' WHERE version = 12`],
    ['a target of no scope', `UPDATE keyward.stop SET lifted_at = NULL, target = '{"scope":"nothing"}'`],
  ])('that hold %s are no authority, and end nothing but the call', async (_, edit) => {
    await sql(edit);
    await expect(data.rules.rules(acme)).rejects.toMatchObject({
      code: 'unavailable',
      reason: 'database: rules_of answered an unknown shape',
    });
    await sql(`UPDATE keyward.policy_version SET published_at = now() WHERE version = 12`);
  });
});
