import type { KeyId, KeyVersionId, RecordBody, TenantId } from '#contract';
import { newKeyId, newKeyVersionId } from '#core';
import {
  type AuditorStore,
  type DataPlaneStore,
  openAuditorStore,
  openDataPlaneStore,
  openWorkerStore,
  type WorkerStore,
} from './stores.js';
import { aRecord, epochsOf, TestDatabase, type TestTenant } from './test-database.js';

const [customers, payroll] = [newKeyId(1), newKeyId(2)];
const [first, second] = [newKeyVersionId(1), newKeyVersionId(2)];
const digest = (text: string) => text.padEnd(22, '_');
const [payment, identity, field] = ['payment', 'identity', 'field'].map(digest) as [string, string, string];

const sorted = (rows: object[]) => rows.sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)));

describe('uses of keys by the labels of their contexts', () => {
  let database: TestDatabase;
  let data: DataPlaneStore;
  let auditor: AuditorStore;
  let worker: WorkerStore;
  let tenants: Map<string, TestTenant>;
  beforeAll(async () => {
    database = await TestDatabase.start();
    tenants = await database.addTenants('platform', 'acme', 'globex', 'initech', 'umbrella');
    data = await openDataPlaneStore(database.settings('keyward_data_plane'));
    auditor = await openAuditorStore(database.settings('keyward_auditor'));
    worker = await openWorkerStore(database.settings('keyward_worker'));
  }, 120_000);
  afterAll(async () => {
    await Promise.all([data, auditor, worker].map((store) => store?.close()));
    await database.stop();
  });

  interface Use {
    readonly op?: RecordBody['op'];
    readonly key?: KeyId;
    readonly version?: KeyVersionId;
    readonly context?: string[];
    readonly outcome?: RecordBody['outcome'];
    readonly count?: number;
    readonly dryRun?: true;
  }
  async function use(tenant: string, { op = 'Encrypt', key = customers, version = first, context, count, dryRun, ...more }: Use) {
    const owner = tenants.get(tenant)!;
    const body: RecordBody = {
      ...aRecord(owner, op, more),
      key: { id: key, versionId: version },
      ...(context !== undefined && { crypto: { context } }),
      ...(count !== undefined && { count }),
      ...(dryRun !== undefined && { request: { requestId: 'req_dry', dryRun } }),
    };
    const epochs = await database.as('superuser', (client) => epochsOf(client, tenant));
    const appended = await data.trail.append({ tenant: owner.tenant, epochs, validUntil: undefined, body });
    if (appended.verdict !== 'durable') throw new Error(appended.verdict);
  }
  const count = async (tenant: string, size: bigint) => await worker.checkpoints.rollUp(tenant as TenantId, size);
  const covered = async (tenant: string, ...asked: string[]) => {
    const { coveredSize, items } = await auditor.auditReads.coverage(tenants.get(tenant)!, asked);
    const rows = items.map(({ digest: of, keyId, versionId, operation, count: uses, contexts, complete }) => ({
      ...{ of, keyId, versionId, operation, uses, contexts, complete },
    }));
    return { coveredSize, rows: sorted(rows) };
  };
  const row = (of: string | undefined, uses: number, more: object = {}) => ({
    ...{ of, keyId: customers, versionId: first, operation: 'Encrypt', uses, contexts: 1, complete: true },
    ...more,
  });

  it('are nothing before any are counted', async () => {
    expect(await covered('acme', payment)).toEqual({ coveredSize: 0, rows: [] });
  });

  it('are exact, by the label that is asked for, however often and by whomever they are counted', async () => {
    await use('acme', { context: [payment, field] });
    await use('acme', { context: [field, payment], count: 7 });
    await use('acme', { context: [payment], version: second });
    await use('acme', { context: [identity] });
    await use('acme', { op: 'Decrypt', key: payroll });
    await use('acme', { context: [payment], outcome: 'refused' });
    await use('acme', { context: [payment], dryRun: true });
    for (const size of [2n, 5n, 5n, 1n, 7n]) await Promise.all([1, 2].map(() => count('acme', size)));
    const unlabelled = row(undefined, 1, { keyId: payroll, operation: 'Decrypt' });
    expect(await covered('acme', payment, identity)).toEqual({
      coveredSize: 7,
      rows: sorted([row(payment, 8), row(payment, 1, { versionId: second }), row(identity, 1), unlabelled]),
    });
    expect(((await covered('acme', 'x'.repeat(22))).rows as ReturnType<typeof row>[]).map(({ of, uses }) => [of, uses])).toEqual(
      expect.arrayContaining([
        [undefined, 9],
        [undefined, 1],
      ]),
    );
  });

  it('are those of the auditor’s own tenant', async () => {
    await use('globex', { context: [payment] });
    await count('globex', 1n);
    expect((await covered('globex', payment)).rows).toEqual([row(payment, 1)]);
    const stranger = { ...tenants.get('globex')!, tenant: 'acme' as TenantId };
    await expect(auditor.auditReads.coverage(stranger, [payment])).rejects.toThrow();
  });

  it('are counted beside a record that somebody spoilt in the table', async () => {
    for (let i = 0; i < 3; i++) await use('umbrella', { context: [payment] });
    await database.as('superuser', async (client) => {
      await client.query(`SET session_replication_role = replica`);
      await client.query(`UPDATE keyward.trail_record SET bytes = '\\xff' WHERE tenant_id = 'umbrella' AND seq = 1`);
    });
    await count('umbrella', 3n);
    expect((await covered('umbrella', payment)).rows).toEqual(sorted([row(payment, 2), row(undefined, 1, { versionId: undefined })]));
  });

  it('keep at most a thousand contexts of a key apart, and say so of the rest', async () => {
    await database.as('superuser', (client) =>
      client.query(
        `INSERT INTO keyward.trail_context
          SELECT 'initech', $1, $2, sha256(convert_to('context ' || n, 'UTF8')), 'billing', 'Encrypt', ARRAY['context ' || n], 1, now() FROM generate_series(1, 999) n`,
        [customers, first],
      ),
    );
    for (const name of ['new one', 'new two', 'new three']) await use('initech', { context: [digest(name), payment] });
    await use('initech', { context: [payment], key: payroll });
    await count('initech', 4n);
    const { rows } = await covered('initech', payment);
    expect((rows as ReturnType<typeof row>[]).map(({ of, keyId, uses, complete }) => [of, keyId, uses, complete])).toEqual(
      expect.arrayContaining([
        [payment, payroll, 1, true],
        [payment, customers, 1, true],
        [undefined, customers, 999 + 2, false],
      ]),
    );
  });
});
