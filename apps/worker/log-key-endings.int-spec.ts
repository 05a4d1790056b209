import { trailRecord } from '#contract';
import { type EndingLogKeys, KeywardError, type LogKeyRemoval } from '#core';
import { openWorkerStore, type WorkerStore } from '#persistence';
import { TestDatabase } from '../../libs/persistence/test-database.js';
import { endLogKeys } from './log-key-endings.js';

/** A crash: what was done before it is done, what comes after it is not. */
class Killed extends Error {}

describe('the end of a log key', () => {
  let database: TestDatabase;
  let worker: WorkerStore;
  const inHsm = new Set<string>();

  beforeAll(async () => {
    database = await TestDatabase.start();
    await database.addTenants('platform');
    worker = await openWorkerStore(database.settings('keyward_worker'));
  });
  afterAll(async () => {
    await worker?.close();
    await database.stop();
  });

  const run = (text: string) => database.as('superuser', async (client) => (await client.query(text)).rows);
  const custody: LogKeyRemoval = {
    destroyLogKey: async (tenant, number) => {
      inHsm.delete(`${tenant}/${number}`);
    },
  };
  const round = async (keys: EndingLogKeys, removal = custody) => {
    const kind = endLogKeys({ keys, custody: removal });
    for (const of of await kind.due!()) await kind.run(of, jest.fn());
  };
  const signed = (name: string) =>
    run(`INSERT INTO keyward.signed_checkpoint (tenant_id, size, root, note) VALUES ('${name}', 1, sha256(''), 'signed by both')`);
  /** Its older key is due to end, unless `later`: the record that names the next one is there, and signed unless `unsigned`. */
  async function rotated(name: string, retiresAt = `now() - interval '1 second'`, unsigned = false): Promise<void> {
    if (name !== 'platform') await database.addTenants(name);
    await run(`
      INSERT INTO keyward.trail_record (tenant_id, seq, bytes, leaf_hash, recorded_at, op, outcome, calls)
        VALUES ('${name}', 0, convert_to('{"change":{"number":2}}', 'UTF8'), sha256(''), now(), 'RotateLogKey', 'succeeded', 1);
      UPDATE keyward.tenant_head SET size = 1 WHERE tenant_id = '${name}'`);
    if (!unsigned) await signed(name);
    await run(
      `INSERT INTO keyward.log_key (tenant_id, number, vkey, made_at, retires_at) VALUES ('${name}', 2, 'two', now(), ${retiresAt})`,
    );
    for (const number of [1, 2]) inHsm.add(`${name}/${number}`);
  }
  const state = async (name: string) => {
    const [row] = await run(
      `SELECT retired_at IS NOT NULL AS retired, destroyed_at IS NOT NULL AS destroyed FROM keyward.log_key WHERE tenant_id = '${name}'`,
    );
    const records = await run(`SELECT bytes FROM keyward.trail_record WHERE tenant_id = '${name}' AND seq > 0`);
    const told = records.map(({ bytes }) => trailRecord.parse(JSON.parse(String(bytes)))).map(({ op, change }) => [op, change]);
    return { ...row, told, keys: [1, 2].filter((number) => inHsm.has(`${name}/${number}`)) };
  };
  const signing = async (name: string) => (await worker.checkpoints.logsToSign()).find(({ tenant }) => tenant === name)?.keys;
  const ENDED = { retired: true, destroyed: true, told: [['RetireLogKey', { number: 1, vkey: 'vkey' }]], keys: [2] };

  it('is recorded, leaves the HSM and is done; until then both keys sign, after it the new one', async () => {
    await rotated('acme', `now() + interval '1 day'`);
    await round(worker.logKeys);
    expect(await state('acme')).toEqual({ retired: false, destroyed: false, told: [], keys: [1, 2] });
    expect(await signing('acme')).toEqual([1, 2]);
    await run(`UPDATE keyward.log_key SET retires_at = now()`);
    await round(worker.logKeys);
    await round(worker.logKeys);
    expect(await state('acme')).toEqual(ENDED);
    expect(await signing('acme')).toEqual([2]);
    await expect(
      run(
        `INSERT INTO keyward.log_key (tenant_id, number, vkey, made_at, retires_at) VALUES ('acme', 3, 'three', now(), now()), ('acme', 4, 'four', now(), now())`,
      ),
    ).rejects.toMatchObject({ constraint: 'log_key_overlap' });
  });

  it.each([
    ['retire', 'before'],
    ['retire', 'after'],
    ['destroyLogKey', 'before'],
    ['destroyLogKey', 'after'],
    ['destroyed', 'before'],
    ['destroyed', 'after'],
  ] as const)('comes about after a kill -9 at %s, %s its effect', async (step, when) => {
    const name = `killed-${step.toLowerCase()}-${when}`;
    await rotated(name);
    const killed = (at: string) => async (work: () => Promise<void>) => {
      if (at === step && when === 'before') throw new Killed();
      await work();
      if (at === step) throw new Killed();
    };
    const keys: EndingLogKeys = {
      due: async (of) => (await worker.logKeys.due(of)).filter(({ tenant }) => tenant === name),
      retire: (key, body) => killed('retire')(() => worker.logKeys.retire(key, body)),
      destroyed: (key) => killed('destroyed')(() => worker.logKeys.destroyed(key)),
    };
    const removal: LogKeyRemoval = {
      destroyLogKey: (tenant, number) => killed('destroyLogKey')(() => custody.destroyLogKey(tenant, number)),
    };
    await expect(round(keys, removal)).rejects.toThrow(Killed);
    await round(worker.logKeys);
    expect(await state(name)).toEqual(ENDED);
  });

  it('waits for a checkpoint that it signs itself over the record of the next key: nothing else leads there', async () => {
    await rotated('unsigned', undefined, true);
    await round(worker.logKeys);
    expect(await state('unsigned')).toEqual({ retired: false, destroyed: false, told: [], keys: [1, 2] });
    expect(await signing('unsigned')).toEqual([1, 2]);
    await signed('unsigned');
    await round(worker.logKeys);
    expect(await state('unsigned')).toEqual(ENDED);
  });

  it('waits for a record that cannot be appended, and leaves the key in the HSM until then', async () => {
    await rotated('held');
    const admin = await database.session('superuser');
    await admin.query(`BEGIN; SELECT FROM keyward.tenant_head WHERE tenant_id = 'held' FOR UPDATE`);
    await expect(round(worker.logKeys)).rejects.toThrow(KeywardError);
    expect(await state('held')).toEqual({ retired: false, destroyed: false, told: [], keys: [1, 2] });
    await admin.query('ROLLBACK');
    await admin.end();
    await round(worker.logKeys);
    expect(await state('held')).toEqual(ENDED);
  });

  it('rests by itself after a failure, also that of the platform: its kind as a whole does not', async () => {
    await rotated('platform');
    const kind = endLogKeys({ keys: worker.logKeys, custody });
    await worker.jobs.claim([kind]);
    const [of] = await kind.due!();
    await worker.jobs.failed(kind.name, of!, 'custody: gone', [60_000]);
    expect(await kind.due!()).toEqual([]);
    expect(await worker.jobs.claim([{ ...kind, everyMs: 0 }])).toMatchObject([{ kind: kind.name, failing: false }]);
  });
});
