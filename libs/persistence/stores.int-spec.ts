import {
  type Alias,
  type CredentialId,
  type ImportToken,
  type KeyId,
  PLATFORM,
  type RecordBody,
  type ServiceName,
  type StopId,
  type TenantId,
} from '#contract';
import {
  type Appended,
  liftedDigest,
  newCredentialId,
  newKeyId,
  newKeyVersionId,
  newLogId,
  newStopId,
  type NewCredential,
  type StoredKey,
  type Writes,
} from '#core';
import {
  type AuditorStore,
  type DataPlaneStore,
  type KeyPlaneStore,
  openAuditorStore,
  openDataPlaneStore,
  openKeyPlaneStore,
  openWorkerStore,
  type WorkerStore,
} from './stores.js';
import { encodeCursor } from './cursor.js';
import { SCHEMA_VERSION } from './startup.js';
import { aRecord, TestDatabase, type TestTenant } from './test-database.js';

const now = new Date();
const tomorrow = new Date(now.getTime() + 86_400_000);
const bytes = (fill: number) => new Uint8Array(32).fill(fill);
const acme = 'acme' as TenantId;

const aCredential = (tenant: TenantId, role: NewCredential['role'], principal: string): NewCredential => ({
  tenant,
  credentialId: newCredentialId(Date.now()),
  principal,
  role,
  authMethod: 'api-key',
  mac: Buffer.from(bytes(7)),
  subject: undefined,
  issuer: undefined,
  publicKey: undefined,
  createdAt: now,
  expiresAt: tomorrow,
  bindingMac: Buffer.from(bytes(6)),
});

function aKey(tenant: TenantId, logId: string, aliases: Alias[]): StoredKey {
  const [keyId, versionId] = [newKeyId(Date.now()), newKeyVersionId(Date.now())];
  const made = { spec: 'AES_256', usage: 'ENCRYPT_DECRYPT', origin: 'KEYWARD', protectionLevel: 'SOFTWARE_TOKEN' } as const;
  const version = { tenant, keyId, versionId, ...made, logId, blob: new Uint8Array(40).fill(1), mac: bytes(2) };
  return {
    keyId,
    state: 'Enabled',
    description: '',
    createdAt: now,
    aliases,
    tags: { team: 'blue' },
    primaryVersion: versionId,
    versions: [version],
    namesMac: Buffer.from(bytes(3)),
    deletionProtection: false,
    deletion: undefined,
  };
}

