import fc from 'fast-check';
import type { RecordBody, TenantId } from '#contract';
import { newKeyId, newKeyVersionId } from '#core';
import {
  type AuditorStore,
  type DataPlaneStore,
  type KeyPlaneStore,
  openAuditorStore,
  openDataPlaneStore,
  openKeyPlaneStore,
} from './stores.js';
import { openWorkerStore, type WorkerStore } from './stores.js';
import { aRecord, epochsOf, MAC, TestDatabase, type TestTenant } from './test-database.js';

const acme = 'acme' as TenantId;
const KEYS = [newKeyId(1), newKeyId(2)];
const VERSIONS = [newKeyVersionId(1), newKeyVersionId(2)];
const LONG_AGO = new Date(0);

interface Use {
  readonly key: number;
  readonly version: number | undefined;
  readonly service: string;
  readonly op: 'Encrypt' | 'Decrypt' | 'Sign' | 'WatchRules';
  readonly outcome: RecordBody['outcome'];
  readonly count: number;
  readonly dryRun: boolean;
}
const use = fc.record<Use>({
  key: fc.nat({ max: 1 }),
  version: fc.option(fc.nat({ max: 1 }), { nil: undefined }),
  service: fc.constantFrom('billing', 'reports'),
  op: fc.constantFrom('Encrypt', 'Decrypt', 'Sign', 'WatchRules'),
  outcome: fc.constantFrom('succeeded', 'refused', 'failed'),
  count: fc.integer({ min: 1, max: 500 }),
  dryRun: fc.boolean(),
});

