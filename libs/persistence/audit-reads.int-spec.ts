import { createHash } from 'node:crypto';
import { DISCLOSURE_NAMES } from '#contract';
import { disclose, type Disclosure, type Reader } from '#core';
import { type AuditorStore, openDataPlaneStore, openAuditorStore, openKeyPlaneStore } from './stores.js';
import { anEntry, epochsOf, TestDatabase, type TestTenant } from './test-database.js';

const SIZE = 45_000;

describe('an auditor of a long log', () => {
  let database: TestDatabase;
  let auditor: AuditorStore;
  let reader: Reader;
  let other: TestTenant;

  beforeAll(async () => {
    database = await TestDatabase.start();
    const tenants = await database.addTenants('platform', 'acme', 'globex');
    reader = tenants.get('acme')!;
    other = tenants.get('globex')!;
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
      unreadable: [],
      nextSeq: 20_000,
    });
    expect(await auditor.auditReads.records(reader, { fromSeq: 40_000, limit: 1, requestId })).toEqual({
      size: SIZE,
      items: [{ seq: SIZE - 1 }],
      disclosures: [],
      unreadable: [],
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

  it('is shown the rest of a page where a plane that was taken over stored no personal fields, and told of which', async () => {
    const planted = (text: string): Disclosure => {
      const digest = createHash('sha256').update(text).digest('base64url');
      // No name that there is: an erasure of all of them must find it nevertheless.
      return { ...disclose('userName', 'anna', ''), name: 'salary' as 'userName', text, digest };
    };
    const honest = disclose('userName', 'anna', 'Anna');
    const bad = [planted('bm9uZQ'), planted(Buffer.from('["_26bc4LT-ac6q2KI6cBW5es","salary","7"]').toString('base64url'))];
    const plane = await openDataPlaneStore(database.settings('keyward_data_plane'));
    const epochs = await database.as('superuser', (client) => epochsOf(client, 'globex'));
    for (const disclosures of [[honest], bad, []]) {
      const _sd = disclosures.map(({ digest }) => digest);
      const entry = anEntry(other, epochs, 'Encrypt', disclosures.length === 0 ? {} : { _sd, _sd_alg: 'sha-256' });
      expect(await plane.trail.append({ ...entry, disclosures })).toMatchObject({ verdict: 'durable' });
    }
    await plane.close();

    const page = await auditor.auditReads.records(other, { fromSeq: 0, limit: 10 });
    expect(page.items).toHaveLength(3);
    expect(page.disclosures).toMatchObject([{ digest: honest.digest, value: 'Anna' }]);
    expect(page.unreadable.toSorted()).toEqual(bad.map(({ digest }) => digest).toSorted());

    const admin = await openKeyPlaneStore(database.settings('keyward_key_plane'));
    const count = async (fields: readonly (typeof DISCLOSURE_NAMES)[number][]) =>
      (await admin.uses.personalFields(other.tenant, { fromSeq: 0, toSeq: 3, abouts: undefined, fields })).count;
    expect([await count(DISCLOSURE_NAMES), await count(['userName', 'reason'])]).toEqual([3, 1]);
    await admin.close();
  });
});
