import { trailRecord } from '#contract';
import { openWorkerStore, type WorkerStore } from '#persistence';
import { aRecord, MAC, TestDatabase, type TestTenant } from '../../libs/persistence/test-database.js';
import { warnOfExpiry } from './expiry-warnings.js';
import { reportJobs } from './job-reports.js';
import type { JobKind } from './jobs/job-kind.js';

const KEY = 'key_01jdsz0000e008000000000001';

describe('what the worker tells tenants of itself', () => {
  let database: TestDatabase;
  let acme: TestTenant;
  let workers: WorkerStore[];

  beforeAll(async () => {
    database = await TestDatabase.start();
    acme = (await database.addTenants('platform', 'acme', 'newcomer')).get('acme')!;
    workers = await Promise.all([1, 2, 3].map(() => openWorkerStore(database.settings('keyward_worker'))));
    await sql(`UPDATE keyward.tenant_head SET size = 1 WHERE tenant_id <> 'newcomer'`);
    await workers[0]!.jobs.claim([{ name: 'rotate-key', everyMs: 1000 }]);
  });
  afterAll(async () => {
    await Promise.all(workers?.map((worker) => worker.close()) ?? []);
    await database.stop();
  });

  const sql = async (text: string, ...values: unknown[]) =>
    await database.as('superuser', async (client) => (await client.query(text, values)).rows);
  const recorded = async (op: string) =>
    (await sql('SELECT tenant_id, bytes FROM keyward.trail_record WHERE op = $1 ORDER BY tenant_id, seq', op)).map(
      ({ tenant_id: tenant, bytes }: { tenant_id: string; bytes: Buffer }) => ({
        tenant,
        ...trailRecord.parse(JSON.parse(bytes.toString())),
      }),
    );
  const changes = async (op: string) => (await recorded(op)).map(({ tenant, change }) => [tenant, change]);
  /** All that is due, by three workers at once. */
  async function everywhere(kindOf: (worker: WorkerStore) => JobKind): Promise<void> {
    const kinds = workers.map(kindOf);
    const due = await kinds[0]!.due!();
    await Promise.all(kinds.map(async (kind) => Promise.all(due.map((of) => kind.run(of, jest.fn())))));
    // Whoever's head was held tells it at the next look.
    for (const of of await kinds[0]!.due!()) await kinds[0]!.run(of, jest.fn());
  }
  const report = () => everywhere((worker) => reportJobs({ alerts: worker.notices }));
  const warn = () => everywhere((worker) => warnOfExpiry({ warnings: worker.notices }));

  describe('of a job that fails', () => {
    const of = { tenant: acme?.tenant, subject: KEY };
    const fail = async (times: number, tenant = 'acme', subject = KEY) => {
      for (let time = 0; time < times; time++)
        await workers[0]!.jobs.failed('rotate-key', { ...of, tenant: tenant as TestTenant['tenant'], subject }, 'custody: no session', [0]);
    };
    const works = () => workers[0]!.jobs.done('rotate-key', { tenant: acme.tenant, subject: KEY });

    it('is nothing while a restart may mend it', async () => {
      await fail(4);
      await report();
      expect(await recorded('JobFailing')).toEqual([]);
    });

    it('is one record, whoever tells it and however often it fails', async () => {
      for (let time = 0; time < 3; time++) {
        await fail(1);
        await report();
      }
      const change = { kind: 'rotate-key', subject: KEY, failures: 5, failingSince: expect.any(String) };
      expect(await recorded('JobFailing')).toEqual([
        expect.objectContaining({
          ...{ tenant: 'acme', outcome: 'failed', key: { id: KEY }, change },
          error: { code: 'unavailable', reason: 'custody: no session' },
        }),
      ]);
      expect(await recorded('JobRecovered')).toEqual([]);
    });

    it('is told once more when it works again, and again when it fails anew', async () => {
      await works();
      await report();
      await report();
      expect(await changes('JobRecovered')).toEqual([['acme', { kind: 'rotate-key', subject: KEY, failingSince: expect.any(String) }]]);
      await fail(5);
      await report();
      expect(await recorded('JobFailing')).toHaveLength(2);
      // Between two looks it worked and failed anew: the first time is over.
      await works();
      await fail(1);
      await report();
      expect(await recorded('JobRecovered')).toHaveLength(2);
    });

    it('is told of the platform in its own log, and of a log that has not begun in none', async () => {
      for (const tenant of ['platform', 'newcomer']) await fail(5, tenant, '');
      await report();
      const platform = (await recorded('JobFailing')).filter(({ tenant }) => tenant !== 'acme');
      expect(platform.map(({ tenant, change }) => [tenant, change?.['subject']])).toEqual([['platform', undefined]]);
    });

    it('is what no rule came in between of: else the next look tells it', async () => {
      await fail(5, 'acme', 'root');
      const [episode] = await workers[0]!.notices.episodes(acme.tenant);
      const foreign = aRecord(acme, 'JobFailing', { log: 'log_01jd00000000000000000000aa' });
      expect(await workers[0]!.notices.report(episode!, foreign)).toBeUndefined();
      expect(await workers[0]!.notices.episodes(acme.tenant)).toEqual([episode]);
    });
  });

  describe('of what ends soon', () => {
    const credential = async (id: string, role: string, issued: string, left: string, tenant = 'acme') =>
      await sql(
        `INSERT INTO keyward.credential (tenant_id, credential_id, principal, role, auth_method, mac, created_at, expires_at, binding_mac)
           VALUES ($1, $2, 'billing', $3, 'api-key', ${MAC}, now() - $4::interval, now() + $5::interval, ${MAC})`,
        ...[tenant, `crd_${id}`, role, issued, left],
      );
    const pass = (id: string, left: string) =>
      sql(`UPDATE keyward.credential SET expires_at = now() + $2::interval WHERE credential_id = $1`, `crd_${id}`, left);
    const told = async () =>
      (await recorded('CredentialExpiring')).map(({ tenant, change }) => [tenant, change?.['credentialId'], change?.['days']]);

    it('is one record at 30 days, at 7 and at one, whoever tells it', async () => {
      await credential('a', 'admin', '100 days', '31 days');
      await warn();
      expect(await told()).toEqual([]);
      // Time passes: the end stays where it is.
      await sql(`UPDATE keyward.credential SET expires_at = now() + interval '29 days' WHERE credential_id = 'crd_a'`);
      for (const days of [30, 7, 1]) {
        const [{ at }] = await sql(`SELECT expires_at AS at FROM keyward.credential WHERE credential_id = 'crd_a'`);
        if (days < 30) {
          await sql(
            `UPDATE keyward.credential SET expires_at = now() + make_interval(hours => 24 * $1 - 1) WHERE credential_id = 'crd_a'`,
            days,
          );
          await sql(
            `UPDATE keyward.expiry_warning w SET expires_at = c.expires_at FROM keyward.credential c
               WHERE c.credential_id = w.subject AND w.subject = 'crd_a' AND w.expires_at = $1`,
            at,
          );
        }
        await warn();
        await warn();
      }
      expect(await told()).toEqual([30, 7, 1].map((days) => ['acme', 'crd_a', days]));
    });

    it('is the nearest threshold alone after a long pause, and none that was over at the issue', async () => {
      await credential('late', 'admin', '100 days', '3 days');
      await credential('short', 'admin', '1 hour', '6 days');
      await credential('code', 'enrolment', '1 hour', '3 hours');
      await credential('over', 'admin', '100 days', '-1 hour');
      await warn();
      expect((await told()).slice(3)).toEqual([['acme', 'crd_late', 7]]);
      await sql('UPDATE keyward.credential SET revoked_at = now()');
      await pass('late', '20 hours');
      await warn();
      expect((await told()).slice(4)).toEqual([]);
    });

    it("is told of services' credentials in the platform's log, by the service's name", async () => {
      await credential('svc', 'service', '100 days', '29 days', 'platform');
      await warn();
      const [change] = (await changes('CredentialExpiring')).filter(([tenant]) => tenant === 'platform');
      expect(change?.[1]).toEqual({
        credentialId: 'crd_svc',
        role: 'service',
        service: 'billing',
        days: 30,
        expiresAt: expect.any(String),
      });
    });

    it('is told of imported material, once for each end that it is given', async () => {
      const version = 'kver_01jdsz0000e008000000000002';
      await sql(
        `INSERT INTO keyward.cmk (tenant_id, key_id, state, description, primary_version, created_at, names_mac)
           VALUES ('acme', $1, 'Enabled', '', $2, now(), ${MAC})`,
        ...[KEY, version],
      );
      await sql(
        `INSERT INTO keyward.key_version (tenant_id, version_id, key_id, spec, usage, origin, protection_level, log_id, blob, mac, import_check, valid_to, in_memory)
           VALUES ('acme', $2, $1, 'AES_256', 'ENCRYPT_DECRYPT', 'EXTERNAL', 'HSM', 'l', 'x', ${MAC}, 'x', extract(epoch FROM now() + interval '6 days') * 1000, false)`,
        ...[KEY, version],
      );
      for (const interval of ['6 days', '20 days']) {
        await sql('UPDATE keyward.key_version SET valid_to = extract(epoch FROM now() + $1::interval) * 1000', interval);
        await warn();
        await warn();
      }
      expect((await recorded('MaterialExpiring')).map(({ key, change }) => [key, change?.['days']])).toEqual(
        [7, 30].map((days) => [{ id: KEY, versionId: version }, days]),
      );
    });
  });
});
