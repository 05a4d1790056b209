import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { HMAC_KEY, RotatingEndpoint } from '../targets/rotating-endpoint.js';
import { api, must } from './api.js';
import { type Onboarded, onboarded } from './onboarded.js';
import { asSuperuser } from './signed.js';

const PATIENCE_MS = 60_000;
const ROTATIONS = Number(process.env['KEYWARD_TEST_ROTATIONS'] ?? 3);
const base64 = (text: string) => Buffer.from(text).toString('base64');

/** Rotations as they run: worker and targets in processes of their own, and what is killed is killed. */
describe('secrets that rotate themselves', () => {
  let world: Onboarded;
  let endpoint: RotatingEndpoint;
  /** The key plane's address and the database's, known before they have one. */
  let relays: { readonly keyPlane: Server; readonly database: Server };
  let [killed, buried] = [0, 0];
  beforeAll(async () => {
    endpoint = await RotatingEndpoint.start('first');
    relays = {
      keyPlane: await relayTo(() => Number(new URL(world.platform.urls.keyPlane).port)),
      database: await relayTo(() => Number(new URL(world.platform.superuserUrl).port)),
    };
    const allowed = [endpoint.origin, ...Object.values(relays).map((relay) => `127.0.0.1:${portOf(relay)}`)];
    world = await onboarded({ env: { KEYWARD_EGRESS_ALLOW: allowed.join(',') } });
  }, 180_000);
  afterAll(async () => {
    await world?.stop();
    await endpoint?.stop();
    for (const relay of Object.values(relays ?? {})) relay.close();
  }, 60_000);

  const admin = async (path: string, body?: unknown, method = 'POST') =>
    (await must(world.platform.urls.keyPlane, world.acme.admin, method, `/v1/tenants/acme${path}`, body)).body;
  const create = async (name: string, value: string, rotation?: object) =>
    String((await admin('/secrets', { name, keyId: 'alias/invoices', value: base64(value), ...(rotation && { rotation }) }))['secretId']);
  const current = async (secretId: string) =>
    Buffer.from(String((await admin('/secrets/get-value', { secretId }))['value']), 'base64').toString();
  const rotate = (secretId: string) => admin(`/secrets/${secretId}/rotate`);
  const database = (text: string, ...values: unknown[]) =>
    asSuperuser(world.platform.superuserUrl, async (client) => (await client.query(text, values)).rows as Record<string, unknown>[]);
  /** Waits, overlaps, pauses, and the leases and jobs of the dead are over at once. */
  const becomes = async (secretId: string, phase: string) => {
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      const [row] = await database('SELECT phase, last_error, next_at FROM keyward.rotating_secret WHERE secret_id = $1', secretId);
      // One that has only just been taken is Idle, too, and somebody's.
      if (row?.['phase'] === phase && (phase === 'Settling' || row['next_at'] === null)) return row;
      if (performance.now() > until) throw new Error(`Not ${phase}: ${JSON.stringify(row)}`);
      if (killed > buried) await database('DELETE FROM keyward_queue.job');
      buried = killed;
      await database(`UPDATE keyward.rotating_secret SET next_at = now() WHERE secret_id = $1 AND next_at > now()`, secretId);
      await sleep(200);
    }
  };
  const told = async (op: string) => {
    const { body } = await must(world.platform.urls.auditor, world.acme.auditor, 'GET', `/v1/tenants/acme/records?op=${op}`);
    return body['items'] as Record<string, unknown>[];
  };

  it('rotate once, though the worker is killed at each of four calls, before they have their effect and after', async () => {
    const connectionSecret = await create('hooks/connection', JSON.stringify({ url: endpoint.url, signingKey: HMAC_KEY }));
    const secretId = await create('hooks/login', 'first', { target: 'webhook', connectionSecret });
    const deaths = new Set(['create before', 'apply after', 'test before', 'finish after']);
    endpoint.onCall = (type, when) => {
      if (!deaths.delete(`${type.split('.').at(-1)} ${when}`)) return;
      world.platform.processes.get('worker')!.kill('SIGKILL');
      killed++;
    };
    await rotate(secretId);
    await becomes(secretId, 'Idle');
    expect([killed, deaths.size]).toEqual([4, 0]);
    expect([...endpoint.accepted]).toEqual([await current(secretId)]);
    expect(await current(secretId)).not.toBe('first');
    for (const op of ['StartSecretRotation', 'PromoteSecretVersion', 'EndSecretRotation']) expect(await told(op)).toHaveLength(1);
  }, 180_000);

  it(`change the accounts of a real database ${ROTATIONS} times, and no login with what is current fails`, async () => {
    const [admins, first] = ['rotation'.repeat(3), 'first'.repeat(4)];
    for (const statement of [
      `CREATE ROLE keyward_rotation LOGIN CREATEROLE PASSWORD '${admins}'`,
      `CREATE ROLE shop LOGIN PASSWORD '${first}'`,
      'CREATE ROLE shop_b LOGIN',
      'GRANT shop, shop_b TO keyward_rotation WITH ADMIN OPTION',
    ])
      await database(statement);
    const at = { host: '127.0.0.1', port: portOf(relays.database), cleartext: true };
    const login = { username: 'keyward_rotation', password: admins, database: 'postgres' };
    const connectionSecret = await create('shop/connection', JSON.stringify({ ...at, ...login }));
    const value = { username: 'shop', alternateUsername: 'shop_b', password: first, database: 'postgres' };
    const secretId = await create('shop/login', JSON.stringify(value), { target: 'postgresql', connectionSecret });
    const failures: string[] = [];
    const users = new Set<string>();
    let [logins, ended] = [0, false];
    const shop = (async () => {
      while (!ended) {
        const { username: user, password } = JSON.parse(await current(secretId)) as { username: string; password: string };
        const client = new pg.Client({
          host: at.host,
          port: Number(new URL(world.platform.superuserUrl).port),
          database: 'postgres',
          user,
          password,
        });
        try {
          await client.connect();
          users.add(user);
          logins++;
        } catch (error) {
          failures.push(`${user}: ${String(error)}`);
        } finally {
          await client.end().catch(() => undefined);
        }
      }
    })();
    const passwords = new Set<string>();
    for (let rotation = 1; rotation <= ROTATIONS; rotation++) {
      const before = await current(secretId);
      await rotate(secretId);
      while ((await current(secretId)) === before) await sleep(50);
      await becomes(secretId, 'Idle');
      passwords.add((JSON.parse(await current(secretId)) as { password: string }).password);
    }
    ended = true;
    await shop;
    expect(failures).toEqual([]);
    expect([passwords.size, [...users].sort()]).toEqual([ROTATIONS, ['shop', 'shop_b']]);
    expect(logins).toBeGreaterThan(ROTATIONS);
  }, 600_000);

  it('end in Invalid, told in the log, when the target refuses: what was current still works', async () => {
    const wrong = `whsec_${Buffer.alloc(32, 8).toString('base64')}`;
    const connectionSecret = await create('wrong/connection', JSON.stringify({ url: endpoint.url, signingKey: wrong }));
    const [value] = endpoint.accepted;
    const secretId = await create('wrong/login', value!, { target: 'webhook', connectionSecret, intervalHours: 6 });
    await rotate(secretId);
    expect(await becomes(secretId, 'Invalid')).toMatchObject({ last_error: 'Creating: refused: status 401', next_at: null });
    expect(endpoint.accepted).toContain(await current(secretId));
    expect((await admin('/secrets/describe', { secretId }))['rotation']).toMatchObject({ state: 'Invalid' });
    const [record] = await told('SecretRotationInvalid');
    expect(record).toMatchObject({ secret: { id: secretId }, change: { error: 'Creating: refused: status 401' } });
  }, 120_000);

  it('give an auditor another API key, and end the old one when the overlap is over', async () => {
    const old = String((await admin('/credentials', { principal: 'siem', role: 'auditor' }))['apiKey']);
    const connectionSecret = await create(
      'keyward/connection',
      JSON.stringify({ url: `http://127.0.0.1:${portOf(relays.keyPlane)}`, apiKey: world.acme.admin }),
    );
    const secretId = await create('keyward/siem', old, { target: 'api-key', connectionSecret, overlapMinutes: 10 });
    const audits = async (key: string) => (await api(world.platform.urls.auditor, key, 'GET', '/v1/tenants/acme/records?limit=1')).status;
    await rotate(secretId);
    await becomes(secretId, 'Settling');
    const next = await current(secretId);
    expect([next === old, await audits(old), await audits(next)]).toEqual([false, 200, 200]);
    await becomes(secretId, 'Idle');
    expect([await audits(old), await audits(next)]).toEqual([401, 200]);
  }, 120_000);
});

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

/** Listens now for what gets its port later. */
async function relayTo(port: () => number): Promise<Server> {
  const relay = createServer((socket) => {
    const to = connect(port(), '127.0.0.1');
    for (const [end, other] of [
      [socket, to],
      [to, socket],
    ] as const)
      end.on('error', () => other.destroy()).pipe(other);
  });
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
  return relay;
}
