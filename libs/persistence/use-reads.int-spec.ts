import type { KeyId, LeasesQuery, RecordBody, StopId, TenantId } from '#contract';
import { newKeyId, newStopId } from '#core';
import {
  type AuditorStore,
  type DataPlaneStore,
  type KeyPlaneStore,
  openAuditorStore,
  openDataPlaneStore,
  openKeyPlaneStore,
} from './stores.js';
import { aRecord, epochsOf, TestDatabase, type TestTenant } from './test-database.js';

const acme = 'acme' as TenantId;
const LONG_AGO = new Date(0);
const [invoices, payroll] = [newKeyId(1), newKeyId(2)];
const [label, otherLabel] = ['a'.repeat(22), 'b'.repeat(22)];

/** A use of a key as the data plane records it. */
interface Use {
  readonly lease?: { until: string };
  readonly op?: RecordBody['op'];
  readonly service?: string;
  readonly key?: KeyId | null;
  readonly context?: string[];
  readonly outcome?: RecordBody['outcome'];
  readonly decision?: 'allow' | 'deny';
  readonly dryRun?: true;
  readonly count?: number;
}

describe('what the key plane reads of uses', () => {
  let database: TestDatabase;
  let key: KeyPlaneStore;
  let data: DataPlaneStore;
  let auditor: AuditorStore;
  let tenants: Map<string, TestTenant>;

  beforeAll(async () => {
    database = await TestDatabase.start();
    tenants = await database.addTenants('platform', 'acme', 'globex', 'initech', 'umbrella', 'hooli', 'stark', 'wayne');
    key = await openKeyPlaneStore(database.settings('keyward_key_plane'));
    data = await openDataPlaneStore(database.settings('keyward_data_plane'));
    auditor = await openAuditorStore(database.settings('keyward_auditor'));
  });
  afterAll(async () => {
    await Promise.all([key, data, auditor].map((store) => store?.close()));
    await database.stop();
  });

  async function append(
    store: Pick<DataPlaneStore, 'trail'>,
    tenant: string,
    op: RecordBody['op'],
    details: Partial<RecordBody>,
  ): Promise<bigint> {
    const owner = tenants.get(tenant)!;
    const body = { ...aRecord(owner, op), ...details };
    const epochs = await database.as('superuser', (client) => epochsOf(client, tenant));
    const appended = await store.trail.append({ tenant: owner.tenant, epochs, validUntil: undefined, body });
    if (appended.verdict !== 'durable') throw new Error(appended.verdict);
    return appended.seq;
  }
  async function use(
    tenant: string,
    { op = 'Decrypt', service = 'billing', key: of = invoices, context, outcome, decision = 'allow', dryRun, count, lease }: Use,
  ): Promise<bigint> {
    const { actor, request } = aRecord(tenants.get(tenant)!, op);
    return await append(data, tenant, op, {
      outcome: outcome ?? (decision === 'allow' ? 'succeeded' : 'refused'),
      authz: { decision },
      actor: { ...actor, principal: service },
      request: { ...request, justification: { code: 'ISV_INCIDENT', ticket: 'T-1' }, ...(dryRun && { dryRun }) },
      ...(of !== null && { key: { id: of } }),
      ...((context ?? lease) && { crypto: { ...(context && { context }), ...(lease && { lease }) } }),
      ...(count && { count }),
    });
  }
  const stop = (tenant: string, stopId: StopId, outcome: RecordBody['outcome'] = 'succeeded') =>
    append(key, tenant, 'Stop', { outcome, change: { stopId } });
  const all = { since: LONG_AGO, before: undefined, limit: 100 };

  it('is every decision about a key, the newest first, and no dry run', async () => {
    const sealed = await use('acme', { op: 'Encrypt', context: [label, otherLabel], count: 5 });
    await use('acme', { dryRun: true });
    await use('acme', { key: null, decision: 'deny' });
    const refused = await use('acme', { key: payroll, decision: 'deny' });
    await stop('acme', newStopId(1));
    const failed = await use('acme', { outcome: 'failed' });
    const { uses, next } = await key.uses.recordedUses(acme, all);
    expect(uses.map(({ seq, allowed, keyId }) => [seq, allowed, keyId])).toEqual([
      [failed, true, invoices],
      [refused, false, payroll],
      [sealed, true, invoices],
    ]);
    expect(uses.map(({ count }) => count)).toEqual([1, 1, 5]);
    expect(uses[2]).toMatchObject({
      operation: 'Encrypt',
      service: 'billing',
      authMethod: 'api-key',
      contextDigests: [label, otherLabel],
      justification: { code: 'ISV_INCIDENT', ticket: 'T-1' },
    });
    expect(next).toBeUndefined();
  });

  it('comes in pages that meet, whatever they leave out, and ends where it is told to', async () => {
    const whole = (await key.uses.recordedUses(acme, all)).uses.map(({ seq }) => seq);
    const seen: bigint[] = [];
    let pages = 0;
    for (let before: bigint | undefined; ; pages++) {
      const { uses, next } = await key.uses.recordedUses(acme, { ...all, before, limit: 1 });
      seen.push(...uses.map(({ seq }) => seq));
      if (next === undefined) break;
      before = next;
    }
    expect(seen).toEqual(whole);
    expect(pages).toBe(5);
    const { at } = (await key.uses.recordedUses(acme, all)).uses[0]!;
    const since = new Date(at.getTime() + 1);
    expect(await key.uses.recordedUses(acme, { since, before: undefined, limit: 2 })).toEqual({ uses: [], next: undefined });
    expect((await key.uses.recordedUses(tenants.get('globex')!.tenant, all)).uses).toEqual([]);
  });

  it('before a stop is what the stop covers: the last one allowed, and the keys that were handed out', async () => {
    const tenant = tenants.get('globex')!.tenant;
    const ofBilling = await use('globex', { op: 'GenerateDataKey', context: [label] });
    const ofReports = await use('globex', { service: 'reports', key: payroll, count: 3 });
    await use('globex', { op: 'GenerateDataKeyWithoutPlaintext', service: 'mail' });
    const failed = await use('globex', { service: 'reports', key: payroll, outcome: 'failed', context: [otherLabel] });
    await use('globex', { decision: 'deny' });
    await use('globex', { dryRun: true });
    const seq = await stop('globex', newStopId(2));
    await use('globex', {});

    const before = async (scope: Parameters<typeof key.uses.usesBefore>[2], since = LONG_AGO) => {
      const { lastAllowed, leases } = await key.uses.usesBefore(tenant, seq, scope, since);
      return [lastAllowed?.seq, leases.count];
    };
    expect(await before({})).toEqual([failed, 4]);
    expect(await before({ service: 'billing' })).toEqual([ofBilling, 1]);
    expect(await before({ service: 'nobody' })).toEqual([undefined, 0]);
    expect(await before({ keyId: payroll })).toEqual([failed, 3]);
    expect(await before({ contextDigest: label })).toEqual([ofBilling, 1]);
    expect(await before({ contextDigest: otherLabel })).toEqual([failed, 0]);
    expect(await before({ service: 'billing', keyId: payroll })).toEqual([undefined, 0]);
    expect(await before({}, new Date(Date.now() + 60_000))).toEqual([failed, 0]);

    const answer = await key.uses.usesBefore(tenant, seq, {}, LONG_AGO);
    const recordedAt = (await key.uses.recordedUses(tenant, all)).uses.find((one) => one.seq === ofReports)?.at;
    expect(answer.leases.last).toEqual(recordedAt);
    expect(answer.recordedAt.getTime()).toBeGreaterThanOrEqual(answer.lastAllowed!.recordedAt.getTime());
    await expect(key.uses.usesBefore(tenant, 999n, {}, LONG_AGO)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('before a stop are the leases that were not over, and the last of them ends when its record says', async () => {
    const tenant = tenants.get('hooli')!.tenant;
    const inSeconds = (seconds: number) => ({ until: new Date(Date.now() + seconds * 1000).toISOString() });
    const longest = inSeconds(60);
    for (const lease of [inSeconds(-1), inSeconds(20), longest, inSeconds(40)]) await use('hooli', { op: 'GenerateDataKey', lease });
    const { leases } = await key.uses.usesBefore(tenant, await stop('hooli', newStopId(9)), {}, LONG_AGO);
    expect(leases).toMatchObject({ count: 3, complete: true, until: new Date(longest.until) });

    await use('hooli', { service: 'older' });
    const older = await key.uses.usesBefore(tenant, await stop('hooli', newStopId(10)), { service: 'older' }, LONG_AGO);
    expect(older.leases.until!.getTime() - older.leases.last!.getTime()).toBe(300_000);
  });

  it('is, for an auditor, every lease that is open, oldest first and in pages', async () => {
    const inSeconds = (seconds: number) => ({ until: new Date(Date.now() + seconds * 1000).toISOString() });
    const open = inSeconds(60);
    await use('stark', { op: 'GenerateDataKey', lease: inSeconds(-1) });
    await use('stark', { op: 'GenerateDataKey', dryRun: true });
    await use('stark', { op: 'Encrypt' });
    await use('stark', { op: 'GenerateDataKey', decision: 'deny', lease: open });
    const first = await use('stark', { op: 'GenerateDataKey', lease: open, count: 7 });
    const second = await use('stark', { key: payroll, service: 'reports' });
    const reader = tenants.get('stark')!;
    const leases = (query: Partial<LeasesQuery>) => auditor.auditReads.leases(reader, { limit: 10, ...query });
    const { at, items, nextCursor } = await leases({});
    expect(items).toMatchObject([
      { seq: Number(first), service: 'billing', operation: 'GenerateDataKey', keyId: invoices, count: 7, until: open.until },
      // Its record says nothing of a lease: the longest that there is.
      { seq: Number(second), service: 'reports', operation: 'Decrypt', keyId: payroll, count: 1 },
    ]);
    expect([nextCursor, Date.parse(items[1]!.until) - Date.parse(items[1]!.recordedAt)]).toEqual([undefined, 300_000]);
    expect(Date.parse(at)).toBeGreaterThan(Date.parse(items[1]!.recordedAt));
    expect((await leases({ keyId: payroll })).items.map(({ seq }) => seq)).toEqual([Number(second)]);
    expect((await leases({ principal: 'billing' })).items.map(({ seq }) => seq)).toEqual([Number(first)]);
    const page = await leases({ limit: 1 });
    expect([page.items.map(({ seq }) => seq), page.nextCursor]).toEqual([[Number(first)], String(second)]);
    expect((await leases({ cursor: Number(second) })).items.map(({ seq }) => seq)).toEqual([Number(second)]);
    expect((await auditor.auditReads.leases(tenants.get('wayne')!, { limit: 10 })).items).toEqual([]);
  });

  it('before a stop ends after ten thousand records', async () => {
    const tenant = tenants.get('initech')!.tenant;
    const lone = await use('initech', {});
    await database.as('superuser', (client) =>
      client.query(`
        INSERT INTO keyward.trail_record (tenant_id, seq, bytes, leaf_hash, recorded_at, op, outcome, calls)
          SELECT 'initech', n, convert_to('{"seq":' || n || '}', 'UTF8'), '', now(), 'ListKeys', 'succeeded', 1 FROM generate_series(1, 10000) n;
        UPDATE keyward.tenant_head SET size = 10001, last_at = now() WHERE tenant_id = 'initech'`),
    );
    expect((await key.uses.usesBefore(tenant, 10_000n, {}, LONG_AGO)).lastAllowed?.seq).toBe(lone);
    expect((await key.uses.usesBefore(tenant, 10_000n, {}, LONG_AGO)).leases).toMatchObject({ count: 1, complete: true });
    const seq = await stop('initech', newStopId(3));
    const { recordedAt: first } = await key.uses.usesBefore(tenant, lone, {}, LONG_AGO);
    const unseen = await key.uses.usesBefore(tenant, seq, {}, LONG_AGO);
    expect(unseen).toMatchObject({ lastAllowed: undefined, leases: { count: 0, complete: false, last: first } });
    const notLeased = await key.uses.usesBefore(tenant, seq, {}, new Date(first.getTime() + 1));
    expect(notLeased.leases).toEqual({ count: 0, complete: true, last: undefined });
    expect(await key.uses.recordedUses(tenant, { ...all, limit: 1_000_000 })).toEqual({ uses: [], next: 2n });
  });

  it('is not spoilt by a record that somebody broke', async () => {
    const { tenant } = tenants.get('umbrella')!;
    const seq = await use('umbrella', { op: 'GenerateDataKey' });
    const stopId = newStopId(4);
    const ofStop = await stop('umbrella', stopId);
    await database.as('superuser', (client) =>
      client.query(`SET session_replication_role = replica;
        UPDATE keyward.trail_record SET bytes = '\\xff' WHERE tenant_id = 'umbrella' AND seq = ${seq}`),
    );
    const after = await use('umbrella', {});
    expect(await key.uses.seqOfStop(tenant, stopId)).toBe(ofStop);
    expect((await key.uses.usesBefore(tenant, after + 0n, {}, LONG_AGO)).lastAllowed).toBeUndefined();
  });

  it('finds the record of a stop, not of one that was refused, nor another tenant’s', async () => {
    const stopId = newStopId(5);
    await stop('acme', stopId, 'refused');
    expect(await key.uses.seqOfStop(acme, stopId)).toBeUndefined();
    const seq = await stop('acme', stopId);
    await stop('acme', newStopId(6));
    expect(await key.uses.seqOfStop(acme, stopId)).toBe(seq);
    expect(await key.uses.seqOfStop(tenants.get('globex')!.tenant, stopId)).toBeUndefined();
  });

  it('has a checkpoint for the records that it covers', async () => {
    await database.as('keyward_worker', (client) => client.query(`SELECT keyward.save_checkpoint('acme', 3, sha256(''), 'note')`));
    expect(await key.uses.checkpointOver(acme, 2n)).toBe('note');
    expect(await key.uses.checkpointOver(acme, 3n)).toBeUndefined();
    expect(await key.uses.checkpointOver(tenants.get('globex')!.tenant, 0n)).toBeUndefined();
  });
});
