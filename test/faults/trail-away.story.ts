import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { appendSignature } from '../../migrations/trail-append.js';
import { api, must } from '../stories/api.js';
import { INVOICE_POLICY, type Onboarded, onboarded } from '../stories/onboarded.js';
import { startLoad } from './load.js';

const CLIENTS = 32;
const APPEND = `keyward.${appendSignature({ versions: true, disclosures: true })}`;

/** What an operator, or an accident, can do to the trail: beginning, then ending it. Statements of one session of the superuser's. */
const FAULTS = [
  {
    what: 'the right to append withdrawn',
    begin: `REVOKE EXECUTE ON FUNCTION ${APPEND} FROM keyward_data_plane`,
    end: `GRANT EXECUTE ON FUNCTION ${APPEND} TO keyward_data_plane`,
  },
  {
    what: 'the right to insert records withdrawn',
    begin: 'REVOKE INSERT ON keyward.trail_record FROM keyward_functions',
    end: 'GRANT INSERT ON keyward.trail_record TO keyward_functions',
  },
  { what: 'the table of records locked', begin: 'BEGIN; LOCK TABLE keyward.trail_record IN ACCESS EXCLUSIVE MODE', end: 'ROLLBACK' },
  {
    what: 'every commit failing after its verdicts',
    begin: `CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'at commit'; END $$;
      CREATE CONSTRAINT TRIGGER fails AFTER INSERT ON keyward.trail_record DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.fail()`,
    end: 'DROP TRIGGER fails ON keyward.trail_record; DROP FUNCTION public.fail()',
  },
  {
    what: 'the head of the log held',
    begin: `BEGIN; SELECT FROM keyward.tenant_head WHERE tenant_id = 'acme' FOR UPDATE`,
    end: 'ROLLBACK',
  },
];

describe('no record, no answer', () => {
  let world: Onboarded;
  let database: pg.Client;

  beforeAll(async () => {
    world = await onboarded({ dataPlanes: 2 });
    database = new pg.Client({ connectionString: world.platform.superuserUrl });
    await database.connect();
    await database.query('SET idle_in_transaction_session_timeout = 0');
  }, 180_000);
  afterAll(async () => {
    await database?.end();
    await world?.stop();
  }, 60_000);

  async function until(holds: () => boolean): Promise<void> {
    const deadline = performance.now() + 40_000;
    while (!holds()) {
      if (performance.now() > deadline) throw new Error('It did not come to pass.');
      await sleep(20);
    }
  }

  it.each(FAULTS)(
    'with $what: nothing succeeds, and everything again when it is over, without a restart',
    async ({ begin, end }) => {
      const load = startLoad(world.platform.urls.dataPlanes, world.billing, CLIENTS);
      const of = (from: number, status?: number) =>
        load.outcomes.filter((one) => one.sentAt > from && (status === undefined || one.status === status));
      try {
        await until(() => of(0, 200).length >= 2 * CLIENTS);
        await database.query(begin);
        const begun = performance.now();
        await until(() => of(begun).length >= 2 * CLIENTS);
        const answered = of(begun).map(({ status }) => status);
        const ending = performance.now();
        await database.query(end);
        expect(answered.every((status) => status === 503)).toBe(true);
        for (const plane of world.platform.urls.dataPlanes.keys()) await until(() => of(ending, 200).some((one) => one.plane === plane));
      } finally {
        await load.stop();
      }
      const successes = load.outcomes.filter(({ status }) => status === 200);
      const { rows } = await database.query<{ seq: string; request_id: string }>(
        `SELECT seq, request_id FROM keyward.trail_record WHERE tenant_id = 'acme' AND op = 'GenerateDataKey' AND outcome = 'succeeded'`,
      );
      const recorded = new Map(rows.map((row) => [row.request_id, Number(row.seq)]));
      expect(successes.filter(({ requestId, seq }) => recorded.get(requestId ?? '') !== seq)).toEqual([]);
    },
    120_000,
  );

  it('a head that a paused admin holds keeps its own tenant waiting, and no other', async () => {
    const { keyPlane } = world.platform.urls;
    const list = ({ admin, name }: Onboarded['acme']) => api(keyPlane, admin, 'GET', `/v1/tenants/${name}/keys`);
    await database.query(`BEGIN; SELECT FROM keyward.tenant_head WHERE tenant_id = 'acme' FOR UPDATE`);
    const held = Array.from({ length: 30 }, () => list(world.acme));
    const slowest = await (async () => {
      let longest = 0;
      for (let call = 0; call < 30; call++) {
        const from = performance.now();
        expect((await list(world.globex)).status).toBe(200);
        longest = Math.max(longest, performance.now() - from);
      }
      return longest;
    })();
    expect(slowest).toBeLessThan(1500);
    await database.query('ROLLBACK');
    expect((await Promise.all(held)).every(({ status }) => status === 200 || status === 503)).toBe(true);
    expect((await list(world.acme)).status).toBe(200);
  });

  it('a change that cannot be recorded has not happened', async () => {
    const { keyPlane } = world.platform.urls;
    const etag = (await must(keyPlane, world.acme.admin, 'GET', '/v1/tenants/acme/policy')).headers.get('etag');
    const publish = () => api(keyPlane, world.acme.admin, 'PUT', '/v1/tenants/acme/policy', INVOICE_POLICY, { 'if-match': etag! });
    await database.query('REVOKE INSERT ON keyward.trail_record FROM keyward_functions');
    expect((await publish()).status).toBe(503);
    await database.query('GRANT INSERT ON keyward.trail_record TO keyward_functions');
    expect((await publish()).status).toBe(200);
  });
});
