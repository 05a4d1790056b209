import { trailRecord } from '#contract';
import { openWorkerStore, type WorkerStore } from '#persistence';
import { TestDatabase } from '../../libs/persistence/test-database.js';
import { heartbeats } from './heartbeats.js';
import { WHOLE } from './jobs/job-kind.js';

describe('heartbeats', () => {
  let database: TestDatabase;
  let worker: WorkerStore;
  let time = Date.now();

  beforeAll(async () => {
    database = await TestDatabase.start();
    await database.addTenants('platform', 'acme', 'globex', 'newcomer');
    await sql(`UPDATE keyward.tenant_head SET size = 0, last_at = now() - interval '4 minutes'`);
    await sql(`UPDATE keyward.tenant_head SET size = 7 WHERE tenant_id <> 'newcomer'`);
    worker = await openWorkerStore(database.settings('keyward_worker'));
  });
  afterAll(async () => {
    await worker?.close();
    await database.stop();
  });

  const sql = (text: string) => database.as('superuser', (client) => client.query(text));
  const recorded = async () => {
    const { rows } = await sql('SELECT tenant_id, bytes FROM keyward.trail_record ORDER BY tenant_id, seq');
    return rows.map(({ tenant_id, bytes }: { tenant_id: string; bytes: Buffer }) => {
      const { seq, op, phase, actor, change, writer } = trailRecord.parse(JSON.parse(bytes.toString()));
      return [tenant_id, seq, op, phase, actor.type, change?.['unsigned'], writer];
    });
  };
  const beat = async () => {
    time += 10_000;
    await heartbeats({ logs: worker.idle, trail: worker.trail, clock: { now: () => new Date(time) } }).run(WHOLE, jest.fn());
  };

  it('are no records of a log in which something happened, nor of one that has not begun', async () => {
    await beat();
    expect(await recorded()).toEqual([]);
    await sql(`UPDATE keyward.tenant_head SET last_at = now() - interval '6 minutes' WHERE tenant_id = 'newcomer'`);
    await beat();
    expect(await recorded()).toEqual([]);
  });

  it('are one record of each log in which nothing happened for five minutes, and one more after the next five', async () => {
    const idle = () => sql(`UPDATE keyward.tenant_head SET last_at = last_at - interval '6 minutes' WHERE tenant_id IN ('acme', 'globex')`);
    await idle();
    for (let round = 0; round < 3; round++) await beat();
    const of = (tenant: string, seq: number) => [tenant, seq, 'Heartbeat', 'heartbeat', 'worker', seq, 'keyward_worker'];
    expect(await recorded()).toEqual([of('acme', 7), of('globex', 7)]);
    await idle();
    await beat();
    expect(await recorded()).toEqual([of('acme', 7), of('acme', 8), of('globex', 7), of('globex', 8)]);
  });

  it('are all that the worker may append', async () => {
    const [log] = await worker.idle.idleLogs(0);
    const { tenant, epochs, logId } = log!;
    const body = {
      ...trailRecord.parse(JSON.parse((await sql(`SELECT bytes FROM keyward.trail_record LIMIT 1`)).rows[0].bytes)),
      op: 'Stop' as const,
      log: logId,
    };
    const { seq: _, recordedAt: __, writer: ___, ...rest } = body;
    await expect(worker.trail.append({ tenant, epochs, validUntil: undefined, body: rest })).rejects.toMatchObject({
      reason: 'trail: malformed record',
    });
  });
});
