import type { TenantId } from '#contract';
import { newKeyId, newKeyVersionId, StaleSnapshot } from '#core';
import { type AuditorStore, openAuditorStore, openWorkerStore, type WorkerStore } from './stores.js';
import { MAC, TestDatabase, type TestTenant } from './test-database.js';

const acme = 'acme' as TenantId;
const SIZE = 10_000;
const NOON = Date.parse('2026-03-01T12:00:00.000Z');
const at = (seq: number) => new Date(NOON + 1000 * seq).toISOString();
const keyId = newKeyId(1);
const otherKey = newKeyId(2);

/** One record a second from noon on. */
describe('what an auditor asks besides records', () => {
  let database: TestDatabase;
  let auditor: AuditorStore;
  let worker: WorkerStore;
  let reader: TestTenant;
  let stranger: TestTenant;

  beforeAll(async () => {
    database = await TestDatabase.start();
    const tenants = await database.addTenants('platform', 'acme', 'globex');
    [reader, stranger] = [tenants.get('acme')!, tenants.get('globex')!];
    await database.as('superuser', (client) =>
      client.query(`
        INSERT INTO keyward.trail_record (tenant_id, seq, bytes, leaf_hash, recorded_at, op, outcome, key_id, principal, request_id, calls)
        SELECT 'acme', n, convert_to('{"seq":' || n || '}', 'UTF8'), sha256(n::text::bytea), timestamptz '${at(0)}' + n * interval '1 second',
          CASE WHEN n % 100 = 99 THEN 'Stop' ELSE 'Encrypt' END, CASE WHEN n % 10 = 0 THEN 'refused' ELSE 'succeeded' END,
          CASE WHEN n % 100 <> 99 THEN '${keyId}' END, CASE WHEN n % 2 = 0 THEN 'billing' ELSE 'reports' END, 'req_' || n, 1
        FROM generate_series(0, ${SIZE - 1}) n;
        INSERT INTO keyward.cmk (tenant_id, key_id, state, description, tags, primary_version, created_at, names_mac)
          SELECT 'acme', k, 'Enabled', 'd', '{"team":"blue"}', '${newKeyVersionId(1)}', now(), ${MAC} FROM unnest(ARRAY['${keyId}', '${otherKey}']) k;
        INSERT INTO keyward.policy_version SELECT 'acme', v, 'digest' || v, 'anna', now(), '{"schema":"keyward.policy/1","grants":[]}', ${MAC} FROM generate_series(1, 3) v`),
    );
    auditor = await openAuditorStore(database.settings('keyward_auditor'));
    worker = await openWorkerStore(database.settings('keyward_worker'));
  });
  afterAll(async () => {
    await Promise.all([auditor, worker].map((store) => store?.close()));
    await database.stop();
  });

  const seqs = async (filter: Partial<Parameters<AuditorStore['auditReads']['records']>[1]>) => {
    const { items, nextSeq } = await auditor.auditReads.records(reader, { fromSeq: 0, limit: 1000, ...filter });
    return { seqs: items.map((item) => (item as { seq: number }).seq), nextSeq };
  };

  it('records of a time: from it on, and before it', async () => {
    expect((await seqs({ from: at(100), to: at(105) })).seqs).toEqual([100, 101, 102, 103, 104]);
    expect((await seqs({ from: new Date(NOON + 1500).toISOString(), to: at(3) })).seqs).toEqual([2]);
    expect((await seqs({ to: at(0) })).seqs).toEqual([]);
    expect((await seqs({ from: at(SIZE) })).seqs).toEqual([]);
    expect((await seqs({ from: at(SIZE - 2) })).seqs).toEqual([SIZE - 2, SIZE - 1]);
    expect((await seqs({ fromSeq: 3, from: at(1), to: at(5) })).seqs).toEqual([3, 4]);
  });

  it('records of a service, of a key, of an outcome, together', async () => {
    const { seqs: found } = await seqs({ principal: ['billing'], keyId, outcome: 'refused', op: 'Encrypt', to: at(100) });
    expect(found).toEqual([0, 10, 20, 30, 40, 50, 60, 70, 80, 90]);
    expect((await seqs({ requestId: 'req_77' })).seqs).toEqual([77]);
  });

  it('records as of a size, however long the log has become', async () => {
    expect(await seqs({ fromSeq: 8, asOf: 10 })).toEqual({ seqs: [8, 9], nextSeq: undefined });
    expect(await seqs({ asOf: 10, limit: 4 })).toEqual({ seqs: [0, 1, 2, 3], nextSeq: 4 });
    expect(await seqs({ asOf: 0 })).toEqual({ seqs: [], nextSeq: undefined });
  });

  const day = { from: at(0), to: new Date(NOON + 86_400_000).toISOString() };
  const stats = (query: Partial<Parameters<AuditorStore['auditReads']['stats']>[1]> = {}, whose = reader) =>
    auditor.auditReads.stats(whose, { interval: '1h', ...day, ...query });
  const sum = (items: { count: number }[]) => items.reduce((all, { count }) => all + count, 0);

  it('counts: as many as the records that are covered, whoever counts and however often', async () => {
    expect(await stats()).toEqual({ coveredSize: 0, items: [] });
    for (const size of [1n, 4000n, 4000n, 3999n, 9999n]) await Promise.all([1, 2].map(() => worker.checkpoints.rollUp(acme, size)));
    const counted = await stats();
    expect([counted.coveredSize, sum(counted.items)]).toEqual([9999, 9999]);
    await worker.checkpoints.rollUp(acme, BigInt(SIZE));
    const { rows } = await database.as('superuser', (client) =>
      client.query(
        `SELECT date_trunc('hour', recorded_at, 'UTC') AS at, op AS operation, outcome, count(*)::int AS count FROM keyward.trail_record WHERE tenant_id = 'acme' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`,
      ),
    );
    expect(await stats()).toEqual({ coveredSize: SIZE, items: rows.map((row) => ({ ...row, at: row.at.toISOString() })) });
  });

  it('counts of minutes, of days, of one key, of a part of the time, and of nobody else', async () => {
    const minutes = await stats({ interval: '1m', to: at(120) });
    expect(minutes.items.map(({ at: begin, operation, outcome, count }) => [begin, operation, outcome, count])).toEqual([
      [at(0), 'Encrypt', 'refused', 6],
      [at(0), 'Encrypt', 'succeeded', 54],
      [at(60), 'Encrypt', 'refused', 6],
      [at(60), 'Encrypt', 'succeeded', 53],
      [at(60), 'Stop', 'succeeded', 1],
    ]);
    expect(sum((await stats({ interval: '1d' })).items)).toBe(SIZE);
    expect((await stats({ interval: '1d', keyId })).items.every(({ operation }) => operation === 'Encrypt')).toBe(true);
    expect((await stats({ keyId: otherKey })).items).toEqual([]);
    expect(await stats({}, stranger)).toEqual({ coveredSize: 0, items: [] });
  });

  it('checkpoints, the largest first, or spread over the log', async () => {
    await database.as('superuser', (client) =>
      client.query(
        `INSERT INTO keyward.signed_checkpoint (tenant_id, size, root, note) SELECT 'acme', n, sha256(''), 'note ' || n FROM generate_series(1, 1000) n`,
      ),
    );
    const sizes = async (query: { beforeSize?: number; limit: number; spread: boolean }) =>
      (await auditor.auditReads.checkpoints(reader, query)).items.map(({ size }) => size);
    expect(await sizes({ limit: 3, spread: false })).toEqual([1000, 999, 998]);
    expect(await sizes({ limit: 3, spread: false, beforeSize: 4 })).toEqual([3, 2, 1]);
    expect(await sizes({ limit: 4, spread: true, beforeSize: 1000 })).toEqual([750, 500, 250]);
    expect(await sizes({ limit: 1000, spread: true, beforeSize: 4 })).toEqual([3, 2, 1]);
    expect(await auditor.auditReads.checkpoints(stranger, { limit: 4, spread: true })).toEqual({ items: [] });
  });

  it('keys with their last use', async () => {
    const { auditReads } = auditor;
    const [first, second] = await auditReads.inventory(reader, { after: undefined, most: 10 });
    expect(first).toMatchObject({ keyId, state: 'Enabled', tags: { team: 'blue' }, aliases: [], versions: [] });
    expect(first!.lastUse).toEqual({ at: at(SIZE - 2), operation: 'Encrypt', principal: 'billing' });
    expect(second).toMatchObject({ keyId: otherKey, lastUse: null });
    expect(await auditReads.inventory(reader, { after: keyId, most: 10 })).toMatchObject([{ keyId: otherKey }]);
    expect(await auditReads.inventory(reader, { after: undefined, most: 1 })).toHaveLength(1);
    expect(await auditReads.inventory(stranger, { after: undefined, most: 10 })).toEqual([]);
  });

  it('policies, the newest first, in pages', async () => {
    const { auditReads } = auditor;
    const page = await auditReads.policyHistory(reader, { limit: 2 });
    expect(page).toMatchObject({ items: [{ version: 3, digest: 'digest3', author: 'anna' }, { version: 2 }], nextBeforeVersion: 2 });
    const last = await auditReads.policyHistory(reader, { beforeVersion: 2, limit: 2 });
    expect(last.items.map(({ version }) => version)).toEqual([1]);
    expect(last).not.toHaveProperty('nextBeforeVersion');
    expect(await auditReads.policyHistory(stranger, { limit: 2 })).toEqual({ items: [] });
  });

  it('ends with the credential', async () => {
    await database.as('superuser', (client) => client.query(`UPDATE keyward.credential SET revoked_at = now() WHERE tenant_id = 'acme'`));
    const { auditReads } = auditor;
    for (const read of [
      () => stats(),
      () => auditReads.inventory(reader, { after: undefined, most: 1 }),
      () => auditReads.policyHistory(reader, { limit: 1 }),
      () => auditReads.checkpointOfSize(reader, 1),
    ])
      await expect(read()).rejects.toThrow(StaleSnapshot);
  });
});
