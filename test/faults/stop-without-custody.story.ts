import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type Answer, api, must } from '../stories/api.js';
import { type Onboarded, onboarded } from '../stories/onboarded.js';
import { childrenOf } from './children-of.js';
import { startLoad } from './load.js';

const TARGETS = [
  { scope: 'everything' },
  { scope: 'service', service: 'billing' },
  { scope: 'key', keyId: '' },
  { scope: 'context', name: 'purpose', value: 'invoice' },
];

/** A stop is one commit: it needs neither the HSM nor anybody who waits for it. A lift opens, so it needs the HSM. */
describe('while the custodian stands still', () => {
  let world: Onboarded;
  let database: pg.Client;
  const admin = (method: string, path: string, body?: unknown) =>
    api(world.platform.urls.keyPlane, world.acme.admin, method, `/v1/tenants/acme${path}`, body);
  const dataKey = () =>
    api(world.platform.urls.dataPlanes[0]!, world.billing, 'POST', '/v1/tenants/acme/data-keys', {
      keyId: 'alias/invoices',
      encryptionContext: { purpose: 'invoice' },
    });

  beforeAll(async () => {
    world = await onboarded();
    database = new pg.Client({ connectionString: world.platform.superuserUrl });
    await database.connect();
  }, 180_000);
  afterAll(async () => {
    await database?.end();
    await world?.stop();
  }, 60_000);

  function signalCustodian(signal: NodeJS.Signals): void {
    const { pid } = world.platform.processes.get('custodian')!;
    for (const process_ of [pid!, ...childrenOf(pid)]) process.kill(process_, signal);
  }

  async function until(holds: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + 40_000;
    while (!(await holds())) {
      if (performance.now() > deadline) throw new Error('It did not come to pass.');
      await sleep(50);
    }
  }

  const sealed = async (stopId: unknown): Promise<boolean> => {
    const { rows } = await database.query('SELECT mac FROM keyward.stop WHERE stop_id = $1 AND mac IS NOT NULL', [stopId]);
    return rows.length === 1;
  };

  it.each(TARGETS)(
    'a stop of $scope returns, with a receipt; when the HSM is back it is sealed, stops, and can be lifted',
    async (target) => {
      const load = startLoad(world.platform.urls.dataPlanes, world.billing, 32);
      await until(async () => load.outcomes.some(({ status }) => status === 200));
      signalCustodian('SIGSTOP');
      let stopped: Answer;
      try {
        await until(async () => load.inFlight() === 32);
        stopped = await admin('POST', '/stops', { target: target.scope === 'key' ? { ...target, keyId: world.acme.keyId } : target });
        expect([stopped.status, stopped.body]).toEqual([
          201,
          expect.objectContaining({ receipt: expect.objectContaining({ seq: stopped.seq }) }),
        ]);
        expect(await sealed(stopped.body['stopId'])).toBe(false);
        expect((await admin('DELETE', `/stops/${String(stopped.body['stopId'])}`)).status).toBe(503);
      } finally {
        signalCustodian('SIGCONT');
      }
      await until(() => sealed(stopped.body['stopId']));
      await load.stop();
      const late = load.outcomes.filter(({ status, seq }) => status === 200 && seq! > stopped.seq!);
      expect(late).toEqual([]);
      expect(await dataKey()).toMatchObject({ status: 403, body: { code: 'stopped' } });
      await must(world.platform.urls.keyPlane, world.acme.admin, 'DELETE', `/v1/tenants/acme/stops/${String(stopped.body['stopId'])}`);
      expect((await dataKey()).status).toBe(200);
    },
    120_000,
  );
});
