import type { Epochs } from '#core';
import { Appender } from './appender.js';
import { anEntry, epochsOf, TestDatabase, type TestTenant } from './test-database.js';

describe.each([1, 2])('the appender over %i connections', (connections) => {
  let database: TestDatabase;
  let tenants: Map<string, TestTenant>;
  let appender: Appender;

  beforeAll(async () => {
    database = await TestDatabase.start();
    tenants = await database.addTenants('platform', 'acme', 'globex', 'initech', 'umbrella');
    appender = new Appender({ ...database.settings('keyward_data_plane'), connections });
  });
  afterAll(async () => {
    await appender.close();
    await database.stop();
  });

  const tenant = (name: string) => tenants.get(name)!;
  const epochs = (name: string): Promise<Epochs> => database.as('superuser', (client) => epochsOf(client, name));
  const count = (name: string) =>
    database.as('superuser', async (client) =>
      Number((await client.query('SELECT count(*) FROM keyward.trail_record WHERE tenant_id = $1', [name])).rows[0]?.count),
    );

  it('stores the body exactly, behind what only the database may say', async () => {
    const entry = anEntry(tenant('acme'), await epochs('acme'));
    expect(await appender.append(entry)).toEqual({ verdict: 'durable', seq: 0n });
    const row = await database.as(
      'superuser',
      async (client) =>
        (await client.query(`SELECT *, sha256('\\x00'::bytea || bytes) AS hashed FROM keyward.trail_record WHERE tenant_id = 'acme'`))
          .rows[0],
    );
    const text: string = row.bytes.toString();
    expect(text.endsWith(JSON.stringify(entry.body).slice(1))).toBe(true);
    expect(text).toMatch(/^\{"seq":0,"recordedAt":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z","writer":"keyward_data_plane","v":1,/);
    expect(row).toMatchObject({ op: 'Encrypt', outcome: 'succeeded', principal: 'billing', request_id: entry.body.request.requestId });
    expect(row.hashed).toEqual(row.leaf_hash);
  });

  it('refuses what was decided under another epoch of the tenant', async () => {
    const stale = { ...(await epochs('acme')), tenant: '00000000-0000-4000-8000-000000000000' };
    expect(await appender.append(anEntry(tenant('acme'), stale))).toEqual({ verdict: 'stale' });
  });

  it('refuses what was decided under another epoch of the platform', async () => {
    const stale = { ...(await epochs('acme')), platform: '00000000-0000-4000-8000-000000000000' };
    expect(await appender.append(anEntry(tenant('acme'), stale))).toEqual({ verdict: 'stale' });
  });

  it("refuses what ran out by the database's clock", async () => {
    const entry = { ...anEntry(tenant('acme'), await epochs('acme')), validUntil: new Date(Date.now() - 1) };
    expect(await appender.append(entry)).toEqual({ verdict: 'expired' });
  });

  it('refuses what ran out before the time that its record would tell, which may be ahead of the clock', async () => {
    const at = { entry: anEntry(tenant('umbrella'), await epochs('umbrella')), ahead: Date.now() + 60_000 };
    await database.as('superuser', (client) =>
      client.query(`UPDATE keyward.tenant_head SET last_at = $1 WHERE tenant_id = 'umbrella'`, [new Date(at.ahead)]),
    );
    expect(await appender.append({ ...at.entry, validUntil: new Date(at.ahead) })).toEqual({ verdict: 'expired' });
    expect(await appender.append({ ...at.entry, validUntil: new Date(at.ahead + 3_600_000) })).toMatchObject({ verdict: 'durable' });
  });

  it('refuses an operation of another plane, a foreign log and an unknown tenant', async () => {
    const current = await epochs('acme');
    const reason = { reason: 'trail: malformed record' };
    await expect(appender.append(anEntry(tenant('acme'), current, 'PutPolicy'))).rejects.toMatchObject(reason);
    await expect(appender.append(anEntry(tenant('acme'), current, 'Encrypt', { log: tenant('globex').logId }))).rejects.toMatchObject(
      reason,
    );
    await expect(
      appender.append({ ...anEntry(tenant('acme'), current), tenant: tenant('acme').tenant.replace('acme', 'nobody') as never }),
    ).rejects.toMatchObject(reason);
  });

  it('keeps each tenant’s records dense and in time with two appenders and several tenants', async () => {
    const other = new Appender({ ...database.settings('keyward_data_plane'), connections });
    const names = ['acme', 'globex', 'initech'];
    const current = new Map(await Promise.all(names.map(async (name) => [name, await epochs(name)] as const)));
    const before = await count('acme');
    const answers = await Promise.all(
      Array.from({ length: 3000 }, (_, index) => {
        const name = names[index % 3]!;
        return (index % 2 === 0 ? appender : other).append(anEntry(tenant(name), current.get(name)!));
      }),
    );
    await other.close();
    expect(answers.every(({ verdict }) => verdict === 'durable')).toBe(true);
    const { rows } = await database.as('superuser', (client) =>
      client.query(`SELECT tenant_id, count(*)::int, max(seq)::int, bool_and(recorded_at > before) AS ordered, bool_and(text = 'ok') AS ok
        FROM (SELECT tenant_id, seq, recorded_at, lag(recorded_at, 1, '-infinity') OVER (PARTITION BY tenant_id ORDER BY seq) AS before,
          CASE WHEN convert_from(bytes, 'UTF8') LIKE '{"seq":' || seq || ',%' THEN 'ok' END AS text FROM keyward.trail_record) r GROUP BY 1 ORDER BY 1`),
    );
    expect(rows.map(({ count: records, max, ordered, ok }) => records === max + 1 && ordered && ok)).toEqual([true, true, true, true]);
    expect(await count('acme')).toBe(before + 1000);
  });

  it('does not let a held head of one tenant stall another', async () => {
    const admin = await database.session('superuser');
    const [ofAcme, ofGlobex] = [await epochs('acme'), await epochs('globex')];
    await admin.query(`BEGIN; SELECT FROM keyward.tenant_head WHERE tenant_id = 'acme' FOR UPDATE`);
    const held = appender.append(anEntry(tenant('acme'), ofAcme));
    const started = performance.now();
    for (let i = 0; i < 20; i++) expect(await appender.append(anEntry(tenant('globex'), ofGlobex))).toMatchObject({ verdict: 'durable' });
    expect(performance.now() - started).toBeLessThan(1500);
    await admin.query('COMMIT');
    await admin.end();
    expect(await held).toMatchObject({ verdict: 'durable' });
  });

  it('gives a record up when its tenant stays held', async () => {
    const admin = await database.session('superuser');
    const current = await epochs('acme');
    const before = await count('acme');
    await admin.query(
      `SET idle_in_transaction_session_timeout = 0; BEGIN; SELECT FROM keyward.tenant_head WHERE tenant_id = 'acme' FOR UPDATE`,
    );
    await expect(appender.append(anEntry(tenant('acme'), current))).rejects.toMatchObject({ reason: 'trail: tenant busy' });
    await admin.query('ROLLBACK');
    await admin.end();
    expect(await count('acme')).toBe(before);
  });

  it('does not answer when the commit fails after the verdicts were sent', async () => {
    const before = await count('acme');
    await database.as('superuser', (client) =>
      client.query(`CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'at commit'; END $$;
        CREATE CONSTRAINT TRIGGER fails AFTER INSERT ON keyward.trail_record DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.fail()`),
    );
    await expect(appender.append(anEntry(tenant('acme'), await epochs('acme')))).rejects.toMatchObject({ code: 'unavailable' });
    await database.as('superuser', (client) => client.query('DROP TRIGGER fails ON keyward.trail_record; DROP FUNCTION public.fail()'));
    expect(await count('acme')).toBe(before);
    expect(await appender.append(anEntry(tenant('acme'), await epochs('acme')))).toMatchObject({ verdict: 'durable' });
  });

  it('never parts the records of one request, however many wait before them', async () => {
    const current = await epochs('initech');
    const others = Array.from({ length: 20 }, () => appender.append(anEntry(tenant('initech'), current)));
    const together = appender.appendAll(Array.from({ length: 40 }, () => anEntry(tenant('initech'), current)));
    await Promise.all(others);
    const seqs = (await together).map((appended) => Number('seq' in appended ? appended.seq : -1));
    const { rows } = await database.as('superuser', (client) =>
      client.query('SELECT DISTINCT xmin FROM keyward.trail_record WHERE tenant_id = $1 AND seq = ANY ($2)', ['initech', seqs]),
    );
    expect(seqs).toEqual(Array.from({ length: 40 }, (_, index) => seqs[0]! + index));
    expect(rows).toHaveLength(1);
  });

  it('refuses at once when the queue is full', async () => {
    const current = await epochs('globex');
    const all = Array.from({ length: 4200 }, () =>
      appender.append(anEntry(tenant('globex'), current)).then(
        () => 'durable',
        (error: { reason: string }) => error.reason,
      ),
    );
    const answers = await Promise.all(all);
    expect(answers.filter((answer) => answer === 'trail: queue is full')).toHaveLength(104);
    expect(answers.filter((answer) => answer === 'durable')).toHaveLength(4096);
  });

  it('rejects what was in flight when the server was killed, never writes it twice, and comes back by itself', async () => {
    const current = await epochs('globex');
    const outcomes = { durable: 0, rejected: 0 };
    let longest = 0;
    const ids = new Set<string>();
    let running = true;
    const client = async () => {
      while (running) {
        const entry = anEntry(tenant('globex'), current);
        const started = performance.now();
        try {
          await appender.append(entry);
          ids.add(entry.body.id);
          outcomes.durable++;
        } catch {
          longest = Math.max(longest, performance.now() - started);
          outcomes.rejected++;
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      }
    };
    const clients = Array.from({ length: 64 }, client);
    await new Promise((resolve) => setTimeout(resolve, 500));
    database.server.kill('SIGKILL');
    const beforeKill = outcomes.durable;
    for (let i = 0; i < 1000 && outcomes.durable < beforeKill + 2000; i++) await new Promise((resolve) => setTimeout(resolve, 20));
    running = false;
    await Promise.all(clients);
    expect(outcomes.rejected).toBeGreaterThan(0);
    expect(outcomes.durable).toBeGreaterThan(beforeKill + 1999);
    expect(longest).toBeLessThan(1000);
    const { rows } = await database.as('superuser', (superuser) =>
      superuser.query<{ id: string }>(
        `SELECT convert_from(bytes, 'UTF8')::jsonb ->> 'id' AS id FROM keyward.trail_record WHERE tenant_id = 'globex'`,
      ),
    );
    const stored = rows.map(({ id }) => id);
    expect(new Set(stored).size).toBe(stored.length);
    const found = new Set(stored);
    expect([...ids].filter((id) => !found.has(id))).toEqual([]);
  });
});
