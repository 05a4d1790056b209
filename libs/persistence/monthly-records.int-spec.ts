import type { Epochs } from '#core';
import { MIGRATIONS } from '../../migrations/index.js';
import { Appender } from './appender.js';
import { migrating } from './provision/provision.js';
import { openAuditorStore, openWorkerStore } from './stores.js';
import { anEntry, epochsOf, TestDatabase, type TestTenant } from './test-database.js';

describe('records by month', () => {
  let database: TestDatabase;
  let tenants: Map<string, TestTenant>;
  let appender: Appender;

  beforeAll(async () => {
    database = await TestDatabase.start();
    tenants = await database.addTenants('platform', 'acme', 'globex', 'initech', 'umbrella');
    appender = new Appender(database.settings('keyward_data_plane'));
  });
  afterAll(async () => {
    await appender?.close();
    await database.stop();
  });

  const run = (text: string) => database.as('superuser', async (client) => (await client.query(text)).rows);
  const partitions = async () =>
    (await run(`SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r' ORDER BY 1`)).map(({ relname }) => String(relname));
  const places = async (name: string) =>
    (
      await run(`SELECT tableoid::regclass::text AS place, seq::int FROM keyward.trail_record WHERE tenant_id = '${name}' ORDER BY seq`)
    ).map(({ place, seq }) => [String(place).replace('keyward.', ''), seq]);
  const append = async (name: string, count: number) => {
    const epochs: Epochs = await database.as('superuser', (client) => epochsOf(client, name));
    return await Promise.all(Array.from({ length: count }, () => appender.append(anEntry(tenants.get(name)!, epochs))));
  };
  const lastAt = (name: string, at: string) => run(`UPDATE keyward.tenant_head SET last_at = ${at} WHERE tenant_id = '${name}'`);
  const nameOf = (monthsOn: number) => {
    const now = new Date();
    return `trail_record_${new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + monthsOn)).toISOString().slice(0, 7).replace('-', '_')}`;
  };
  const MONTH_END = `date_trunc('month', now(), 'UTC') + interval '1 month'`;

  it('have their partitions before the month begins', async () => {
    expect(await partitions()).toEqual([nameOf(1), nameOf(2), 'trail_record_first', 'trail_record_other'].sort());
    const worker = await openWorkerStore(database.settings('keyward_worker'));
    try {
      for (let time = 0; time < 2; time++) await worker.checkpoints.ensureMonths(4);
    } finally {
      await worker.close();
    }
    expect(await partitions()).toEqual([nameOf(1), nameOf(2), nameOf(3), nameOf(4), 'trail_record_first', 'trail_record_other'].sort());
  });

  it("go on without a gap over a month's end", async () => {
    await lastAt('acme', `${MONTH_END} - interval '5 seconds'`);
    await append('acme', 10);
    await lastAt('acme', `${MONTH_END} - interval '6 microseconds'`);
    expect(await append('acme', 30)).toEqual(Array.from({ length: 30 }, () => expect.objectContaining({ verdict: 'durable' })));
    const found = await places('acme');
    expect(found.map(([, seq]) => seq)).toEqual(Array.from({ length: 40 }, (_, seq) => seq));
    expect(found.map(([place]) => place).filter((place, at, all) => place !== all[at - 1])).toEqual(['trail_record_first', nameOf(1)]);
    const auditor = await openAuditorStore(database.settings('keyward_auditor'));
    try {
      const page = await auditor.auditReads.records(tenants.get('acme')!, { fromSeq: 0, limit: 100 });
      expect([page.size, page.items.length]).toEqual([40, 40]);
    } finally {
      await auditor.close();
    }
  });

  it("go on over a month's end while two planes append and an auditor reads", async () => {
    const other = new Appender(database.settings('keyward_data_plane'));
    const auditor = await openAuditorStore(database.settings('keyward_auditor'));
    // A log that is ahead of the clock goes on by microseconds: 300 records before the month ends, 300 after.
    await lastAt('umbrella', `${MONTH_END} - interval '301 microseconds'`);
    const epochs = await database.as('superuser', (client) => epochsOf(client, 'umbrella'));
    let running = true;
    const seen: number[] = [];
    const reading = async () => {
      while (running) {
        const { items, size } = await auditor.auditReads.records(tenants.get('umbrella')!, { fromSeq: 0, limit: 1000 });
        expect(items).toMatchObject(Array.from({ length: size }, (_, seq) => ({ seq })));
        seen.push(size);
      }
    };
    const appending = async (plane: Appender) => {
      for (let left = 30; left > 0; left--)
        await Promise.all(Array.from({ length: 10 }, () => plane.append(anEntry(tenants.get('umbrella')!, epochs))));
    };
    const appended = Promise.all([appending(appender), appending(other)]).finally(() => (running = false));
    await Promise.all([appended, reading()]);
    await Promise.all([other.close(), auditor.close()]);
    const found = await run(`
      SELECT seq::int, tableoid::regclass::text AS place, recorded_at >= ${MONTH_END} AS later, leaf_hash = sha256('\\x00'::bytea || bytes) AS fits,
          recorded_at > lag(recorded_at, 1, '-infinity') OVER (ORDER BY seq) AS goes_on
        FROM keyward.trail_record WHERE tenant_id = 'umbrella' ORDER BY seq`);
    expect(found).toEqual(
      Array.from({ length: 600 }, (_, seq) => {
        const later: unknown = found[seq]?.later;
        const place = `keyward.${later === true ? nameOf(1) : 'trail_record_first'}`;
        return { seq, place, later, fits: true, goes_on: true };
      }),
    );
    expect(new Set(found.map(({ later }) => String(later)))).toEqual(new Set(['true', 'false']));
    expect(seen.length).toBeGreaterThan(0);
  });

  it('are never refused because a month has no partition, and that month is left where it is', async () => {
    await lastAt('globex', `${MONTH_END} + interval '5 months 1 day'`);
    expect(await append('globex', 3)).toEqual([0n, 1n, 2n].map((seq) => ({ verdict: 'durable', seq })));
    expect(await places('globex')).toEqual([0, 1, 2].map((seq) => ['trail_record_other', seq]));
    await run('SELECT keyward.ensure_months(8)');
    const made = await partitions();
    expect(made).toEqual(expect.arrayContaining([nameOf(5), nameOf(7), nameOf(8)]));
    expect(made).not.toContain(nameOf(6));
    await append('globex', 1);
    expect((await places('globex')).at(-1)).toEqual(['trail_record_other', 3]);
  });

  it('are appended while a partition is being made, and while somebody reads all of them', async () => {
    const [reader, maker] = [await database.session('superuser'), await database.session('superuser')];
    try {
      await reader.query('BEGIN; SELECT count(*) FROM keyward.trail_record');
      // It waits for the reader, for a second at most.
      const making = maker.query('SELECT keyward.ensure_months(12)').then(
        () => 'made',
        (error: { code: string }) => error.code,
      );
      expect(await append('initech', 5)).toEqual(Array.from({ length: 5 }, () => expect.objectContaining({ verdict: 'durable' })));
      expect(await making).toBe('55P03');
      await reader.query('COMMIT');
      await maker.query('SELECT keyward.ensure_months(12)');
    } finally {
      await Promise.all([reader.end(), maker.end()]);
    }
    expect(await partitions()).toContain(nameOf(12));
  });

  it('are one table before the migration, and the same records after it', async () => {
    const digest = () =>
      run(`SELECT tenant_id, md5(string_agg(r::text, ',' ORDER BY seq)) FROM keyward.trail_record r GROUP BY 1 ORDER BY 1`);
    const before = await digest();
    await migrating(database.superuserUrl, MIGRATIONS, async (source) => {
      let undone: string;
      do {
        const last = await source.query('SELECT name FROM keyward.schema_migration ORDER BY id DESC LIMIT 1');
        undone = last[0].name;
        await source.undoLastMigration({ transaction: 'each' });
      } while (undone !== 'MonthlyRecords0000000000051');
    });
    expect([await partitions(), await digest()]).toEqual([[], before]);
    await migrating(database.superuserUrl, MIGRATIONS, async (source) => {
      await source.runMigrations({ transaction: 'each' });
    });
    expect(await digest()).toEqual(before);
    // The last of them is of the seventh month from now.
    expect(await partitions()).toEqual(['trail_record_first', 'trail_record_other']);
    expect((await append('acme', 1))[0]).toEqual({ verdict: 'durable', seq: 40n });
  });
});
