import type { Reader } from '#core';
import { type AuditorStore, openAuditorStore } from './stores.js';
import { TestDatabase } from './test-database.js';

const SIZE = 45_000;

describe('an auditor of a long log', () => {
  let database: TestDatabase;
  let auditor: AuditorStore;
  let reader: Reader;

  beforeAll(async () => {
    database = await TestDatabase.start();
    reader = (await database.addTenants('platform', 'acme')).get('acme')!;
    await database.as('superuser', (client) =>
      client.query(`
        INSERT INTO keyward.trail_record (tenant_id, seq, bytes, leaf_hash, recorded_at, op, outcome, request_id, calls)
        SELECT 'acme', n, convert_to('{"seq":' || n || '}', 'UTF8'), '', now(), CASE WHEN n % 10000 = 9999 THEN 'Stop' ELSE 'Encrypt' END, 'succeeded', 'req_' || n, 1
        FROM generate_series(0, ${SIZE - 1}) n`),
    );
    auditor = await openAuditorStore(database.settings('keyward_auditor'));
  });
  afterAll(async () => {
    await auditor?.close();
    await database.stop();
  });

  it('is answered after 20,000 records that do not pass the filter, and goes on from there', async () => {
    const requestId = `req_${SIZE - 1}`;
    expect(await auditor.auditReads.records(reader, { fromSeq: 0, limit: 1, requestId })).toEqual({
      size: SIZE,
      items: [],
      disclosures: [],
      nextSeq: 20_000,
    });
    expect(await auditor.auditReads.records(reader, { fromSeq: 40_000, limit: 1, requestId })).toEqual({
      size: SIZE,
      items: [{ seq: SIZE - 1 }],
      disclosures: [],
    });
  });

  it('comes upon every record that passes, once, by following nextSeq', async () => {
    const seen: unknown[] = [];
    for (let fromSeq: number | undefined = 0; fromSeq !== undefined; ) {
      const page = await auditor.auditReads.records(reader, { fromSeq, limit: 1, op: 'Stop' });
      seen.push(...page.items);
      fromSeq = page.nextSeq;
    }
    expect(seen).toEqual([{ seq: 9999 }, { seq: 19_999 }, { seq: 29_999 }, { seq: 39_999 }]);
  });

  it.each([SIZE - 1, SIZE, Number.MAX_SAFE_INTEGER])('is told the end of the log from %i on', async (fromSeq) => {
    expect(await auditor.auditReads.records(reader, { fromSeq, limit: 1000 })).not.toHaveProperty('nextSeq');
  });

  it('holds a connection for two seconds at most', async () => {
    const run = (sql: string) => database.as('superuser', (client) => client.query(sql));
    await run(`CREATE POLICY slow ON keyward.trail_record AS RESTRICTIVE USING (pg_sleep(10)::text IS NOT NULL)`);
    const before = Date.now();
    await expect(auditor.auditReads.records(reader, { fromSeq: 0, limit: 1 })).rejects.toMatchObject({ reason: 'database: 57014' });
    expect(Date.now() - before).toBeLessThan(4000);
    await run('DROP POLICY slow ON keyward.trail_record');
  });
});
