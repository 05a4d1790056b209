import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { newKeyId, newKeyVersionId } from '#core';
import { ACME, KeyWorld } from '../keys/key-world.js';
import { DyingProcess } from './dying-process.js';
import type { Point } from './dying-worker.js';
import { RedisServer, redisIsMissing } from './redis-server.js';

/** Who is stopped has a job in hands; who is killed may be anywhere. */
const ROUNDS: readonly { readonly killedAt: readonly Point[]; readonly stoppedAt: Point }[] = [
  { killedAt: ['looked', 'before-effect'], stoppedAt: 'read' },
  { killedAt: ['after-effect'], stoppedAt: 'before-effect' },
  { killedAt: ['told'], stoppedAt: 'after-effect' },
];
/** Keys that become due in each round, and some more until all have come to their points. */
const ROWS = 80;
const LOCK_MS = 1500;

/** A queue that forgets, in another way each time. */
interface Forgetful {
  readonly redisUrl?: string;
  forget(times: number): Promise<void>;
  stop(): Promise<void>;
}
const QUEUES: Record<string, (world: KeyWorld) => Promise<Forgetful>> = {
  PostgreSQL: (world) =>
    Promise.resolve({
      forget: () => world.database.as('superuser', async (client) => void (await client.query('DELETE FROM keyward_queue.job'))),
      stop: () => Promise.resolve(),
    }),
  Redis: async () => {
    const redis = await RedisServer.start();
    const restart = () => redis.down().then(() => redis.up());
    return { redisUrl: redis.url, forget: (times) => (times % 2 === 0 ? redis.flush() : restart()), stop: () => redis.stop() };
  },
};

describe.each(Object.entries(QUEUES))('three workers and a queue in %s', (name, open) => {
  if (name === 'Redis' && redisIsMissing !== undefined) {
    it.skip(redisIsMissing, () => undefined);
    return;
  }
  let world: KeyWorld;
  let admin: pg.Client;
  let queue: Forgetful;
  let workers: readonly DyingProcess<Point>[] = [];
  /** Of every life of each: how often it set about to destroy a key. */
  const attempts: string[] = [];

  beforeAll(async () => {
    world = await KeyWorld.start();
    admin = await world.database.session('superuser');
    queue = await open(world);
    const databaseUrl = world.database.settings('keyward_worker').url;
    const settings = { databaseUrl, lockMs: LOCK_MS, ...(queue.redisUrl !== undefined && { redisUrl: queue.redisUrl }) };
    const hears = (message: { destroys?: string }) => void (message.destroys === undefined || attempts.push(message.destroys));
    workers = [1, 2, 3].map(() => new DyingProcess('queue/dying-worker.js', settings, hears));
  }, 180_000);
  afterAll(async () => {
    for (const worker of workers) worker.end();
    await admin?.end();
    await queue?.stop();
    await world?.stop();
  });

  const sql = async (text: string, ...values: unknown[]) => (await admin.query(text, values)).rows;

  /** Keys whose wait is over, each a copy of one that was made. */
  async function dueKeys(template: string, count: number): Promise<string[]> {
    const ids = Array.from({ length: count }, () => newKeyId(Date.now()));
    await sql(
      `WITH fresh AS (SELECT * FROM unnest($2::text[], $3::text[]) f (key_id, version_id)), keys AS (
          INSERT INTO keyward.cmk SELECT (jsonb_populate_record(k, jsonb_build_object('key_id', f.key_id, 'primary_version', f.version_id,
              'state', 'PendingDeletion', 'state_before', 'Enabled', 'deletion_at', now()))).*
            FROM keyward.cmk k, fresh f WHERE k.key_id = $1 RETURNING 1)
        INSERT INTO keyward.key_version SELECT (jsonb_populate_record(v, jsonb_build_object('key_id', f.key_id, 'version_id', f.version_id))).*
          FROM keyward.key_version v, fresh f WHERE v.key_id = $1`,
      ...[template, ids, ids.map(() => newKeyVersionId(Date.now()))],
    );
    return ids;
  }
  const waiting = async () => Number((await sql(`SELECT count(*) FROM keyward.cmk WHERE state = 'PendingDeletion'`))[0].count);

  /** Keys become due until this is so. */
  async function feeding(template: string, due: string[], until: Promise<unknown>): Promise<void> {
    let isSo = false;
    const noted = until.finally(() => (isSo = true));
    while (!isSo) {
      if ((await waiting()) === 0) due.push(...(await dueKeys(template, 10)));
      await Promise.race([noted, sleep(20)]);
    }
    await noted;
  }

  it('destroy each due key once, and every one, whoever is killed or stopped wherever, and whatever the queue forgets', async () => {
    const { keyId: template } = await world.create();
    const due: string[] = [];
    for (const [times, { killedAt, stoppedAt }] of ROUNDS.entries()) {
      const [killed, stopped] = [workers[times % 3]!, workers[(times + 1) % 3]!];
      due.push(...(await dueKeys(template, ROWS)));
      const isStopped = stopped.doomed({ at: stoppedAt, by: 'SIGSTOP' });
      for (const at of killedAt) {
        await feeding(template, due, killed.doomed({ at, by: 'SIGKILL' }));
        killed.start();
      }
      await feeding(template, due, isStopped);
      await queue.forget(times);
      // What the stopped one has in its hands is done by the others, after its lock.
      while ((await waiting()) > 0) await sleep(20);
      stopped.wake();
    }
    expect(due.length).toBeGreaterThanOrEqual(ROWS * ROUNDS.length);
    const effects = await sql(
      `SELECT r.key_id, count(*)::integer AS records, min(k.state) AS state FROM keyward.trail_record r JOIN keyward.cmk k USING (tenant_id, key_id)
        WHERE r.tenant_id = $1 AND r.op = 'DestroyKey' GROUP BY 1 ORDER BY 1`,
      ACME,
    );
    expect(effects).toEqual(due.toSorted().map((key_id) => ({ key_id, records: 1, state: 'Destroyed' })));
    // The faults were there: some keys were set about more than once, and only the comparison kept the second from being an effect.
    expect(attempts.length).toBeGreaterThan(new Set(attempts).size);
    // One that woke up too late may have failed; the next look finds that nothing is left to do.
    while ((await sql('SELECT FROM keyward.job_failure')).length > 0) await sleep(20);
  }, 240_000);
});
