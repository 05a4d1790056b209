import { setTimeout as sleep } from 'node:timers/promises';
import { must } from '../stories/api.js';
import { type Onboarded, onboarded } from '../stories/onboarded.js';
import { signedSize } from '../stories/signed.js';
import { childrenOf } from './children-of.js';
import { type Load, type Outcome, startLoad } from './load.js';
import { seeded } from './random.js';
import { trailOf } from './trail-of.js';

const SEED = Number(process.env['KEYWARD_TEST_SEED'] ?? 20260101);
const KILLS = 50;
const CLIENTS = 48;

/**
 * Promise 3 under kill -9: every answer that a client got has exactly one success record with its request id.
 * A record without an answer is allowed (the answer was lost on its way), an answer without a record never is.
 */
describe(`no record, no answer (seed ${SEED})`, () => {
  let world: Onboarded;
  const random = seeded(SEED);

  beforeAll(async () => {
    world = await onboarded({ dataPlanes: 2 });
  }, 180_000);
  afterAll(() => world?.stop(), 60_000);

  const answered = (outcomes: readonly Outcome[]) => outcomes.filter(({ status }) => status === 200);

  async function expectOneRecordEach(outcomes: readonly Outcome[]): Promise<void> {
    const successes = new Map<string, number>();
    for (const { outcome, requestId } of await trailOf(world.platform.superuserUrl, 'acme'))
      if (outcome === 'succeeded') successes.set(requestId, (successes.get(requestId) ?? 0) + 1);
    const wrong = answered(outcomes).filter(({ requestId }) => successes.get(requestId ?? '') !== 1);
    expect(wrong.map(({ requestId }) => `${requestId}: ${successes.get(requestId ?? '') ?? 0} records`)).toEqual([]);
  }

  /** The custodian's child holds the HSM; its parent brings it back. Every third kill hits the parent itself. */
  function kill9(name: string): void {
    const supervised = world.platform.processes.get(name);
    const child = name === 'custodian' && random() < 0.67 ? childrenOf(supervised?.pid)[0] : undefined;
    if (child !== undefined) process.kill(child, 'SIGKILL');
    else supervised?.kill('SIGKILL');
  }

  async function recovered(isBack: () => boolean | Promise<boolean>): Promise<void> {
    const deadline = performance.now() + 60_000;
    while (!(await isBack())) {
      if (performance.now() > deadline) throw new Error('It did not recover within 60 s.');
      await sleep(20);
    }
  }

  const untilAnswered = (load: Load, since: number) =>
    recovered(() => load.outcomes.some(({ status, sentAt }) => status === 200 && sentAt > since));

  it.each(['data-plane', 'custodian'])(
    `survives ${KILLS} kill -9 of the %s with ≥ 32 calls in flight`,
    async (victim) => {
      const load = startLoad(world.platform.urls.dataPlanes, world.billing, CLIENTS);
      await untilAnswered(load, 0);
      for (let kill = 0; kill < KILLS; kill++) {
        await sleep(100 + random() * 300);
        while (load.inFlight() < 32) await sleep(5);
        kill9(victim === 'data-plane' ? `data-plane-${1 + Math.floor(random() * 2)}` : victim);
        await untilAnswered(load, performance.now());
      }
      await load.stop();
      expect(answered(load.outcomes).length).toBeGreaterThan(KILLS);
      await expectOneRecordEach(load.outcomes);
    },
    600_000,
  );

  it('is complete, and signed to its end, after SIGSTOP and kill -9 of every process in turn', async () => {
    const { processes, postgres } = world.platform;
    expect([...processes.keys()].sort()).toEqual(['auditor', 'custodian', 'data-plane-1', 'data-plane-2', 'key-plane', 'worker']);
    const load = startLoad(world.platform.urls.dataPlanes, world.billing, CLIENTS);
    await untilAnswered(load, 0);
    for (const victim of [...processes.values(), postgres]) {
      const stopped = [victim.pid!, ...childrenOf(victim.pid)];
      for (const pid of stopped) process.kill(pid, 'SIGSTOP');
      await sleep(200 + random() * 1500);
      for (const pid of stopped) resume(pid);
      await untilAnswered(load, performance.now());
      const killed = victim.pid;
      victim.kill('SIGKILL');
      await recovered(() => victim.pid !== undefined && victim.pid !== killed);
      await untilAnswered(load, performance.now());
    }
    await load.stop();
    await expectOneRecordEach(load.outcomes);
    const records = await trailOf(world.platform.superuserUrl, 'acme');
    await signedSize(world, 'acme', records.length);
  }, 300_000);

  it('survives PostgreSQL killed and restarted', async () => {
    const load = startLoad(world.platform.urls.dataPlanes, world.billing, CLIENTS);
    await untilAnswered(load, 0);
    for (let kill = 0; kill < 3; kill++) {
      const killed = world.platform.postgres.pid;
      world.platform.postgres.kill('SIGKILL');
      // Backends outlive their first process for a moment and go on answering: a new one first, then an answer.
      await recovered(() => world.platform.postgres.pid !== killed);
      await untilAnswered(load, performance.now());
    }
    await load.stop();
    expect(load.outcomes.some(({ status }) => status === 503)).toBe(true);
    await expectOneRecordEach(load.outcomes);
  }, 180_000);

  it.each(['postgres', 'custodian'] as const)(
    'answers 503 while %s stands still, and again 200 afterwards, without a restart',
    async (part) => {
      const plane = world.platform.urls.dataPlanes[0]!;
      const generate = () =>
        must(plane, world.billing, 'POST', '/v1/tenants/acme/data-keys', {
          keyId: 'alias/invoices',
          encryptionContext: { purpose: 'invoice' },
        });
      await generate();
      const before = world.platform.processes.get('data-plane-1')?.pid;
      const paused =
        part === 'postgres'
          ? [world.platform.postgres.pid!, ...childrenOf(world.platform.postgres.pid)]
          : childrenOf(world.platform.processes.get(part)?.pid);
      for (const pid of paused) process.kill(pid, 'SIGSTOP');
      await expect(generate()).rejects.toThrow(/ 503 /);
      for (const pid of paused) resume(pid);
      await recovered(() =>
        generate().then(
          () => true,
          () => false,
        ),
      );
      expect(world.platform.processes.get('data-plane-1')?.pid).toBe(before);
    },
    120_000,
  );
});

/** It may have been replaced meanwhile, which is the point. */
function resume(pid: number): void {
  try {
    process.kill(pid, 'SIGCONT');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
