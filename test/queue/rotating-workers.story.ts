import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { KeyDescription } from '#contract';
import { type BoundRow, KeywardError, Permit, type RotationOrder } from '#core';
import { FakeClock, fakeTimeLibrary } from '../faults/suite/fake-clock.js';
import { ACME, GLOBEX, KeyWorld } from '../keys/key-world.js';
import { DyingProcess } from './dying-process.js';
import { RedisServer, redisIsMissing } from './redis-server.js';
import type { RotationPoint } from './rotating-worker.js';

const KEYS = Number(process.env['KEYWARD_TEST_DUE_KEYS'] ?? 60);
jest.setTimeout(240_000 + 2000 * KEYS);
const LOCK_MS = 1500;
const DAY_S = 86_400;
/** Who is stopped has a job in hands; who is killed may be anywhere. */
const ROUNDS: readonly { readonly killedAt: RotationPoint; readonly stoppedAt: RotationPoint; readonly databaseIsWrongBy: number }[] = [
  { killedAt: 'looked', stoppedAt: 'read', databaseIsWrongBy: 0 },
  { killedAt: 'before-custody', stoppedAt: 'before-effect', databaseIsWrongBy: 0 },
  { killedAt: 'before-effect', stoppedAt: 'after-effect', databaseIsWrongBy: DAY_S },
  { killedAt: 'after-effect', stoppedAt: 'before-custody', databaseIsWrongBy: -DAY_S },
  { killedAt: 'told', stoppedAt: 'queued', databaseIsWrongBy: 0 },
];
/** Of each worker's clock, in seconds. */
const WRONG_BY = [0, DAY_S, -DAY_S];

interface Asked {
  readonly id?: string;
  readonly call?: 'capabilities' | 'checkBindings' | 'rotateKey';
  readonly args?: readonly unknown[];
  readonly rotates?: readonly string[];
}

