import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KeywardAdmin, KeywardClient } from '#sdk';
import { FakeClock, fakeTimeLibrary } from '../faults/suite/fake-clock.js';
import { foreground } from './foreground.js';
import { type Bench, type BenchOptions, percentile, type Result, rounded } from './result.js';
import { startWorld, type World } from './world.js';

const KEYS = Number(process.env['KEYWARD_BENCH_DUE_KEYS'] ?? 1000);
const DAY_S = 86_400;
/** The key plane's clock is so far behind while keys are made: that old they are now. */
const DAYS_OLD = 100;
const EVERY_DAYS = 90;

/** Keys a second that the worker rotates when all of one tenant are due at once, and what that does to the tenant's other calls. */
export const rotation: Bench = async (options) => {
  const library = await fakeTimeLibrary();
  if (library === undefined) {
    options.log('rotation: left out, no libfaketime');
    return [];
  }
  const folder = mkdtempSync(join(tmpdir(), 'kw-clock-'));
  const clock = new FakeClock(folder, 'key-plane', library);
  const world = await startWorld({ envOf: (name, env) => (name === 'key-plane' ? { ...env, ...clock.env } : env) });
  const client = new KeywardClient({ apiKey: world.apiKey, url: world.platform.urls.dataPlanes[0]! });
  try {
    return await measured(world, client, clock, options);
  } finally {
    client.close();
    await world.stop();
    rmSync(folder, { recursive: true });
  }
};

async function measured(world: World, client: KeywardClient, clock: FakeClock, { seconds, log }: BenchOptions): Promise<Result[]> {
  const worker = world.platform.processes.get('worker')!;
  worker.kill('SIGSTOP');
  clock.step(-DAYS_OLD * DAY_S);
  await dueKeys(world);
  clock.step(0);
  const before = foreground(client, world);
  await sleep(seconds * 1000);
  const without = await before.end();

  const beside = foreground(client, world);
  worker.kill('SIGCONT');
  const begun = performance.now();
  while ((await due(world)) === KEYS) await sleep(20);
  let shown = performance.now();
  for (let left = KEYS; left > 0; await sleep(100)) {
    left = await due(world);
    if (performance.now() > shown + 10_000) {
      log(`rotation: ${left} of ${KEYS} left after ${((performance.now() - begun) / 1000).toFixed(0)} s`);
      shown = performance.now();
    }
  }
  const elapsed = (performance.now() - begun) / 1000;
  const during = await beside.end();
  const [p99, p99Alone] = [percentile(during, 0.99), percentile(without, 0.99)];
  return [
    { name: 'rotation', value: rounded(KEYS / elapsed, 2), unit: 'keys/s of one tenant', inAll: KEYS },
    {
      ...{ name: 'rotation-foreground', value: rounded(p99, 2), unit: 'ms p99 of GenerateDataKey' },
      ...{ baseline: rounded(p99Alone, 2), ratio: rounded(p99 / p99Alone, 3) },
      ...{ p50Ms: rounded(percentile(during, 0.5), 2), p99Ms: rounded(p99, 2), p50MsWithout: rounded(percentile(without, 0.5), 2) },
    },
  ];
}

async function dueKeys({ platform, admin: apiKey }: World): Promise<void> {
  const admin = new KeywardAdmin({ apiKey, keyPlane: platform.urls.keyPlane });
  // One by one: each policy changes the tenant's rules.
  for (let count = 0; count < KEYS; count++) {
    const { keyId } = await admin.createKey('acme', {});
    await admin.putKeyRotation('acme', keyId, { enabled: true, intervalDays: EVERY_DAYS }, 0);
  }
}

const due = async ({ database }: World): Promise<number> =>
  Number((await database.query<{ count: string }>('SELECT count(*) FROM keyward.key_rotation WHERE next_at <= now()')).rows[0]?.count);
