import type { TenantId } from '#contract';
import { Engine, type EngineUrl } from '../../apps/worker/jobs/engine.js';
import type { Job } from '../../apps/worker/jobs/jobs.js';
import { TestDatabase } from '../../libs/persistence/test-database.js';
import { RedisServer, redisIsMissing } from './redis-server.js';

interface Place {
  readonly at: EngineUrl;
  /** Loses every job. */
  empty(): Promise<void>;
  stop(): Promise<void>;
}

const PLACES: Record<string, () => Promise<Place>> = {
  PostgreSQL: async () => {
    const database = await TestDatabase.start();
    const empty = () => database.as('superuser', async (client) => void (await client.query('DELETE FROM keyward_queue.job')));
    return { at: { databaseUrl: database.settings('keyward_worker').url }, empty, stop: () => database.stop() };
  },
  Redis: async () => {
    const redis = await RedisServer.start();
    return { at: { redisUrl: redis.url }, empty: () => redis.flush(), stop: () => redis.stop() };
  },
};

const job = (subject: string): Job => ({ kind: 'count', tenant: 'acme' as TenantId, subject });
const jobs = (count: number) => Array.from({ length: count }, (_, n) => job(`row-${n}`));

describe.each(Object.entries(PLACES))('the queue in %s', (name, open) => {
  if (name === 'Redis' && redisIsMissing !== undefined) {
    it.skip(redisIsMissing, () => undefined);
    return;
  }
  let place: Place;
  const engines: Engine[] = [];
  const errors: object[] = [];

  beforeAll(async () => {
    place = await open();
  }, 180_000);
  afterEach(async () => {
    await Promise.all(engines.splice(0).map((engine) => engine.close()));
    await place.empty();
  });
  afterAll(() => place?.stop());

  async function start(run: (job: Job) => Promise<void>): Promise<Engine> {
    const engine = await Engine.start({ at: place.at, run, log: { error: (fields) => void errors.push(fields) } });
    engines.push(engine);
    return engine;
  }
  async function until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  it('runs each job once, whichever of several workers takes it, however often it is added meanwhile', async () => {
    const ran: string[] = [];
    const held = Promise.withResolvers<void>();
    const run = async ({ subject }: Job) => {
      ran.push(subject);
      await held.promise;
    };
    const [first] = await Promise.all([start(run), start(run), start(run)]);
    for (let look = 0; look < 3; look++) await first.add(jobs(100));
    held.resolve();
    await until(() => ran.length >= 100);
    // Whatever was added twice would be there before this one.
    await first.add([job('last')]);
    await until(() => ran.includes('last'));
    expect(ran.toSorted()).toEqual([...jobs(100).map(({ subject }) => subject), 'last'].toSorted());
  });

  it('takes the same job again when it has ended, well or not', async () => {
    let runs = 0;
    const engine = await start(async () => {
      runs += 1;
      if (runs % 2 === 0) throw new Error('not this time');
    });
    for (let times = 1; times <= 6; times++) {
      // It is over for the queue a moment after it is over for us.
      while (runs < times) await engine.add([job('again')]);
    }
    expect(runs).toBeGreaterThanOrEqual(6);
  });

  it('hands over what a job says, and nothing else', async () => {
    const ran: Job[] = [];
    const engine = await start(async (one) => void ran.push(one));
    await engine.add([
      { kind: 'destroy-key', tenant: 'acme' as TenantId, subject: 'key_01jd00000000000000000000aa' },
      { kind: 'rotate-root', tenant: 'globex' as TenantId, subject: 'root' },
    ]);
    await until(() => ran.length === 2);
    expect(ran.toSorted((a, b) => a.kind.localeCompare(b.kind))).toEqual([
      { kind: 'destroy-key', tenant: 'acme', subject: 'key_01jd00000000000000000000aa' },
      { kind: 'rotate-root', tenant: 'globex', subject: 'root' },
    ]);
  });

  it('goes on after it has lost everything', async () => {
    const ran = new Set<string>();
    const engine = await start(async ({ subject }) => void ran.add(subject));
    await engine.add(jobs(50));
    await place.empty();
    while (ran.size < 50) await engine.add(jobs(50).filter(({ subject }) => !ran.has(subject)));
    expect(ran.size).toBe(50);
  });

  it('waits for the job under way when it closes, and takes no other', async () => {
    const [started, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let ended = false;
    const engine = await start(async () => {
      started.resolve();
      await held.promise;
      ended = true;
    });
    await engine.add([job('slow')]);
    await started.promise;
    const closed = engines.pop()!.close();
    held.resolve();
    await closed;
    expect(ended).toBe(true);
  });
});
