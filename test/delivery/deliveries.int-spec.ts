import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type SinkTarget, trailRecord } from '#contract';
import { checkoutPath } from '#runtime';
import { AUTHORITY, CLIENT } from '../receivers/tls.js';
import { isSigned, WebhookReceiver } from '../receivers/webhook-receiver.js';
import { DeliveryWorld, WEBHOOK_KEY, WEBHOOK_SEED } from './delivery-world.js';

const upTo = (count: number) => Array.from({ length: count }, (_, seq) => seq);

describe('deliveries', () => {
  let world: DeliveryWorld;
  const receivers: WebhookReceiver[] = [];

  beforeAll(async () => {
    world = await DeliveryWorld.start();
    await world.grow('acme', 300);
    await world.grow('globex', 3);
  }, 120_000);
  afterEach(async () => {
    await world.endWorkers();
    await world.sql('DELETE FROM keyward.sink');
    await Promise.all(receivers.splice(0).map((receiver) => receiver.stop()));
  });
  afterAll(() => world?.stop(), 60_000);

  async function receiver(): Promise<WebhookReceiver> {
    const started = await WebhookReceiver.start();
    receivers.push(started);
    return started;
  }
  const to = (url: string): SinkTarget => ({ type: 'webhook', url, format: 'cloudevents', certificateAuthority: AUTHORITY });
  const plain = WEBHOOK_SEED;

  it('bring every signed record, in order, in signed messages of at most 20 kB', async () => {
    const there = await receiver();
    const id = await world.addSink('acme', to(there.url), { plain });
    const worker = await world.worker([there.origin]);
    await world.until(async () => (await world.sink('acme', id)).delivery.pending === 0, worker);
    expect(there.seqs).toEqual(upTo(300));
    expect(there.received.every((message) => isSigned(message, WEBHOOK_KEY) && message.body.length <= 20_000)).toBe(true);
    expect(
      there.received.some((message) => isSigned({ ...message, body: Buffer.concat([message.body, Buffer.from(' ')]) }, WEBHOOK_KEY)),
    ).toBe(false);
    const { delivery } = await world.sink('acme', id);
    expect(delivery).toMatchObject({ nextSeq: 300, pending: 0, failures: 0 });
    await world.grow('acme', 1);
    expect((await world.sink('acme', id)).delivery.pending).toBe(1);
  });

  it('are told from forgeries by the few lines that the documentation gives', async () => {
    const there = await receiver();
    await world.addSink('globex', to(there.url), { plain });
    await world.until(() => there.received.length > 0, await world.worker([there.origin]));
    const { id, timestamp, signature, body } = there.received[0]!;
    const headers = { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature };
    const [, code = ''] = /```js\n([\s\S]*?)```/.exec(readFileSync(checkoutPath('docs', 'delivery.md'), 'utf8')) ?? [];
    const judged = (of: object, text: string) => {
      const asked = `console.log(isFromKeyward(${JSON.stringify(of)}, Buffer.from(${JSON.stringify(text)})))`;
      const program = ['--input-type=module', '-e', `${code}\n${asked}`];
      return execFileSync(process.execPath, program, { env: { KEYWARD_WEBHOOK_KEY: WEBHOOK_KEY }, encoding: 'utf8' }).trim();
    };
    expect(judged(headers, body.toString())).toBe('true');
    expect(judged(headers, `${body.toString()} `)).toBe('false');
    expect(judged({ ...headers, 'webhook-timestamp': String(Number(timestamp) - 301) }, body.toString())).toBe('false');
  });

  it('are shared by several workers without a record coming twice', async () => {
    const there = await receiver();
    await world.addSink('acme', to(there.url), { plain });
    const workers = await Promise.all([1, 2, 3].map(() => world.worker([there.origin])));
    await world.until(() => there.seqs.length >= 301, ...workers);
    expect(there.seqs).toEqual(upTo(301));
  });

  it('go on beside sinks that are dead, hang or refuse, of the same tenant and of others', async () => {
    const [alive, hanging, refusing, other] = await Promise.all([receiver(), receiver(), receiver(), receiver()]);
    hanging.manner = 'hangs';
    refusing.manner = 500;
    await world.addSink('acme', to(hanging.url), { plain });
    const refused = await world.addSink('acme', to(refusing.url), { plain });
    const dead = await world.addSink('acme', to('https://127.0.0.1:1/'), { plain });
    await world.addSink('acme', to(alive.url), { plain });
    await world.addSink('globex', to(other.url), { plain });
    const worker = await world.worker([hanging, refusing, alive, other].map(({ origin }) => origin).concat('127.0.0.1:1'));
    await world.until(() => alive.seqs.length === 301 && other.seqs.length === 3, worker);
    const failing = { nextSeq: 0, pending: 301, failingSince: expect.any(String) as string, nextAttemptAt: expect.any(String) as string };
    await world.until(async () => (await world.sink('acme', refused)).delivery.failures > 1, worker);
    expect((await world.sink('acme', refused)).delivery).toMatchObject({ ...failing, lastError: 'status 500' });
    expect((await world.sink('acme', dead)).delivery).toMatchObject({ ...failing, lastError: 'no connection (ECONNREFUSED)' });
    // What was refused comes once it is taken.
    refusing.manner = 'takes';
    await world.until(async () => (await world.sink('acme', refused)).delivery.pending === 0, worker);
    expect([refusing.seqs, (await world.sink('acme', refused)).delivery.failures]).toEqual([upTo(301), 0]);
    expect((await world.sink('acme', refused)).delivery).not.toHaveProperty('lastError');
  });

  it('follow no redirect, and reach no address that the operator does not vouch for', async () => {
    const there = await receiver();
    there.manner = 'redirects';
    const redirected = await world.addSink('acme', to(there.url), { plain });
    const patient = await world.worker([there.origin], { pausesMs: [60_000] });
    await world.until(async () => (await world.sink('acme', redirected)).delivery.failures > 0, patient);
    expect([(await world.sink('acme', redirected)).delivery.lastError, there.asked]).toEqual(['status 307', 1]);
    await world.sql('DELETE FROM keyward.sink');
    for (const [target, lastError] of [
      [to('https://127.0.0.1/'), 'the address is not a public one'],
      [to('https://[::ffff:169.254.169.254]/latest/meta-data/'), 'the address is not a public one'],
      [to('https://2130706433:8443/'), 'the address is not a public one'],
      [to(there.url), 'this port is not allowed'],
      [to(`http://${there.origin}/`), 'the URL must be https, without a name or password'],
      [{ type: 'syslog', host: '10.0.0.1', port: 6514, format: 'jsonl' }, 'the address is not a public one'],
      [{ type: 'syslog', host: 'fd00::1', port: 6514, format: 'jsonl' }, 'the address is not a public one'],
      [{ type: 'syslog', host: '127.0.0.1', port: 5432, format: 'jsonl' }, 'this port is not allowed'],
      [{ ...bucket, endpoint: 'https://169.254.169.254' }, 'the address is not a public one'],
    ] as const) {
      const id = await world.addSink('acme', target, { plain });
      const worker = await world.worker([]);
      await world.until(async () => (await world.sink('acme', id)).delivery.failures > 0, worker);
      expect([target, (await world.sink('acme', id)).delivery.lastError]).toEqual([target, lastError]);
      await world.sql('DELETE FROM keyward.sink');
    }
    expect(there.asked).toBe(1);
  });
  const bucket = { type: 's3', endpoint: '', bucket: 'trail', region: 'us-east-1', accessKeyId: 'AKIATEST' } as const;

  it('trust no certificate that the admin or the public does not', async () => {
    const there = await receiver();
    const { certificateAuthority: _, ...publicly } = to(there.url) as Extract<SinkTarget, { type: 'webhook' }>;
    const id = await world.addSink('acme', publicly, { plain });
    await world.until(async () => (await world.sink('acme', id)).delivery.failures > 0, await world.worker([there.origin]));
    expect((await world.sink('acme', id)).delivery.lastError).toMatch(
      /^no connection \(.*CERT.*\)|^no connection \(UNABLE_TO_VERIFY_LEAF_SIGNATURE\)$/,
    );
    expect(there.asked).toBe(0);
  });

  it('end after days of failures, or at once where the receiver says 410, and the log says so', async () => {
    const there = await receiver();
    there.manner = 410;
    const id = await world.addSink('globex', to(there.url), { plain });
    const worker = await world.worker([there.origin], { giveUpAfterMs: 60_000 });
    await world.until(async () => (await world.sink('globex', id)).state === 'Disabled', worker);
    expect(await recorded('globex')).toEqual([expect.objectContaining({ sinkId: id, nextSeq: 0, error: 'status 410' })]);
    // Nothing was lost: whoever resumes it gets everything.
    there.manner = 503;
    await world.sql(`UPDATE keyward.sink SET state = 'Active', failures = 3, failing_since = now() - interval '59 seconds'`);
    await world.until(async () => (await world.sink('globex', id)).delivery.failures > 4, worker);
    expect((await world.sink('globex', id)).state).toBe('Active');
    await world.sql(`UPDATE keyward.sink SET failing_since = now() - interval '61 seconds'`);
    await world.until(async () => (await world.sink('globex', id)).state === 'Disabled', worker);
    expect((await recorded('globex')).length).toBe(2);
    const asked = there.asked;
    await worker.round();
    there.manner = 'takes';
    await world.sql(`UPDATE keyward.sink SET state = 'Active', next_attempt_at = now()`);
    await world.until(() => there.seqs.length >= 3, worker);
    expect([there.asked > asked, there.seqs.slice(0, 3)]).toEqual([true, [0, 1, 2]]);
  });

  it('wait for nothing while a sink is paused, and count no outcome of a sink that was changed meanwhile', async () => {
    const there = await receiver();
    const paused = await world.addSink('acme', to(there.url), { plain, state: 'Paused' });
    const worker = await world.worker([there.origin]);
    await worker.round();
    expect(there.asked).toBe(0);
    await world.sql(`UPDATE keyward.sink SET state = 'Active'`);
    there.manner = 'hangs';
    await world.until(() => there.asked === 1, worker);
    // As an admin's change does (persistence/tenant-writes.ts).
    await world.sql(`UPDATE keyward.sink SET next_seq = 299, lease = NULL`);
    there.manner = 'takes';
    await world.until(async () => (await world.sink('acme', paused)).delivery.nextSeq === 301, worker);
    expect(there.seqs).toEqual([299, 300]);
  });

  it('are tried on request, whatever the state, and tell how it went', async () => {
    const there = await receiver();
    const id = await world.addSink('acme', to(there.url), { plain, state: 'Disabled' });
    const worker = await world.worker([there.origin]);
    const ask = () => world.sql('UPDATE keyward.sink SET test_requested_at = clock_timestamp()');
    const tested = async () => (await world.sink('acme', id)).test;
    await ask();
    expect(await tested()).toEqual({ requestedAt: expect.any(String) as string });
    await world.until(async () => (await tested())?.testedAt !== undefined, worker);
    expect(await tested()).not.toHaveProperty('error');
    expect(there.received.map(({ body }) => JSON.parse(body.toString()) as object)).toEqual([
      { type: 'keyward.test', timestamp: expect.any(String) as string, data: { sinkId: id } },
    ]);
    there.manner = 404;
    await ask();
    await world.until(async () => (await tested())?.testedAt !== undefined, worker);
    expect(await tested()).toMatchObject({ error: 'status 404' });
    expect((await world.sink('acme', id)).state).toBe('Disabled');
  });

  it('stop before a record that is missing, and say which', async () => {
    const there = await receiver();
    const id = await world.addSink('acme', to(there.url), { plain });
    await world.sql(`ALTER TABLE keyward.trail_record DISABLE TRIGGER append_only`);
    await world.sql(`UPDATE keyward.trail_record SET tenant_id = 'nobody' WHERE tenant_id = 'acme' AND seq = 250`);
    try {
      await world.until(async () => (await world.sink('acme', id)).delivery.failures > 0, await world.worker([there.origin]));
      expect((await world.sink('acme', id)).delivery.lastError).toMatch(/^record 250 is missing from the log$/);
      expect(there.seqs).toEqual(upTo(250));
    } finally {
      await world.sql(`UPDATE keyward.trail_record SET tenant_id = 'acme' WHERE tenant_id = 'nobody'`);
      await world.sql(`ALTER TABLE keyward.trail_record ENABLE TRIGGER append_only`);
    }
  });

  it('are of signed records only', async () => {
    const there = await receiver();
    const id = await world.addSink('globex', to(there.url), { plain });
    const worker = await world.worker([there.origin]);
    await world.until(async () => (await world.sink('globex', id)).delivery.pending === 0, worker);
    const signed = there.seqs.length;
    await world.append('globex', 5);
    await worker.round();
    expect([(await world.sink('globex', id)).delivery.pending, there.seqs.length]).toEqual([0, signed]);
    await world.sign();
    await world.until(async () => (await world.sink('globex', id)).delivery.nextSeq >= signed + 5, worker);
    expect(there.seqs.length).toBeGreaterThanOrEqual(signed + 5);
  });

  it('go on where a worker stands still, and what it says when it wakes counts no more', async () => {
    const there = await receiver();
    const id = await world.addSink('acme', to(there.url), { plain });
    const [still, other] = [await world.worker([there.origin]), await world.worker([there.origin])];
    there.manner = 'hangs';
    await world.until(() => there.asked === 1, still);
    there.manner = 'takes';
    await other.round();
    expect(there.asked).toBe(1);
    await world.sql(`UPDATE keyward.sink SET leased_until = now() - interval '1 second'`);
    await world.until(async () => (await world.sink('acme', id)).delivery.pending === 0, other);
    await world.sql('UPDATE keyward.sink SET next_seq = 290');
    there.letGo();
    await still.close();
    expect((await world.sink('acme', id)).delivery).toMatchObject({ nextSeq: 290, failures: 0 });
    await world.until(async () => (await world.sink('acme', id)).delivery.pending === 0, other);
    expect(there.seqs.slice(0, 301)).toEqual(upTo(301));
  });

  it('fail, and say so, where what a sink is opened with or its authority cannot be read', async () => {
    const there = await receiver();
    const unreadable = await world.addSink('acme', to(there.url), { plain });
    const opening = { open: () => Promise.reject(new Error('sealed with another key')) };
    await world.until(
      async () => (await world.sink('acme', unreadable)).delivery.failures > 0,
      await world.worker([there.origin], { opening }),
    );
    expect((await world.sink('acme', unreadable)).delivery.lastError).toBe('what it is opened with cannot be read any more: make it anew');
    await world.sql('DELETE FROM keyward.sink');
    const garbage = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
    const strange = await world.addSink('acme', { ...to(there.url), certificateAuthority: garbage }, { plain });
    const client = { clientCertificate: CLIENT.cert };
    const keyless = await world.addSink('acme', { type: 'syslog', host: '127.0.0.1', port: 1, format: 'jsonl', ...client }, { plain });
    const worker = await world.worker([there.origin, '127.0.0.1:1']);
    for (const [id, lastError] of [
      [strange, /^no connection \(UNABLE_TO_VERIFY_LEAF_SIGNATURE\)$/],
      [keyless, /^no connection \(ERR_OSSL_/],
    ] as const) {
      await world.until(async () => (await world.sink('acme', id)).delivery.failures > 0, worker);
      expect((await world.sink('acme', id)).delivery.lastError).toMatch(lastError);
    }
    expect(there.asked).toBe(0);
  });

  it('take turns by tenant: one with many sinks does not keep another waiting', async () => {
    const there = await receiver();
    for (let made = 0; made < 5; made++) await world.addSink('acme', to(there.url), { plain });
    await world.addSink('globex', to(there.url), { plain });
    await world.database.as('keyward_worker', async (client) => {
      const claimed = async (most: number) =>
        (await client.query<{ tenant_id: string }>(`SELECT tenant_id FROM keyward.claim_sinks($1, interval '1 minute')`, [most])).rows;
      expect((await claimed(2)).map((row) => row.tenant_id).sort()).toEqual(['acme', 'globex']);
      await world.addSink('globex', to(there.url), { plain });
      expect((await claimed(10)).length).toBe(5);
      expect(await claimed(10)).toEqual([]);
    });
  });

  it('keep few places however often a sink that hangs is changed, and leave the rest to others', async () => {
    const [hanging, alive] = [await receiver(), await receiver()];
    hanging.manner = 'hangs';
    const changed = await world.addSink('acme', to(hanging.url), { plain });
    const worker = await world.worker([hanging.origin, alive.origin]);
    for (let made = 0; made < 10; made++) {
      await world.sql('UPDATE keyward.sink SET lease = NULL');
      await world.until(() => hanging.asked > made, worker);
    }
    await world.sql('UPDATE keyward.sink SET lease = NULL');
    const other = await world.addSink('globex', to(alive.url), { plain });
    await world.until(async () => (await world.sink('globex', other)).delivery.pending === 0, worker);
    for (let round = 0; round < 3; round++) await worker.round();
    expect(hanging.asked).toBe(10);
    // Given back, not held: it goes on once there is a place again.
    hanging.manner = 'takes';
    hanging.letGo();
    await world.until(async () => (await world.sink('acme', changed)).delivery.pending === 0, worker);
  });

  it('are not held up by a sink of another tenant whose target no version here can read', async () => {
    const there = await receiver();
    const strange = await world.addSink('globex', { type: 'fax' } as unknown as SinkTarget, { plain });
    const id = await world.addSink('acme', to(there.url), { plain });
    const worker = await world.worker([there.origin]);
    await world.until(async () => (await world.sink('acme', id)).delivery.pending === 0, worker);
    expect(await world.sql('SELECT last_error, failures > 0 AS failed FROM keyward.sink WHERE sink_id = $1', [strange])).toEqual([
      { last_error: 'its target cannot be read any more: give it again', failed: true },
    ]);
  });

  it('begin a lease of their own after a test, which may have taken most of one', async () => {
    const there = await receiver();
    await world.addSink('acme', to(there.url), { plain });
    const worker = await world.worker([there.origin]);
    await world.sql('UPDATE keyward.sink SET test_requested_at = clock_timestamp()');
    there.manner = 'hangs';
    await world.until(() => there.asked === 1, worker);
    await world.sql(`UPDATE keyward.sink SET leased_until = clock_timestamp() + interval '5 seconds'`);
    there.letGo();
    await world.until(() => there.asked === 2, worker);
    const [row] = await world.sql(`SELECT leased_until > clock_timestamp() + interval '20 seconds' AS fresh FROM keyward.sink`);
    expect(row).toEqual({ fresh: true });
    there.letGo();
  });

  it('give a worker nothing but the records of sinks that it holds', async () => {
    const there = await receiver();
    const id = await world.addSink('acme', to(there.url), { plain });
    await world.database.as('keyward_worker', async (client) => {
      const { rows } = await client.query<{ lease: string }>(`SELECT lease FROM keyward.claim_sinks(5, interval '1 second')`);
      const read = async (tenant: string, held: string | undefined) =>
        (await client.query('SELECT seq FROM keyward.sink_records($1, $2, $3, 0, 1000)', [tenant, id, held])).rowCount;
      expect(await read('acme', rows[0]?.lease)).toBe(301);
      expect(await read('globex', rows[0]?.lease)).toBe(0);
      expect(await read('acme', '00000000-0000-4000-8000-000000000000')).toBe(0);
      expect((await client.query(`SELECT FROM keyward.claim_sinks(5, interval '1 second')`)).rowCount).toBe(0);
      await client.query('SELECT pg_sleep(1.1)');
      expect(await read('acme', rows[0]?.lease)).toBe(0);
      expect(
        (await client.query('SELECT keyward.advance_sink($1, $2, $3, 5, interval $$1 s$$) AS moved', ['acme', id, rows[0]?.lease])).rows,
      ).toEqual([{ moved: false }]);
      await expect(client.query('SELECT FROM keyward.sink')).rejects.toMatchObject({ code: '42501' });
    });
  });

  async function recorded(tenant: string) {
    const rows = await world.sql(`SELECT bytes FROM keyward.trail_record WHERE tenant_id = $1 AND op = 'SinkDisabled' ORDER BY seq`, [
      tenant,
    ]);
    return rows.map(({ bytes }) => trailRecord.parse(JSON.parse(String(bytes))).change);
  }
});
