import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Epochs, Reader } from '#core';
import { appendLeaf, emptyTree, growTree, rootOf, type TileNode } from '#trail';
import { Appender } from './appender.js';
import { type AuditorStore, type KeyPlaneStore, openAuditorStore, openKeyPlaneStore, openWorkerStore, type WorkerStore } from './stores.js';
import { anEntry, epochsOf, TestDatabase, type TestTenant } from './test-database.js';

const SIZE = 900;
/** Names the log's second key. */
const ROTATION = 5;
const NAMES = `CASE n WHEN ${ROTATION} THEN ',"change":{"number":2}' ELSE '' END`;
const VOUCHING = `SELECT record_seq FROM keyward.log_key WHERE tenant_id = 'acme'`;
const OLD = `now() - interval '3000 days'`;

describe('records whose time is over', () => {
  let database: TestDatabase;
  let acme: TestTenant;
  let key: KeyPlaneStore;
  let auditor: AuditorStore;
  let worker: WorkerStore;
  let leaves: Uint8Array[];
  let root: Uint8Array;

  beforeAll(async () => {
    database = await TestDatabase.start();
    const tenants = await database.addTenants('platform', 'acme', 'globex');
    acme = tenants.get('acme')!;
    key = await openKeyPlaneStore(database.settings('keyward_key_plane'));
    auditor = await openAuditorStore(database.settings('keyward_auditor'));
    worker = await openWorkerStore(database.settings('keyward_worker'));
    // Eight years ago a record a second; the last 100 are of yesterday.
    await run(`
      INSERT INTO keyward.trail_record (tenant_id, seq, bytes, leaf_hash, recorded_at, op, outcome, calls)
        SELECT t, n, convert_to('{"seq":' || n || ${NAMES} || '}', 'UTF8'), sha256(convert_to(t || n, 'UTF8')),
            CASE WHEN n < 800 THEN ${OLD} + n * interval '1 second' ELSE now() - interval '1 day' + n * interval '1 second' END, CASE n WHEN ${ROTATION} THEN 'RotateLogKey' ELSE 'ListKeys' END, 'succeeded', 1
          FROM unnest(ARRAY['acme', 'globex']) t, generate_series(0, ${SIZE - 1}) n;
      INSERT INTO keyward.trail_disclosure SELECT 'acme', sha256(n::text::bytea), n, 'name', 'anna', n % 2 = 0, 'x' FROM generate_series(0, ${SIZE - 1}) n;
      INSERT INTO keyward.log_key (tenant_id, number, vkey, made_at, retires_at) VALUES ('acme', 2, 'two', now(), now() + interval '1 day');
      UPDATE keyward.tenant_head SET size = ${SIZE}, last_at = now() WHERE tenant_id IN ('acme', 'globex')`);
    leaves = Array.from({ length: SIZE }, (_, n) => createHash('sha256').update(`acme${n}`).digest());
    const nodes: TileNode[] = [];
    const tree = leaves.reduce((grown, leaf) => growTree(grown, leaf, (node) => nodes.push(node)), emptyTree());
    root = rootOf(tree);
    await worker.checkpoints.saveNodes(acme.tenant, nodes);
  });
  afterAll(async () => {
    await Promise.all([key?.close(), auditor?.close(), worker?.close()]);
    await database.stop();
  });

  const run = (text: string) => database.as('superuser', async (client) => (await client.query(text)).rows);
  const prune = async (minIndex: number, size = SIZE, over = root) => {
    const [row] = await database.as(
      'superuser',
      async (client) =>
        (await client.query('SELECT keyward.prune_below($1, $2, $3, $4) AS reason', ['acme', minIndex, size, Buffer.from(over)])).rows,
    );
    return row.reason;
  };
  const records = async (tenant: string) =>
    (await run(`SELECT min(seq)::int AS first, count(*)::int AS count FROM keyward.trail_record WHERE tenant_id = '${tenant}'`))[0];
  const level0 = async (index: number, width: number) =>
    Buffer.concat(await auditor.auditReads.tileHashes(acme satisfies Reader, 0, index, width));

  it('go only as far as they were signed, exported, counted, delivered, and are old enough', async () => {
    expect(await prune(256)).toMatch(/^exported: /);
    await worker.checkpoints.save(acme.tenant, { size: BigInt(SIZE), root, note: 'note' });
    expect(await prune(256, SIZE, new Uint8Array(32))).toMatch(/^exported: /);
    expect(await prune(256, 100)).toMatch(/^exported: /);
    expect(await prune(256)).toMatch(/not counted yet/);
    await worker.checkpoints.rollUp(acme.tenant, BigInt(SIZE));
    expect(await prune(1024)).toMatch(/^exported: /);
    await run(
      `INSERT INTO keyward.log_retention (tenant_id, days) VALUES ('acme', 36525) ON CONFLICT (tenant_id) DO UPDATE SET days = 36525`,
    );
    expect(await prune(256)).toBe('minIndex: record 255 is younger than the 36525 days of the retention');
    await run(`UPDATE keyward.log_retention SET days = 2557`);
    expect(await prune(768)).toBeNull();
    expect(await prune(512)).toMatch(/pruned already/);
    await expect(run(`UPDATE keyward.log_retention SET days = 179`)).rejects.toMatchObject({ code: '23514' });
  });

  it('are not deleted by anybody else, nor before their hashes are kept', async () => {
    for (const seq of [0, 700, 800])
      await expect(run(`DELETE FROM keyward.trail_record WHERE tenant_id = 'acme' AND seq = ${seq}`)).rejects.toMatchObject({
        code: 'KW005',
      });
  });

  it.each(['log_key', 'trail_record'])(
    'are all there after a kill -9 of a step at its change of %s',
    async (table) => {
      const admin = await database.session('superuser');
      const gone = new Promise((ended) => admin.once('end', ended));
      await admin.query(`BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0; LOCK TABLE keyward.${table} IN SHARE MODE`);
      const waiting = async () =>
        (await run(`SELECT pid FROM pg_locks WHERE NOT granted AND relation = 'keyward.${table}'::regclass`))[0]?.pid as number | undefined;
      for (let killed = false; !killed; ) {
        // It waits for a second at most: then once more.
        let ended = false;
        const step = worker.pruning
          .pruneStep()
          .catch(() => undefined)
          .finally(() => (ended = true));
        while (!ended && !killed) {
          const pid = await waiting();
          if (pid !== undefined) killed = process.kill(pid, 'SIGKILL');
        }
        expect(await step).toBeUndefined();
      }
      // The server ends every session then, and recovers.
      await gone;
      const state = async (): Promise<unknown> => {
        try {
          return [await records('acme'), await run('SELECT count(*)::int AS tiles FROM keyward.pruned_tile'), await run(VOUCHING)];
        } catch {
          await sleep(50);
          return await state();
        }
      };
      expect(await state()).toEqual([{ first: 0, count: SIZE }, [{ tiles: 0 }], [{ record_seq: null }]]);
    },
    60_000,
  );

  it('are gone, their disclosures too, and every hash, count and later record is as before', async () => {
    const stats = await run(`SELECT * FROM keyward.trail_stat ORDER BY minute`);
    // A log that somebody took a record from is not pruned, and does not hold up the others.
    await run(`
      INSERT INTO keyward.log_retention (tenant_id, min_index) VALUES ('globex', 256) ON CONFLICT (tenant_id) DO UPDATE SET min_index = 256;
      SET LOCAL session_replication_role = replica; DELETE FROM keyward.trail_record WHERE tenant_id = 'globex' AND seq = 7`);
    while (await worker.pruning.pruneStep());
    expect(await records('acme')).toEqual({ first: 768, count: SIZE - 768 });
    expect(await records('globex')).toEqual({ first: 0, count: SIZE - 1 });
    for (const [index, width] of [
      [0, 256],
      [1, 7],
      [2, 256],
      [3, SIZE - 768],
    ] as const)
      expect(await level0(index, width)).toEqual(Buffer.concat(leaves.slice(256 * index, 256 * index + width)));
    expect(
      rootOf(
        (await worker.checkpoints.leafHashes(acme.tenant, 0n, BigInt(SIZE))).reduce((tree, leaf) => appendLeaf(tree, leaf), emptyTree()),
      ),
    ).toEqual(root);
    expect(Buffer.concat([...(await worker.checkpoints.tileHashes(acme.tenant, 0, 2, 200))])).toEqual(
      Buffer.concat(leaves.slice(512, 712)),
    );
    expect(await auditor.auditReads.retention(acme)).toEqual({ minIndex: 768, days: 2557 });
    const page = await auditor.auditReads.records(acme, {
      fromSeq: 768,
      limit: 10,
      from: new Date(Date.now() - 2 * 86_400_000).toISOString(),
    });
    expect(page.items).toMatchObject(Array.from({ length: 10 }, (_, n) => ({ seq: 800 + n })));
    expect(await run(`SELECT * FROM keyward.trail_stat ORDER BY minute`)).toEqual(stats);
    // A later record may carry a field that an earlier one of the same ten minutes shares.
    const [kept] = await run(
      `SELECT min(seq) FILTER (WHERE NOT shared)::int AS own, min(seq) FILTER (WHERE shared)::int AS shared FROM keyward.trail_disclosure`,
    );
    expect(kept).toEqual({ own: 769, shared: 108 });
  });

  it('leave what vouches for a later key of the log, for auditors and in buckets', async () => {
    const [sink] = await run(`
      INSERT INTO keyward.sink (tenant_id, sink_id, description, target, state, created_by, created_at, next_seq, next_attempt_at, lease, leased_until)
        VALUES ('acme', 'snk_1', '', '{}', 'Active', 'anna', now(), ${SIZE}, now(), gen_random_uuid(), now() + interval '1 minute')
        RETURNING lease`);
    const [held] = await run(`SELECT seq::int, record, size::int FROM keyward.sink_log_keys('acme', 'snk_1', '${sink.lease}')`);
    const record = Buffer.from(`{"seq":${ROTATION},"change":{"number":2}}`);
    expect(held).toEqual({ seq: ROTATION, record, size: SIZE });
    expect(await auditor.auditReads.logKeys(acme)).toEqual([
      { vkey: 'two', evidence: { seq: ROTATION, record, checkpoint: 'note', size: SIZE } },
    ]);
  });

  it('leave no gap where the log goes on', async () => {
    const epochs: Epochs = await database.as('superuser', (client) => epochsOf(client, 'acme'));
    const appender = new Appender(database.settings('keyward_data_plane'));
    expect(await appender.append(anEntry(acme, epochs))).toEqual({ verdict: 'durable', seq: BigInt(SIZE) });
    await appender.close();
  });

  it('leave an empty month that is dropped, and no other', async () => {
    await run(`
      ALTER TABLE keyward.trail_record DETACH PARTITION keyward.trail_record_first;
      CREATE TABLE keyward.trail_record_2009_01 PARTITION OF keyward.trail_record (PRIMARY KEY (tenant_id, seq)) FOR VALUES FROM ('2009-01-01Z') TO ('2009-02-01Z');
      ALTER TABLE keyward.trail_record_2009_01 OWNER TO keyward_owner;
      DO $$ BEGIN
        EXECUTE format('ALTER TABLE keyward.trail_record ATTACH PARTITION keyward.trail_record_first FOR VALUES FROM (%L) TO (%L)',
          '2010-01-01Z', date_trunc('month', now(), 'UTC') + interval '1 month');
      END $$`);
    const months = async () =>
      (await run(`SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r' ORDER BY 1`)).map(({ relname }) => String(relname));
    const before = await months();
    expect(before).toContain('trail_record_2009_01');
    await worker.pruning.dropEmptyMonths();
    expect(await months()).toEqual(before.filter((name) => name !== 'trail_record_2009_01'));
    expect(await records('globex')).toEqual({ first: 0, count: SIZE - 1 });
  });
});
