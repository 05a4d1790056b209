import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Appender } from '#persistence';
import { anEntry, epochsOf, TestDatabase, type TestTenant } from '../../libs/persistence/test-database.js';

const DISK = '192m';
const LEFT_BYTES = 24 * 1024 * 1024;
const CLIENTS = 64;

/** A disk of its own, so that a full one is nobody else's. @throws Error: only root may mount, and a full disk that nobody saw proves nothing */
function mounted(): string {
  const path = mkdtempSync(join(tmpdir(), 'kw-full-'));
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK}`, 'keyward-test', path], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`A small disk is needed: run as root, who may mount a tmpfs (${stderr.trim()}).`);
  chmodSync(path, 0o711);
  return path;
}

describe('a full disk', () => {
  let path: string;
  let database: TestDatabase;
  let appender: Appender;
  let acme: TestTenant;

  beforeAll(async () => {
    path = mounted();
    database = await TestDatabase.start(join(path, 'data'));
    acme = (await database.addTenants('platform', 'acme')).get('acme')!;
    appender = new Appender(database.settings('keyward_data_plane'));
  }, 120_000);
  afterAll(async () => {
    await appender?.close();
    await database?.stop();
    spawnSync('umount', ['-l', path]);
    rmSync(path, { recursive: true, force: true });
  }, 60_000);

  it('lets nothing succeed, loses nothing that did, and needs no restart of ours when it has room again', async () => {
    const epochs = await database.as('superuser', (client) => epochsOf(client, 'acme'));
    const acknowledged = new Set<string>();
    let [durableAt, rejected, running] = [performance.now(), 0, true];
    const caller = async () => {
      while (running) {
        const entry = anEntry(acme, epochs);
        try {
          await appender.append(entry);
          acknowledged.add(entry.body.id);
          durableAt = performance.now();
        } catch {
          rejected++;
          await sleep(20);
        }
      }
    };
    const callers = Array.from({ length: CLIENTS }, caller);
    const until = async (holds: () => boolean) => {
      const deadline = performance.now() + 90_000;
      for (; !holds(); await sleep(50)) if (performance.now() > deadline) throw new Error('It did not come to pass.');
    };

    await until(() => acknowledged.size > 1000);
    const { bavail, bsize } = statfsSync(path);
    const filler = join(path, 'filler');
    writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize - LEFT_BYTES)));
    await until(() => rejected > CLIENTS && performance.now() - durableAt > 3000);
    const before = { acknowledged: acknowledged.size, rejected };
    await sleep(2000);
    expect(acknowledged.size).toBe(before.acknowledged);
    expect(rejected).toBeGreaterThan(before.rejected);

    rmSync(filler);
    await until(() => acknowledged.size > before.acknowledged + 100);
    running = false;
    await Promise.all(callers);

    const { rows } = await database.as('superuser', (client) =>
      client.query<{ id: string; times: string }>(
        `SELECT convert_from(bytes, 'UTF8')::json ->> 'id' AS id, count(*) AS times FROM keyward.trail_record GROUP BY 1`,
      ),
    );
    const recorded = new Map(rows.map(({ id, times }) => [id, Number(times)]));
    expect([...acknowledged].filter((id) => recorded.get(id) !== 1)).toEqual([]);
    expect([...recorded.values()].every((times) => times === 1)).toBe(true);
  }, 240_000);
});