describe('the usage ledger', () => {
  let database: TestDatabase;
  let [tenant, stranger] = [] as unknown as [TestTenant, TestTenant];
  let key: KeyPlaneStore;
  let data: DataPlaneStore;
  let worker: WorkerStore;
  let auditor: AuditorStore;
  beforeAll(async () => {
    database = await TestDatabase.start();
    const tenants = await database.addTenants('platform', 'acme', 'globex');
    [tenant, stranger] = [tenants.get('acme')!, tenants.get('globex')!];
    key = await openKeyPlaneStore(database.settings('keyward_key_plane'));
    data = await openDataPlaneStore(database.settings('keyward_data_plane'));
    worker = await openWorkerStore(database.settings('keyward_worker'));
    auditor = await openAuditorStore(database.settings('keyward_auditor'));
  });
  afterAll(async () => {
    await Promise.all([key, data, worker, auditor].map((store) => store?.close()));
    await database.stop();
  });

  const append = async (uses: readonly Use[]): Promise<bigint> => {
    const epochs = await database.as('superuser', (client) => epochsOf(client, 'acme'));
    const entries = uses.map(({ key: at, version, service, op, outcome, count, dryRun }) => {
      const { actor, request, ...body } = aRecord(tenant, op, { outcome, ...(count > 1 && { count }) });
      const named = { id: KEYS[at]!, ...(version !== undefined && { versionId: VERSIONS[version]! }) };
      return {
        ...{ tenant: acme, epochs, validUntil: undefined },
        body: {
          ...body,
          ...(op !== 'WatchRules' && { key: named }),
          actor: { ...actor, principal: service },
          request: { ...request, ...(dryRun && { dryRun: true as const }) },
        },
      };
    });
    const last = (await data.trail.appendAll(entries)).at(-1);
    if (last?.verdict !== 'durable') throw new Error('not recorded');
    return last.seq;
  };

  const sum = (uses: readonly Use[], which: (use: Use) => boolean) =>
    uses.filter((one) => !one.dryRun && one.op !== 'WatchRules' && which(one)).reduce((all, { count }) => all + count, 0);

  it('says exactly what the records say, whatever is counted already and what is not', async () => {
    const all: Use[] = [];
    await fc.assert(
      fc.asyncProperty(fc.array(use, { minLength: 1, maxLength: 20 }), fc.nat({ max: 20 }), async (uses, behind) => {
        const size = (await append(uses)) + 1n;
        all.push(...uses);
        await worker.checkpoints.rollUp(acme, size > BigInt(behind) ? size - BigInt(behind) : 0n);
        for (const [at, keyId] of KEYS.entries()) {
          const { asOf, uses: told } = await key.uses.keyUses(acme, keyId, LONG_AGO);
          expect(asOf).toBe(Number(size));
          const lasts = told.flatMap(({ lastUse: at, operation, service }) => (at === undefined ? [] : [{ at, operation, service }]));
          const last = await key.uses.lastUse(acme, keyId);
          expect(last?.at).toBe(
            lasts
              .map(({ at }) => at)
              .sort()
              .at(-1),
          );
          expect(lasts).toEqual(last === undefined ? [] : expect.arrayContaining([last]));
          for (const one of told) {
            const alike = (found: Use) =>
              found.key === at &&
              found.service === one.service &&
              found.op === one.operation &&
              (found.version === undefined ? undefined : VERSIONS[found.version]) === one.versionId;
            expect([one.uses, one.usesLately, one.refusedLately]).toEqual([
              sum(all, (found) => alike(found) && found.outcome === 'succeeded'),
              one.uses,
              sum(all, (found) => alike(found) && found.outcome !== 'succeeded'),
            ]);
          }
          const inAll = told.reduce((calls, one) => calls + one.uses + one.refusedLately, 0);
          expect(inAll).toBe(sum(all, (found) => found.key === at));
        }
        expect(await key.uses.callsSince(acme, LONG_AGO)).toBe(sum(all, () => true));
      }),
      { numRuns: 30 },
    );
  });

  it('has counted as many calls as the records that it covers, and no others', async () => {
    const { rows } = await database.as('superuser', (client) =>
      client.query(`SELECT (SELECT sum(calls)::int FROM keyward.key_use) AS ledger,
        (SELECT sum(r.calls)::int FROM keyward.trail_record r JOIN keyward.trail_stat_head h USING (tenant_id) WHERE r.seq < h.covered_size AND r.key_id IS NOT NULL) AS records`),
    );
    expect(rows[0].ledger).toBe(rows[0].records);
    expect(rows[0].ledger).toBeGreaterThan(0);
  });

  it('counts for each version how often it sealed, and nothing else', async () => {
    const { rows } = await database.as('superuser', (client) =>
      client.query<{ tenant_id: string; version_id: string; sealed: string; seals: string }>(
        `SELECT tenant_id, version_id, w.sealed, u.seals FROM keyward.key_wear w FULL JOIN (
             SELECT tenant_id, version_id, sum(calls) AS seals FROM keyward.key_use
               WHERE op = 'Encrypt' AND outcome = 'succeeded' AND version_id <> '' GROUP BY 1, 2) u USING (tenant_id, version_id)`,
      ),
    );
    expect(rows.length).toBeGreaterThan(1);
    expect(rows.filter(({ sealed, seals }) => sealed !== seals)).toEqual([]);
  });

  it('tells first and last use by the records’ own times', async () => {
    const only = { key: 0, version: 0, service: 'late', op: 'Sign', outcome: 'succeeded', count: 1, dryRun: false } as const;
    const [first, last] = [await append([only]), await append([only])];
    const { rows } = await database.as('superuser', (client) =>
      client.query<{ recorded_at: Date }>(
        `SELECT recorded_at FROM keyward.trail_record WHERE tenant_id = 'acme' AND seq IN ($1, $2) ORDER BY seq`,
        [first, last],
      ),
    );
    const times = rows.map(({ recorded_at }) => recorded_at.toISOString());
    const told = async () => (await key.uses.keyUses(acme, KEYS[0]!, LONG_AGO)).uses.find(({ service }) => service === 'late');
    const want = { operation: 'Sign', versionId: VERSIONS[0], firstUse: times[0], lastUse: times[1], uses: 2 };
    expect(await told()).toMatchObject(want);
    await worker.checkpoints.rollUp(acme, last);
    expect(await told()).toMatchObject(want);
    await worker.checkpoints.rollUp(acme, last + 1n);
    expect(await told()).toMatchObject(want);
    expect(
      (await key.uses.keyUses(acme, KEYS[0]!, new Date(Date.now() + 86_400_000))).uses.find(({ service }) => service === 'late'),
    ).toMatchObject({
      uses: 2,
      usesLately: 0,
    });
  });

  it('is of the tenant alone, and gives the inventory its last use', async () => {
    expect(await key.uses.keyUses('globex' as TenantId, KEYS[0]!, LONG_AGO)).toMatchObject({ asOf: 0, uses: [], leases: [] });
    expect(await key.uses.lastUse('globex' as TenantId, KEYS[0]!)).toBeUndefined();
    expect(await key.uses.callsSince('globex' as TenantId, LONG_AGO)).toBe(0);
    await database.as('superuser', (client) =>
      client.query(
        `INSERT INTO keyward.cmk (tenant_id, key_id, state, description, tags, primary_version, created_at, names_mac)
          VALUES ('acme', $1, 'Enabled', '', '{}', $2, now(), ${MAC})`,
        [KEYS[0], VERSIONS[0]],
      ),
    );
    expect(await auditor.auditReads.inventory(tenant, { after: undefined, most: 5 })).toMatchObject([
      { keyId: KEYS[0], lastUse: { operation: 'Sign', principal: 'late' } },
    ]);
    expect(await auditor.auditReads.inventory(stranger, { after: undefined, most: 5 })).toEqual([]);
  });

  it('counts the leases that are still running, of each service', async () => {
    const keyId = newKeyId(3);
    const epochs = await database.as('superuser', (client) => epochsOf(client, 'acme'));
    const until = (seconds: number) => new Date(Date.now() + 1000 * seconds).toISOString();
    const [over, open, longer] = [until(-1), until(60), until(90)];
    for (const [lease, count] of [
      [over, 5],
      [open, 2],
      [longer, 3],
    ] as const)
      await data.trail.append({
        ...{ tenant: acme, epochs, validUntil: undefined },
        body: aRecord(tenant, 'GenerateDataKey', { key: { id: keyId }, crypto: { lease: { until: lease } }, count }),
      });
    expect(await key.uses.keyUses(acme, keyId, LONG_AGO)).toMatchObject({
      uses: [{ service: 'billing', operation: 'GenerateDataKey', uses: 10 }],
      leases: [{ service: 'billing', count: 5, until: longer }],
      leasesComplete: true,
    });
  });

  it('says that it is not complete where more is uncounted than it looks at', async () => {
    const globex = 'globex' as TenantId;
    expect(await key.uses.keyUses(globex, KEYS[0]!, LONG_AGO)).toMatchObject({ asOf: 0, size: 0, leasesComplete: true });
    await database.as('superuser', (client) =>
      client.query(`INSERT INTO keyward.trail_record (tenant_id, seq, bytes, leaf_hash, recorded_at, op, outcome, calls)
        VALUES ('globex', 100000, '{}', '', now(), 'ListKeys', 'succeeded', 1)`),
    );
    expect(await key.uses.keyUses(globex, KEYS[0]!, LONG_AGO)).toMatchObject({ asOf: 100_000, size: 100_001, leasesComplete: false });
  });
});