describe('the stores', () => {
  let database: TestDatabase;
  let key: KeyPlaneStore;
  let data: DataPlaneStore;
  let auditor: AuditorStore;
  let worker: WorkerStore;
  const operator = aCredential(PLATFORM, 'operator', 'root');
  const enrolment = aCredential(acme, 'enrolment', 'enrolment');
  const admin = aCredential(acme, 'admin', 'anna');
  const platform: TestTenant = { tenant: PLATFORM, logId: newLogId(1), credentialId: operator.credentialId };
  const customer: TestTenant = { tenant: acme, logId: newLogId(2), credentialId: admin.credentialId };
  const cmk = aKey(acme, customer.logId, ['alias/invoices' as Alias]);
  const stopId: StopId = newStopId(Date.now());

  beforeAll(async () => {
    database = await TestDatabase.start();
    key = await openKeyPlaneStore(database.settings('keyward_key_plane'));
    data = await openDataPlaneStore(database.settings('keyward_data_plane'));
    auditor = await openAuditorStore(database.settings('keyward_auditor'));
    worker = await openWorkerStore(database.settings('keyward_worker'));
  });
  afterAll(async () => {
    await Promise.all([key, data, auditor, worker].map((store) => store?.close()));
    await database.stop();
  });

  async function change(
    owner: TestTenant,
    op: RecordBody['op'],
    apply: (writes: Writes) => Promise<void>,
    by: CredentialId = owner.credentialId,
  ): Promise<Appended> {
    const rules = await key.rules.rules(owner.tenant);
    const credential = { tenant: owner.tenant, credentialId: by };
    return await key.changes.commit({
      tenant: owner.tenant,
      epochs: rules!.epochs,
      validUntil: tomorrow,
      body: aRecord(owner, op),
      credential,
      apply,
    });
  }

  it('make the platform once, with its first record', async () => {
    const log = { logId: platform.logId, origin: 'keyward.test/platform', vkey: 'vkey' };
    const fresh = { log, contextSalt: bytes(1), createdAt: now, operatorCredential: operator, record: aRecord(platform, 'Enrol') };
    expect(await key.rules.rules(PLATFORM)).toBeUndefined();
    expect(await key.bootstrap.bootstrapPlatform(fresh)).toBe(true);
    expect(await key.bootstrap.bootstrapPlatform(fresh)).toBe(false);
    expect(await key.rules.rules(PLATFORM)).toMatchObject({ tenant: 'platform', state: 'Active', log, policy: undefined, stops: [] });
  });

  it('onboard a tenant from the platform, and never the same id twice', async () => {
    const log = { logId: customer.logId, origin: 'keyward.test/acme', vkey: 'vkey' };
    const tenant = { tenant: acme, displayName: 'Acme', log, contextSalt: bytes(3), createdAt: now, enrolment };
    expect(await change(platform, 'OnboardTenant', (writes) => writes.insertTenant(tenant))).toEqual({ verdict: 'durable', seq: 1n });
    await expect(change(platform, 'OnboardTenant', (writes) => writes.insertTenant(tenant))).rejects.toMatchObject({
      code: 'already-exists',
      message: 'tenant acme exists already.',
    });
    expect(await key.reads.tenants({ limit: 10, cursor: undefined })).toMatchObject({
      items: [{ tenant: 'acme', state: 'Pending' }, { tenant: 'platform' }],
    });
  });

  it('end an enrolment code with its use: the second of two at once changes nothing', async () => {
    const enrol = (as: NewCredential) =>
      change(
        customer,
        'Enrol',
        async (writes) => {
          await writes.revokeCredential(enrolment.credentialId, now);
          await writes.activateTenant();
          await writes.insertCredential(as);
        },
        enrolment.credentialId,
      );
    const answers = await Promise.all([enrol(admin), enrol(aCredential(acme, 'admin', 'mallory'))]);
    expect(answers.filter(({ verdict }) => verdict === 'durable')).toEqual([{ verdict: 'durable', seq: 0n }]);
    expect(answers.filter(({ verdict }) => verdict === 'stale')).toHaveLength(1);
    expect((await key.rules.rules(acme))?.state).toBe('Active');
    const winner = answers[0].verdict === 'durable' ? 'anna' : 'mallory';
    expect((await key.reads.credentials(acme, { limit: 10, cursor: undefined })).items.map(({ principal }) => principal)).toEqual(
      expect.arrayContaining(['enrolment', winner]),
    );
    if (winner === 'mallory')
      await database.as('superuser', (client) =>
        client.query(`UPDATE keyward.credential SET credential_id = $1 WHERE principal = 'mallory'`, [admin.credentialId]),
      );
  });

  it('keep keys, found by id, alias and version by every plane that decides', async () => {
    expect(await change(customer, 'CreateKey', (writes) => writes.insertKey(cmk))).toMatchObject({ verdict: 'durable' });
    for (const lookup of [{ reference: cmk.keyId }, { reference: 'alias/invoices' }, { versionId: cmk.primaryVersion }]) {
      const found = await data.rules.key(acme, lookup);
      expect(found.key).toEqual({
        ...cmk,
        exhausted: false,
        versions: [{ ...cmk.versions[0], blob: Buffer.from(cmk.versions[0]!.blob), mac: Buffer.from(cmk.versions[0]!.mac) }],
      });
      expect(found.epoch).toBe((await data.rules.rules(acme))?.epochs.tenant);
    }
    expect((await data.rules.key(acme, { reference: 'alias/none' })).key).toBeUndefined();
    expect((await data.rules.key(PLATFORM, { reference: cmk.keyId })).key).toBeUndefined();
    expect((await key.reads.keys(acme, { limit: 10, cursor: undefined })).items).toMatchObject([
      { keyId: cmk.keyId, aliases: ['alias/invoices'], keySpec: 'AES_256' },
    ]);
  });

  it('say what exists already, and that a key does not', async () => {
    await expect(
      change(customer, 'CreateAlias', (writes) => writes.insertAlias('alias/invoices' as Alias, cmk.keyId)),
    ).rejects.toMatchObject({ code: 'already-exists', message: 'alias/invoices exists already.' });
    await expect(
      change(customer, 'CreateAlias', (writes) => writes.insertAlias('alias/x' as Alias, 'key_none' as KeyId)),
    ).rejects.toMatchObject({ code: 'not-found' });
    await expect(
      change(customer, 'DisableKey', (writes) => writes.updateKey('key_none' as KeyId, { state: 'Disabled' })),
    ).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  it('say that a change is stale when the row is no longer as it was read', async () => {
    const overtaken = (writes: Writes) => writes.updateKey(cmk.keyId, { state: 'PendingDeletion' });
    expect(await change(customer, 'EnableKey', overtaken)).toEqual({ verdict: 'stale' });
  });

  it('publish policies and stops as rules read them', async () => {
    const document = { schema: 'keyward.policy/1' as const, roles: {}, grants: [], guardrails: [] };
    const policy = { version: 1, digest: 'abc', author: 'anna', publishedAt: now.toISOString(), document, mac: Buffer.from(bytes(5)) };
    const stop = {
      stopId,
      target: { scope: 'everything' as const },
      reason: 'U+0000 stays: \u0001',
      stoppedBy: 'anna',
      stoppedAt: now.toISOString(),
    };
    await change(customer, 'PutPolicy', (writes) => writes.insertPolicy(policy));
    await expect(change(customer, 'PutPolicy', (writes) => writes.insertPolicy(policy))).rejects.toMatchObject({
      code: 'precondition-failed',
    });
    await change(customer, 'Stop', (writes) => writes.insertStop({ ...stop, mac: bytes(4) }));
    const { reason: _, ...active } = stop;
    expect(await data.rules.rules(acme)).toMatchObject({ policy, stops: [{ ...active, mac: Buffer.from(bytes(4)) }] });
    expect((await data.rules.rules(acme))?.lifted).toEqual({ count: 0, digest: liftedDigest([]), mac: undefined });
    const lift = { by: 'anna', at: now, number: 1, mac: bytes(3) };
    await change(customer, 'Lift', (writes) => writes.liftStop(stopId, lift));
    await expect(change(customer, 'Lift', (writes) => writes.liftStop(stopId, lift))).rejects.toMatchObject({ code: 'not-found' });
    expect(await data.rules.rules(acme)).toMatchObject({
      stops: [],
      lifted: { count: 1, digest: liftedDigest([stopId]), mac: Buffer.from(bytes(3)) },
    });
    expect((await key.reads.stops(acme, { limit: 10, cursor: undefined })).items).toEqual([
      { ...stop, liftedAt: now.toISOString(), liftedBy: 'anna' },
    ]);
  });

  it('change nothing when a rule or the caller’s credential changed meanwhile', async () => {
    const stale = { tenant: crypto.randomUUID(), platform: (await key.rules.rules(acme))!.epochs.platform };
    const apply = (writes: Writes) => writes.updateKey(cmk.keyId, { state: 'Disabled' });
    const entry = {
      tenant: acme,
      validUntil: undefined,
      body: aRecord(customer, 'DisableKey'),
      credential: { tenant: acme, credentialId: admin.credentialId },
      apply,
    };
    expect(await key.changes.commit({ ...entry, epochs: stale })).toEqual({ verdict: 'stale' });
    const { epochs } = (await key.rules.rules(acme))!;
    expect(await key.changes.commit({ ...entry, epochs, credential: { tenant: acme, credentialId: enrolment.credentialId } })).toEqual({
      verdict: 'stale',
    });
    expect(await key.changes.commit({ ...entry, epochs, validUntil: new Date(0) })).toEqual({ verdict: 'expired' });
    await expect(key.changes.commit({ ...entry, epochs, body: aRecord(customer, 'Encrypt') })).rejects.toMatchObject({
      reason: 'trail: change failed: KW003',
    });
    expect((await data.rules.key(acme, { reference: cmk.keyId })).key?.state).toBe('Enabled');
  });

  it('move the epoch with the change, so that what was decided before is stale', async () => {
    const before = (await data.rules.rules(acme))!.epochs;
    await change(customer, 'DisableKey', (writes) => writes.updateKey(cmk.keyId, { state: 'Disabled' }));
    expect(await data.trail.append({ tenant: acme, epochs: before, validUntil: undefined, body: aRecord(customer, 'Encrypt') })).toEqual({
      verdict: 'stale',
    });
  });

  it('spend an import once, and keep nothing of its wrapping key', async () => {
    const importToken = 'imp_01jdsz0000e008000000000001' as ImportToken;
    const [{ keyId, primaryVersion: versionId }, { logId }] = [cmk, customer];
    const made = { tenant: acme, importToken, keyId, versionId, logId, spec: 'AES_256', usage: 'ENCRYPT_DECRYPT' } as const;
    const bound = { ...made, algorithm: 'RSA_AES_KEY_WRAP_SHA_1', expiresAt: tomorrow.getTime(), blob: bytes(7), mac: bytes(8) } as const;
    await change(customer, 'GetImportParameters', (writes) => writes.insertImport(bound));
    expect((await key.reads.keyImport(acme, importToken))?.blob).toHaveLength(bound.blob.length);
    const spend = () => change(customer, 'ImportKeyMaterial', (writes) => writes.spendImport(importToken, now));
    await spend();
    await expect(spend()).rejects.toMatchObject({ code: 'precondition-failed' });
    // A rotation of the root that had read it before does not put it back.
    await database.as('keyward_worker', (client) =>
      client.query('SELECT keyward.save_rewrapped_import($1, $2, $3, $4, $3)', [acme, importToken, bound.mac, bound.blob]),
    );
    expect(await key.reads.keyImport(acme, importToken)).toMatchObject({ usedAt: now, blob: Buffer.alloc(0) });
  });

  it('record a change exactly when it is made', async () => {
    await database.as('superuser', (client) =>
      client.query(`CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'at commit'; END $$;
        CREATE CONSTRAINT TRIGGER fails AFTER INSERT ON keyward.trail_record DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.fail()`),
    );
    await expect(change(customer, 'EnableKey', (writes) => writes.updateKey(cmk.keyId, { state: 'Enabled' }))).rejects.toMatchObject({
      code: 'unavailable',
    });
    await database.as('superuser', (client) => client.query('DROP TRIGGER fails ON keyward.trail_record; DROP FUNCTION public.fail()'));
    expect((await data.rules.key(acme, { reference: cmk.keyId })).key?.state).toBe('Disabled');
    expect(await change(customer, 'EnableKey', (writes) => writes.updateKey(cmk.keyId, { state: 'Enabled' }))).toMatchObject({
      verdict: 'durable',
    });
  });

  it('hold services and their credentials in the platform', async () => {
    const service = { service: 'billing' as ServiceName, description: 'Invoices', operations: ['Decrypt' as const], createdAt: now };
    const credential = aCredential(PLATFORM, 'service', 'billing');
    await change(platform, 'RegisterService', (writes) => writes.insertService(service));
    await change(platform, 'IssueServiceCredential', (writes) => writes.insertCredential(credential));
    expect(await key.reads.serviceExists(service.service)).toBe(true);
    expect((await key.reads.services({ limit: 1, cursor: undefined })).items).toMatchObject([{ service: 'billing' }]);
    const found = await data.rules.credential(PLATFORM, credential.credentialId);
    expect(found?.credential).toEqual({ ...credential, revokedAt: undefined });
    await expect(
      change(platform, 'RevokeServiceCredential', (writes) => writes.revokeCredential(credential.credentialId, now, 'reports')),
    ).rejects.toMatchObject({ code: 'not-found' });
    const ofOperator = (writes: Writes) => writes.revokeCredential(operator.credentialId, now, operator.principal);
    await expect(change(platform, 'RevokeServiceCredential', ofOperator)).rejects.toMatchObject({ code: 'not-found' });
    expect(await key.reads.credentials(PLATFORM, { limit: 10, cursor: undefined }, operator.principal)).toEqual({ items: [] });
    await change(platform, 'RevokeServiceCredential', (writes) => writes.revokeCredential(credential.credentialId, now, 'billing'));
    await change(platform, 'RevokeServiceCredential', (writes) => writes.revokeCredential(credential.credentialId, now, 'billing'));
    expect((await data.rules.credential(PLATFORM, credential.credentialId))?.credential.revokedAt).toEqual(now);
    expect(await data.rules.credential(acme, credential.credentialId)).toBeUndefined();
  });

  it('turn pages, and refuse cursors that are not theirs', async () => {
    for (const name of ['ada', 'ben', 'cyd'])
      await change(customer, 'IssueCredential', (writes) => writes.insertCredential(aCredential(acme, 'auditor', name)));
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await key.reads.credentials(acme, { limit: 2, cursor });
      seen.push(...page.items.map(({ credentialId }) => credentialId));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect(seen).toHaveLength(5);
    expect(new Set(seen).size).toBe(5);
    const { nextCursor } = await key.reads.credentials(acme, { limit: 2, cursor: undefined });
    const damaged = `${nextCursor!.startsWith('A') ? 'B' : 'A'}${nextCursor!.slice(1)}`;
    const refused = { code: 'invalid-request', fields: [{ field: 'cursor' }] };
    await expect(key.reads.credentials(PLATFORM, { limit: 2, cursor: nextCursor })).rejects.toMatchObject(refused);
    await expect(key.reads.credentials(acme, { limit: 2, cursor: damaged })).rejects.toMatchObject(refused);
    await expect(key.reads.keys(acme, { limit: 2, cursor: nextCursor })).rejects.toMatchObject(refused);
    await expect(key.reads.keys(acme, { limit: 2, cursor: encodeCursor('keys acme', 'key_\0') })).rejects.toMatchObject(refused);
  });

  it('show an auditor the records, filtered and in pages', async () => {
    const all = await auditor.auditReads.records(customer, { fromSeq: 0, limit: 1000 });
    expect(all.items).toHaveLength(all.size);
    expect(all).not.toHaveProperty('nextSeq');
    const page = await auditor.auditReads.records(customer, { fromSeq: 1, limit: 2 });
    expect(page).toMatchObject({ items: [{ seq: 1 }, { seq: 2 }], nextSeq: 3 });
    expect((await auditor.auditReads.records(customer, { fromSeq: 0, limit: 10, op: 'Stop', outcome: 'succeeded' })).items).toMatchObject([
      { op: 'Stop', writer: 'keyward_key_plane' },
    ]);
    let count = 0;
    for await (const { leafHash } of auditor.auditReads.entries(customer, 0n, BigInt(all.size))) count += leafHash.length / 32;
    expect(count).toBe(all.size);
  });

  it('let the worker sign logs that grew, one leader at a time', async () => {
    const { checkpoints } = worker;
    const toSign = await checkpoints.logsToSign();
    expect(toSign.map(({ tenant }) => tenant)).toEqual(['acme', 'platform']);
    const { size, tenant } = toSign[0]!;
    expect(await checkpoints.leafHashes(tenant, 1n, size)).toHaveLength(Number(size) - 1);
    await expect(checkpoints.leafHashes(tenant, 0n, size + 1n)).rejects.toMatchObject({ code: 'unavailable' });
    await checkpoints.save(tenant, { size, root: bytes(9), note: 'newest' });
    await checkpoints.save(tenant, { size: size - 1n, root: bytes(8), note: 'older' });
    expect(await auditor.auditReads.checkpoint(customer)).toEqual({ note: 'newest', size });
    expect((await checkpoints.logsToSign()).map((log) => log.tenant)).toEqual(['platform']);
    let inner: boolean | undefined;
    expect(
      await checkpoints.asLeader(async () => {
        inner = await checkpoints.asLeader(() => Promise.resolve());
      }),
    ).toBe(true);
    expect(inner).toBe(false);
    expect(await checkpoints.asLeader(() => Promise.resolve())).toBe(true);
  });

  it('outlive the end of the connection that holds the lead, and lead again', async () => {
    const { checkpoints } = worker;
    await expect(
      checkpoints.asLeader(async () => {
        const held = `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7740`;
        await database.as('superuser', (client) => client.query(held));
        // Its end arrives while nobody asks anything of it; then somebody else may lead.
        while (!(await checkpoints.asLeader(() => Promise.resolve())));
      }),
    ).rejects.toMatchObject({ code: 'unavailable' });
    expect(await checkpoints.asLeader(() => Promise.resolve())).toBe(true);
  });

  it('tell nobody what the driver said', async () => {
    await database.as('superuser', (client) => client.query('REVOKE INSERT ON keyward.alias FROM keyward_key_plane'));
    const failing = change(customer, 'CreateAlias', (writes) => writes.insertAlias('alias/canary-4711' as Alias, cmk.keyId));
    const error: unknown = await failing.catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'unavailable', reason: 'database: 42501' });
    expect(JSON.stringify(error) + String((error as Error).stack)).not.toContain('canary');
    await database.as('superuser', (client) => client.query('GRANT INSERT ON keyward.alias TO keyward_key_plane'));
  });

  it('survive a restart of the server', async () => {
    await database.server.restart();
    const deadline = Date.now() + 5000;
    const works = () => Promise.all([key, data, auditor, worker].map((store) => store.ping())).then(Boolean, () => false);
    while (!(await works()) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
    await new Promise((resolve) => setTimeout(resolve, 600));
    const appended = async () =>
      data.trail.append({
        tenant: acme,
        epochs: (await data.rules.rules(acme))!.epochs,
        validUntil: undefined,
        body: aRecord(customer, 'Encrypt'),
      });
    expect(await appended()).toMatchObject({ verdict: 'durable' });
    expect((await key.reads.keys(acme, { limit: 1, cursor: undefined })).items).toHaveLength(1);
    expect(await change(customer, 'CreateAlias', (writes) => writes.insertAlias('alias/after' as Alias, cmk.keyId))).toMatchObject({
      verdict: 'durable',
    });
  });

  it('refuse to start on settings or a schema that are not fit', async () => {
    await database.as('superuser', (client) => client.query('ALTER ROLE keyward_worker SET synchronous_commit = off'));
    await expect(openWorkerStore(database.settings('keyward_worker'))).rejects.toMatchObject({
      reason: 'database: synchronous_commit must be on or remote_apply',
    });
    await database.as('superuser', (client) =>
      client.query(
        `ALTER ROLE keyward_worker RESET synchronous_commit; UPDATE keyward.schema_migration SET timestamp = timestamp - 1 WHERE timestamp = ${SCHEMA_VERSION}`,
      ),
    );
    await expect(openWorkerStore(database.settings('keyward_worker'))).rejects.toMatchObject({
      reason: `database: schema version ${SCHEMA_VERSION - 1}, needs ${SCHEMA_VERSION}: run the migrations`,
    });
    await database.as('superuser', (client) =>
      client.query(
        `UPDATE keyward.schema_migration SET timestamp = ${SCHEMA_VERSION} WHERE name LIKE '%${SCHEMA_VERSION}'; SELECT pg_create_physical_replication_slot('standby')`,
      ),
    );
    const store = await openWorkerStore(database.settings('keyward_worker'));
    expect(store.startup.warnings).toHaveLength(1);
    await store.close();
  });
});
