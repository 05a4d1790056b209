import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { KeyId } from '#contract';
import { FakeClock, fakeTimeIsMissing, fakeTimeLibrary } from '../faults/suite/fake-clock.js';
import { KeyWorld } from '../keys/key-world.js';
import { DyingProcess } from './dying-process.js';
import type { Point } from './dying-worker.js';

const [DAY_S, HOUR_MS] = [86_400, 3_600_000];
/** By how many seconds the clocks are wrong; how long the wait must have been seen to be over. */
const WRONG: readonly { readonly database: number; readonly worker: number; readonly seenDueForMs: number }[] = [
  { database: 0, worker: DAY_S, seenDueForMs: 0 },
  { database: DAY_S, worker: 0, seenDueForMs: 0 },
  { database: DAY_S, worker: DAY_S, seenDueForMs: HOUR_MS },
];
const REFUSED = "clock: the wait is over by the database's, not by the worker's";

(fakeTimeIsMissing === undefined ? describe : describe.skip)('a key whose wait ends in half a day', () => {
  let world: KeyWorld;
  let admin: pg.Client;
  let clocks: { readonly database: FakeClock; readonly worker: FakeClock };
  let worker: DyingProcess<Point> | undefined;
  const folder = mkdtempSync(join(tmpdir(), 'kw-clocks-'));
  /** By the worker's own clock, after each look. */
  const looks: number[] = [];

  beforeAll(async () => {
    // As root, the server is another user's.
    chmodSync(folder, 0o755);
    const library = join(folder, 'faketime.so');
    copyFileSync((await fakeTimeLibrary())!, library);
    clocks = { database: new FakeClock(folder, 'database', library), worker: new FakeClock(folder, 'worker', library) };
    world = await KeyWorld.start(clocks.database.env);
    admin = await world.database.session('superuser');
  }, 180_000);
  afterAll(async () => {
    worker?.end();
    await admin?.end();
    await world?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const sql = async (text: string, ...values: unknown[]) => (await admin.query(text, values)).rows;
  const until = async (isSo: () => boolean | Promise<boolean>) => {
    while (!(await isSo())) await sleep(20);
  };
  const isNear = (at: number, seconds: number) => Math.abs(at - Date.now() - 1000 * seconds) < 1000 * (DAY_S / 4);

  async function waitingKey(): Promise<KeyId> {
    const { keyId } = await world.create();
    await world.admin('ScheduleKeyDeletion', { keyId, pendingDays: 7 });
    await sql(`UPDATE keyward.cmk SET deletion_at = now() + interval '12 hours' WHERE key_id = $1`, keyId);
    return keyId;
  }
  const stateOf = async (keyId: KeyId) => (await sql('SELECT state FROM keyward.cmk WHERE key_id = $1', keyId))[0].state;
  const failures = async () => (await sql('SELECT last_error FROM keyward.job_failure')).map(({ last_error }) => last_error);

  /** A worker that looks while both clocks are so wrong. */
  async function looking({ database, worker: own, seenDueForMs }: (typeof WRONG)[number]): Promise<void> {
    worker?.end();
    clocks.database.step(database);
    clocks.worker.step(own);
    await until(async () => isNear((await sql('SELECT clock_timestamp() AS at'))[0].at.getTime(), database));
    const settings = { databaseUrl: world.database.settings('keyward_worker').url, lockMs: 500, seenDueForMs };
    const hears = ({ lookedAt }: { lookedAt?: number }) => void (lookedAt === undefined || looks.push(lookedAt));
    worker = new DyingProcess('queue/dying-worker.js', settings, hears, clocks.worker.env);
    looks.length = 0;
    await until(() => looks.filter((at) => isNear(at, own)).length >= 5);
  }

  it('ends by no clock alone, nor by both before that was seen for long enough; only so it ends', async () => {
    const keyId = await waitingKey();
    for (const wrong of WRONG) {
      await looking(wrong);
      // Where the database says that it is due, it was tried, and told as failing.
      if (wrong.database > 0 && wrong.seenDueForMs === 0) await until(async () => (await failures()).includes(REFUSED));
      expect([wrong, await stateOf(keyId)]).toEqual([wrong, 'PendingDeletion']);
    }
    await looking({ database: 0, worker: 0, seenDueForMs: 0 });
    await until(async () => (await failures()).length === 0);
    expect(await stateOf(keyId)).toBe('PendingDeletion');
    // What no clock of these two can tell; and that whoever looks here would have seen it before.
    await looking({ database: DAY_S, worker: DAY_S, seenDueForMs: 0 });
    await until(async () => (await stateOf(keyId)) === 'Destroyed');
  }, 240_000);

  it('is held up by no lock, and no look for locks, of a worker that was ahead and died', async () => {
    const [soon, ahead] = [Date.now() + 1000, Date.now() + 3000 * DAY_S];
    for (const [id, until_ms] of Object.entries({ soon, ahead }))
      await sql(
        `INSERT INTO keyward_queue.job (queue, id, seq, name, state, data, opts, added_at_ms, locked_until_ms)
          VALUES ('test', $1, 1, 'a', 'active', '{}', '{}', 0, $2)`,
        ...[id, until_ms],
      );
    await sql(`INSERT INTO keyward_queue.meta (queue, field, value) VALUES ('test', 'stalled-check', $1)`, String(Date.now()));
    expect(await sql(`SELECT field FROM keyward_queue.meta WHERE queue = 'test'`)).toEqual([]);
    expect(await sql(`SELECT id, locked_until_ms FROM keyward_queue.job WHERE queue = 'test' ORDER BY id`)).toEqual([
      { id: 'ahead', locked_until_ms: '0' },
      { id: 'soon', locked_until_ms: String(soon) },
    ]);
  });
});
