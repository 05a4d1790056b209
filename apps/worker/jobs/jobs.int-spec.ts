import { CustodyUnavailable, type Due } from '#core';
import { jobsAnswer, type TenantId } from '#contract';
import { openWorkerStore, type WorkerStore } from '#persistence';
import { TestDatabase } from '../../../libs/persistence/test-database.js';
import { type JobKind, NotNow, WHOLE } from './job-kind.js';
import { type Job, Jobs } from './jobs.js';

const ROW: Due = { tenant: 'acme' as TenantId, subject: 'row' };

describe('what is done by the clock', () => {
  let database: TestDatabase;
  let store: WorkerStore;
  let names = 0;

  beforeAll(async () => {
    database = await TestDatabase.start();
    await database.addTenants('platform', 'acme');
    store = await openWorkerStore(database.settings('keyward_worker'));
  });
  afterAll(async () => {
    await store?.close();
    await database.stop();
  });

  const sql = (text: string, ...values: unknown[]) => database.as('superuser', async (client) => (await client.query(text, values)).rows);

  /** A kind of its own, whose jobs are run at once. */
  function aWorker({ everyMs = 0, pausesMs = [300_000], ...parts }: Partial<JobKind> & { pausesMs?: number[] } = {}) {
    const name = `kind-${++names}`;
    const ran: Due[] = [];
    const kind: JobKind = { name, everyMs, run: async (of) => void ran.push(of), ...parts };
    const told: object[] = [];
    const jobs = new Jobs({ kinds: [kind], ledger: store.jobs, log: { error: (fields) => void told.push(fields) }, pausesMs });
    const found: Job[] = [];
    const queue = {
      add: async (added: readonly Job[]) => {
        found.push(...added);
        for (const job of added) await jobs.run(job);
      },
    };
    const ledger = async () => {
      const [row] = await sql('SELECT looked_at IS NOT NULL AS looked, done FROM keyward.job_kind WHERE kind = $1', name);
      const failures = await sql('SELECT tenant_id, subject, failures, last_error FROM keyward.job_failure WHERE kind = $1', name);
      return { ...row, failures };
    };
    const run = async (of: Due) => {
      await store.jobs.claim([kind]);
      await jobs.run({ kind: name, ...of });
    };
    return { name, ran, found, told, ledger, look: () => jobs.look(queue), run };
  }

  it('is looked for at its own rhythm, by whoever of several workers asks first', async () => {
    const worker = aWorker({ everyMs: 3_600_000 });
    await Promise.all(Array.from({ length: 5 }, () => worker.look()));
    await worker.look();
    expect(worker.ran).toEqual([WHOLE]);
    expect(await worker.ledger()).toEqual({ looked: true, done: '1', failures: [] });
  });

  it('is looked for again when the clock was set back behind the last look', async () => {
    const worker = aWorker({ everyMs: 3_600_000 });
    await worker.look();
    await sql(`UPDATE keyward.job_kind SET next_at = next_at + interval '1 day' WHERE kind = $1`, worker.name);
    await worker.look();
    expect(worker.ran).toHaveLength(2);
  });

  it('becomes one job for each row that is due, which says its name and nothing else', async () => {
    const rows = ['a', 'b'].map((subject) => ({ ...ROW, subject }));
    const worker = aWorker({ due: async () => rows });
    await worker.look();
    expect(worker.found).toEqual(rows.map((row) => ({ kind: worker.name, ...row })));
    expect(worker.ran).toEqual(rows);
  });

  it('is written down when it fails, in words of ours, and forgotten when it succeeds', async () => {
    const errors = [new CustodyUnavailable('no session'), new Error('select * from keyward.key_version')];
    const worker = aWorker({ run: () => Promise.reject(errors.shift()!) });
    await worker.run(ROW);
    expect((await worker.ledger()).failures).toEqual([
      { tenant_id: 'acme', subject: 'row', failures: 1, last_error: 'custody: no session' },
    ]);
    await worker.run(ROW);
    expect((await worker.ledger()).failures).toMatchObject([{ failures: 2, last_error: 'internal' }]);
    expect(worker.told).toHaveLength(2);
    const healed = new Jobs({
      kinds: [{ name: worker.name, everyMs: 0, run: async () => undefined }],
      ledger: store.jobs,
      log: { error: () => undefined },
    });
    await healed.run({ kind: worker.name, ...ROW });
    expect(await worker.ledger()).toMatchObject({ done: '1', failures: [] });
  });

  it('hears nothing of a job that tried nothing: what failed before failed still', async () => {
    const errors = [new Error(), new NotNow()];
    const worker = aWorker({ run: () => Promise.reject(errors.shift()!) });
    for (let times = 0; times < 2; times++) await worker.run(ROW);
    expect(await worker.ledger()).toMatchObject({ done: '0', failures: [{ failures: 1 }] });
  });

  it('rests after a failure, longer each time, and no longer than ten minutes whatever the clock did', async () => {
    const rests = async (name: string) => (await sql(`SELECT keyward.job_rests($1, 'acme', 'row') AS rests`, name))[0].rests;
    const worker = aWorker({ run: () => Promise.reject(new Error()), pausesMs: [1000, 60_000] });
    const pauses = [];
    for (let failure = 0; failure < 3; failure++) {
      await worker.run(ROW);
      const [{ pause }] = await sql(
        `SELECT round(extract(epoch FROM next_attempt_at - clock_timestamp())) AS pause FROM keyward.job_failure WHERE kind = $1`,
        worker.name,
      );
      pauses.push(Number(pause));
    }
    expect(pauses[0]).toBeLessThanOrEqual(1);
    expect(pauses.slice(1).every((pause) => pause > 30 && pause <= 60)).toBe(true);
    expect(await rests(worker.name)).toBe(true);
    for (const over of [`- interval '1 second'`, `+ interval '11 minutes'`]) {
      await sql(`UPDATE keyward.job_failure SET next_attempt_at = clock_timestamp() ${over} WHERE kind = $1`, worker.name);
      expect(await rests(worker.name)).toBe(false);
    }
  });

  it('keeps no other kind waiting when its look fails, and rests as a whole', async () => {
    let healthy = false;
    const worker = aWorker({
      due: async () => {
        if (!healthy) throw new CustodyUnavailable('gone');
        return [ROW];
      },
    });
    await worker.look();
    await worker.look();
    expect((await worker.ledger()).failures).toMatchObject([{ tenant_id: 'platform', subject: '', failures: 1 }]);
    healthy = true;
    await sql('UPDATE keyward.job_failure SET next_attempt_at = now() WHERE kind = $1', worker.name);
    await worker.look();
    expect(worker.ran).toEqual([ROW]);
    expect((await worker.ledger()).failures).toEqual([]);
  });

  it('keeps no other kind waiting when the queue does not take it, and is looked for again soon', async () => {
    const [late, fine] = [`kind-${++names}`, `kind-${++names}`];
    const kinds = [late, fine].map((name) => ({ name, everyMs: 3_600_000, due: async () => [ROW], run: async () => undefined }));
    const jobs = new Jobs({ kinds, ledger: store.jobs, log: { error: () => undefined }, pausesMs: [0] });
    const added: string[] = [];
    const queue = (refused?: string) => ({
      add: async ([job]: readonly Job[]) => {
        if (job!.kind === refused) throw new Error('late');
        added.push(job!.kind);
      },
    });
    await jobs.look(queue(late));
    expect(added).toEqual([fine]);
    await jobs.look(queue());
    expect(added).toEqual([fine, late]);
  });

  it('is no failure any more when somebody else did it, or it is not due any more', async () => {
    let runs = 0;
    const run = () => (runs++ === 0 ? Promise.reject(new Error()) : Promise.resolve());
    const worker = aWorker({ due: () => Promise.resolve([]), run, pausesMs: [0] });
    await worker.run(ROW);
    expect((await worker.ledger()).failures).toHaveLength(1);
    await worker.look();
    expect(worker.found).toEqual([{ kind: worker.name, ...ROW }]);
    expect((await worker.ledger()).failures).toEqual([]);
  });

  it('is one list: to a tenant what fails of its own, to operators how much fails and was done in all', async () => {
    const worker = aWorker({
      run: ({ subject }) => (subject === 'well' ? Promise.resolve() : Promise.reject(new CustodyUnavailable('gone'))),
    });
    await worker.run(ROW);
    await worker.run({ ...ROW, subject: 'well' });
    await database.as('keyward_key_plane', async (client) => {
      const listed = async (tenant: string) => {
        const { rows } = await client.query('SELECT keyward.jobs_of($1) AS items', [tenant]);
        return jobsAnswer.parse(rows[0]).items.find(({ kind }) => kind === worker.name);
      };
      const failures = [{ subject: 'row', failures: 1, lastError: 'custody: gone' }];
      expect(await listed('acme')).toMatchObject({ failing: 1, failures, nextAt: expect.any(String) });
      expect(await listed('acme')).not.toHaveProperty('done');
      expect(await listed('globex')).toMatchObject({ failing: 0, failures: [] });
      expect(await listed('platform')).toMatchObject({ failing: 1, failures: [], done: 1, doneAt: expect.any(String) });
    });
  });

  it('is left to others when its kind is not known here', async () => {
    const worker = aWorker();
    const jobs = new Jobs({ kinds: [], ledger: store.jobs, log: { error: () => undefined } });
    await expect(jobs.run({ kind: worker.name, ...ROW })).resolves.toBeUndefined();
    expect(worker.ran).toEqual([]);
  });
});
