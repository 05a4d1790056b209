import { trailRecord } from '#contract';
import { StaleSnapshot, type TrailEntry } from '#core';
import { type AuditorStore, openAuditorStore } from './stores.js';
import { anEntry, epochsOf, TestDatabase, type TestTenant } from './test-database.js';

const actor = { type: 'auditor' as const, principal: 'otto', authMethod: 'api-key' as const };

describe("an auditor's own reads", () => {
  let database: TestDatabase;
  let tenants: Map<string, TestTenant>;
  let auditor: AuditorStore;
  let replica: AuditorStore;

  beforeAll(async () => {
    database = await TestDatabase.start();
    tenants = await database.addTenants('platform', 'acme', 'globex', 'initech', 'umbrella');
    [auditor, replica] = [
      await openAuditorStore(database.settings('keyward_auditor')),
      await openAuditorStore(database.settings('keyward_auditor')),
    ];
  });
  afterAll(async () => {
    await Promise.all([auditor, replica].map((store) => store?.close()));
    await database.stop();
  });

  const sql = (text: string) => database.as('superuser', (client) => client.query(text));
  const readOf = async (name: string, op: TrailEntry['body']['op'] = 'GetTile'): Promise<TrailEntry> => {
    const owner = tenants.get(name)!;
    const epochs = await database.as('superuser', (client) => epochsOf(client, name));
    const { tenant, credentialId } = owner;
    return anEntry(owner, epochs, op, { category: 'audit', actor: { ...actor, tenant, credentialId } });
  };
  const minuteIsOver = () => sql(`UPDATE keyward.read_count SET minute = minute - interval '1 minute'`);
  const recordsOf = async (name: string) => {
    const { rows } = await sql(`SELECT bytes FROM keyward.trail_record WHERE tenant_id = '${name}' ORDER BY seq`);
    return rows.map(({ bytes }: { bytes: Buffer }) => trailRecord.parse(JSON.parse(bytes.toString())));
  };

  it('are one record a minute, credential and operation, with their exact count, whoever counts and records', async () => {
    const [tile, log] = [await readOf('acme'), await readOf('acme', 'GetLog')];
    const counted = await Promise.all(
      Array.from({ length: 300 }, (_, i) => (i % 2 === 0 ? auditor : replica).readCounter.count(i % 3 === 0 ? log : tile)),
    );
    expect(counted.every(({ verdict }) => verdict === 'counted')).toBe(true);
    await auditor.readCounter.recordReads();
    expect(await recordsOf('acme')).toEqual([]);
    await minuteIsOver();
    await Promise.all([auditor, replica].map((store) => store.readCounter.recordReads()));
    await auditor.readCounter.recordReads();
    const records = await recordsOf('acme');
    expect(records.map(({ op, count }) => `${op} ${count}`).sort()).toEqual(['GetLog 100', 'GetTile 200']);
    expect(records[0]).toMatchObject({ writer: 'keyward_auditor', outcome: 'succeeded', actor: { principal: 'otto' } });
    expect((await sql('SELECT FROM keyward.read_count')).rowCount).toBe(0);
  });

  it.each(['tenant', 'platform'] as const)('are not counted under another epoch of the %s', async (whose) => {
    const entry = await readOf('globex');
    const stale = { ...entry, epochs: { ...entry.epochs, [whose]: '00000000-0000-4000-8000-000000000000' } };
    expect(await auditor.readCounter.count(stale)).toEqual({ verdict: 'stale' });
    expect(await auditor.readCounter.count({ ...entry, validUntil: new Date(Date.now() - 1) })).toEqual({ verdict: 'expired' });
  });

  it('are counted for no operation of another plane', async () => {
    await expect(auditor.readCounter.count(await readOf('globex', 'Stop'))).rejects.toMatchObject({
      reason: 'trail: reads not counted: KW003',
    });
  });

  it('stay counted while the head is held, and are recorded afterwards', async () => {
    await auditor.readCounter.count(await readOf('initech'));
    await minuteIsOver();
    const admin = await database.session('superuser');
    await admin.query(`BEGIN; SELECT FROM keyward.tenant_head WHERE tenant_id = 'initech' FOR UPDATE`);
    expect(await auditor.readCounter.recordReads()).toBe(false);
    expect(await recordsOf('initech')).toEqual([]);
    await admin.query('ROLLBACK');
    await admin.end();
    expect(await auditor.readCounter.recordReads()).toBe(true);
    expect(await recordsOf('initech')).toMatchObject([{ op: 'GetTile', count: 1 }]);
  });

  it('end with the credential, in the statement that reads', async () => {
    const owner = tenants.get('umbrella')!;
    const { auditReads, readCounter } = auditor;
    const entry = await readOf('umbrella');
    const [stream, reads] = [auditReads.entries(owner, 0n, 1n), () => auditReads.records(owner, { fromSeq: 0, limit: 1 })];
    await expect(reads()).resolves.toMatchObject({ size: 0 });
    await sql(`UPDATE keyward.credential SET revoked_at = now() WHERE tenant_id = 'umbrella'`);
    expect(await readCounter.count(entry)).toEqual({ verdict: 'stale' });
    for (const read of [
      reads,
      () => auditReads.checkpoint(owner),
      () => auditReads.checkpoints(owner, { limit: 1, spread: false }),
      () => auditReads.checkpoints(owner, { limit: 1, spread: true }),
      () => auditReads.tileEntries(owner, 0, 1),
      () => auditReads.tileHashes(owner, 0, 0, 1),
      () => auditReads.tileHashes(owner, 1, 0, 1),
      () => stream[Symbol.asyncIterator]().next(),
    ])
      await expect(read()).rejects.toThrow(StaleSnapshot);
  });

  it.each(['off', 'local'])('are not counted under synchronous_commit = %s', async (setting) => {
    await database.as('keyward_auditor', async (client) => {
      await client.query(`SET synchronous_commit = ${setting}`);
      await expect(client.query(`SELECT keyward.count_read('acme', 'c', 'GetTile', NULL, NULL, NULL, '')`)).rejects.toMatchObject({
        code: 'KW004',
      });
    });
  });
});