(redisIsMissing === undefined ? describe : describe.skip)(`three workers and ${KEYS} keys that are due`, () => {
  let world: KeyWorld;
  let admin: pg.Client;
  let redis: RedisServer;
  let clock: FakeClock | undefined;
  let workers: readonly DyingProcess<RotationPoint>[] = [];
  const folder = mkdtempSync(join(tmpdir(), 'kw-clocks-'));
  let isRight = true;
  /** Of every life of each: how often it set about to rotate a key. */
  const attempts: string[] = [];

  beforeAll(async () => {
    // As root, the server is another user's.
    chmodSync(folder, 0o755);
    const found = await fakeTimeLibrary();
    const library = join(folder, 'faketime.so');
    if (found !== undefined) copyFileSync(found, library);
    const clockOf = (name: string) => (found === undefined ? undefined : new FakeClock(folder, name, library));
    clock = clockOf('database');
    world = await KeyWorld.start(clock?.env);
    admin = await world.database.session('superuser');
    // A log's time never goes back: once the clock was a day ahead, what ends within a day has ended.
    await admin.query(`UPDATE keyward.credential SET expires_at = now() + interval '9 days'`);
    world.credentialsLastMs = 9 * DAY_S * 1000;
    redis = await RedisServer.start();
    const databaseUrl = world.database.settings('keyward_worker').url;
    const settings = { databaseUrl, redisUrl: redis.url, lockMs: LOCK_MS };
    workers = WRONG_BY.map((seconds, index) => {
      const own = clockOf(`worker-${index}`);
      own?.step(seconds);
      return new DyingProcess('queue/rotating-worker.js', settings, hears, own?.env);
    });
  }, 180_000);
  afterAll(async () => {
    for (const worker of workers) worker.end();
    await admin?.end();
    await redis?.stop();
    await world?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  function hears({ id, call, args = [], rotates }: Asked, answer: (message: object) => void): void {
    if (rotates !== undefined) attempts.push(...rotates);
    if (call === undefined) return;
    const { custody } = world;
    const rotate = (order: RotationOrder) => {
      const { versionId, primary } = order;
      return custody.rotateKey(new Permit({ operation: 'CreateKeyVersion', tenant: primary.tenant, versionId }), order);
    };
    const doing: Promise<unknown> =
      call === 'rotateKey'
        ? rotate(args[0] as RotationOrder)
        : call === 'checkBindings'
          ? custody.checkBindings(args[0] as BoundRow[])
          : custody.capabilities();
    void doing.then((result) => answer({ answers: id, result }));
  }

  const sql = async (text: string, ...values: unknown[]) => (await admin.query(text, values)).rows;
  const waiting = async () => Number((await sql('SELECT count(*) FROM keyward.key_rotation WHERE next_at <= clock_timestamp()'))[0].count);

  const keys: KeyDescription[] = [];
  /** As the SDK does: what came between two changes of the rules is asked again. */
  const settled = async <Answer>(ask: () => Promise<Answer>): Promise<Answer> => {
    for (;;)
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof KeywardError && error.code === 'unavailable')) throw error;
      }
  };
  async function dueKeys(count: number): Promise<void> {
    for (let made = 0; made < count; made++) keys.push(await settled(() => world.rotating(100, 90, made % 2 === 0 ? ACME : GLOBEX)));
  }
  /** Seen by the database: else nothing here would be about clocks. */
  async function stepped(seconds: number): Promise<void> {
    if (clock === undefined || (seconds === 0 && isRight)) return;
    isRight = false;
    clock.step(seconds);
    const wrongBy = async () => ((await sql('SELECT clock_timestamp() AS at'))[0].at.getTime() - Date.now()) / 1000;
    while (Math.abs((await wrongBy()) - seconds) > DAY_S / 2) await sleep(50);
    // Other sessions of the server see it within a second of their own.
    if (seconds === 0) await sleep(1500);
    isRight = seconds === 0;
  }

  /** Keys become due until this is so. */
  async function feeding(until: Promise<unknown>): Promise<void> {
    let isSo = false;
    const noted = until.finally(() => (isSo = true));
    while (!isSo) {
      if ((await waiting()) === 0) await dueKeys(4);
      await Promise.race([noted, sleep(20)]);
    }
    await noted;
  }
  /** Of a key that is rotated meanwhile or not: old ciphertexts open, new ones are made and open. Answers what did not. */
  async function using(isOver: () => boolean): Promise<string[]> {
    const refused: string[] = [];
    const old: Uint8Array[] = [];
    for (let at = 0; !isOver(); at++, await sleep(10)) {
      const key = keys[(at * 37) % Math.max(1, keys.length)];
      const tenant = keys.indexOf(key!) % 2 === 0 ? ACME : GLOBEX;
      if (key === undefined || tenant !== ACME) continue;
      const wasRight = isRight;
      try {
        const made = await world.service('GenerateDataKeyWithoutPlaintext', { keyId: key.keyId });
        if ('ciphertext' in made) old.push(made.ciphertext);
        await world.service('Decrypt', { ciphertext: Buffer.from(old[(at * 53) % old.length]!) });
      } catch (error) {
        // A rotation that came in between twice: as the SDK does, it is asked again.
        if (!(error instanceof KeywardError && error.code === 'unavailable') && wasRight && isRight) refused.push(String(error));
      }
    }
    return refused;
  }

  it('give each exactly one version, whoever is killed or stopped wherever, whatever Redis forgets, and however wrong clocks are', async () => {
    let isOver = false;
    const refused = using(() => isOver);
    for (const [times, { killedAt, stoppedAt, databaseIsWrongBy }] of ROUNDS.entries()) {
      const [killed, stopped] = [workers[times % 3]!, workers[(times + 1) % 3]!];
      await dueKeys(Math.ceil(KEYS / ROUNDS.length));
      await stepped(databaseIsWrongBy);
      const isStopped = stopped.doomed({ at: stoppedAt, by: 'SIGSTOP' });
      const isKilled = killed.doomed({ at: killedAt, by: 'SIGKILL' });
      if (databaseIsWrongBy !== 0) {
        // While it is wrong no credential counts for sure: what is due then is done, and then goes on at the right time.
        const isDone = async () => {
          while ((await waiting()) > 0) await sleep(20);
        };
        await Promise.race([Promise.all([isKilled, isStopped]), isDone()]);
        await stepped(0);
      }
      await feeding(isKilled);
      killed.start();
      await feeding(isStopped);
      await (times % 2 === 0 ? redis.flush() : redis.down().then(() => redis.up()));
      // What the stopped one has in its hands is done by the others, after its lock.
      while ((await waiting()) > 0) await sleep(20);
      stopped.wake();
    }
    isOver = true;
    expect(await refused).toEqual([]);
    expect(keys.length).toBeGreaterThanOrEqual(KEYS);
    const found = await sql(
      `SELECT k.key_id, count(DISTINCT v.version_id)::integer AS versions, count(DISTINCT r.seq)::integer AS records,
          bool_and(k.primary_version >= v.version_id) AS newest
        FROM keyward.cmk k JOIN keyward.key_rotation p USING (tenant_id, key_id) JOIN keyward.key_version v USING (tenant_id, key_id)
        LEFT JOIN keyward.trail_record r ON r.tenant_id = k.tenant_id AND r.key_id = k.key_id AND r.op = 'RotateKey'
        GROUP BY 1 ORDER BY 1`,
    );
    expect(found).toEqual(
      keys
        .map(({ keyId: key_id }) => ({ key_id, versions: 2, records: 1, newest: true }))
        .toSorted((a, b) => (a.key_id < b.key_id ? -1 : 1)),
    );
    // The faults were there: some keys were set about more than once, and only the comparison kept the second from being a version.
    expect(attempts.length).toBeGreaterThan(new Set(attempts).size);
    while ((await sql('SELECT FROM keyward.job_failure')).length > 0) await sleep(20);
  });
});
