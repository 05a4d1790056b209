import type { SinkId, SinkTarget } from '#contract';
import { tiledLog, verifyLog } from '#trail';
import { BucketServer } from '../receivers/bucket-server.js';
import { SyslogReceiver } from '../receivers/syslog-receiver.js';
import { AUTHORITY, CLIENT } from '../receivers/tls.js';
import { DeliveryWorld } from './delivery-world.js';

const upTo = (count: number) => Array.from({ length: count }, (_, seq) => seq);

let world: DeliveryWorld;
beforeAll(async () => {
  world = await DeliveryWorld.start();
  await world.grow('acme', 700);
}, 120_000);
afterEach(() => world.sql('DELETE FROM keyward.sink'));
afterAll(() => world?.stop(), 60_000);

const failuresOf = async (id: SinkId) => (await world.sink('acme', id)).delivery.failures;
const errorOf = async (id: SinkId) => (await world.sink('acme', id)).delivery.lastError;

describe('a syslog receiver', () => {
  let receiver: SyslogReceiver;
  afterEach(() => receiver.stop());
  const target = (more: Partial<Extract<SinkTarget, { type: 'syslog' }>> = {}): SinkTarget => ({
    ...{ type: 'syslog', host: '127.0.0.1', port: receiver.port, format: 'jsonl', certificateAuthority: AUTHORITY, ...more },
  });
  const worker = () => world.worker([`127.0.0.1:${receiver.port}`]);

  it('gets every record once, in order, as it stands in the log', async () => {
    receiver = await SyslogReceiver.start();
    const id = await world.addSink('acme', target());
    await world.until(async () => (await world.sink('acme', id)).delivery.pending === 0, await worker());
    expect(receiver.seqs).toEqual(upTo(700));
    const [{ bytes } = {}] = await world.sql(`SELECT bytes FROM keyward.trail_record WHERE tenant_id = 'acme' AND seq = 699`);
    const message = receiver.messages[699]!;
    expect(JSON.stringify(JSON.parse(message.slice(message.indexOf('] ') + 2)))).toBe(String(bytes));
  });

  it('gets again what it may not have got', async () => {
    receiver = await SyslogReceiver.start();
    receiver.breaksAfter = 50_000;
    const id = await world.addSink('acme', target({ format: 'ocsf' }));
    const some = await worker();
    await world.until(async () => (await failuresOf(id)) > 1, some);
    expect(await errorOf(id)).toMatch(/^no connection/);
    expect((await world.sink('acme', id)).delivery.nextSeq).toBe(0);
    receiver.breaksAfter = Number.POSITIVE_INFINITY;
    await world.until(async () => (await world.sink('acme', id)).delivery.pending === 0, some);
    expect([...new Set(receiver.seqs)].sort((a, b) => a - b)).toEqual(upTo(700));
  });

  it('may ask who we are', async () => {
    receiver = await SyslogReceiver.start({ asksForClient: true });
    const nobody = await world.addSink('acme', target());
    await world.until(async () => (await failuresOf(nobody)) > 0, await worker());
    expect(receiver.messages).toEqual([]);
    await world.sql('DELETE FROM keyward.sink');
    const known = await world.addSink('acme', target({ clientCertificate: CLIENT.cert }), { plain: Buffer.from(CLIENT.key) });
    await world.until(async () => (await world.sink('acme', known)).delivery.pending === 0, await worker());
    expect(receiver.seqs.length).toBe(700);
  });

  it('is not believed with a certificate of another name', async () => {
    receiver = await SyslogReceiver.start({ host: '0.0.0.0' });
    const id = await world.addSink('acme', target({ host: '127.0.0.2' }));
    await world.until(async () => (await failuresOf(id)) > 0, await world.worker([`127.0.0.2:${receiver.port}`]));
    expect([await errorOf(id), receiver.messages]).toEqual(['no connection (ERR_TLS_CERT_ALTNAME_INVALID)', []]);
  });
});

describe('a bucket', () => {
  let store: BucketServer;
  afterEach(() => store.stop());
  const target = (): SinkTarget => ({
    ...{ type: 's3', endpoint: `https://${store.origin}`, bucket: 'trail', region: 'eu-test-1' },
    ...{ accessKeyId: store.credentials.accessKeyId, certificateAuthority: AUTHORITY },
  });
  const plain = () => Buffer.from(store.credentials.secretAccessKey);
  const worker = () => world.worker([store.origin]);
  const verified = (tenant = 'acme') =>
    verifyLog(
      async () =>
        tiledLog(
          { checkpoint: String(store.objects.get('checkpoint')), vkeys: [String(store.objects.get('vkey')).trim()], checkpoints: [] },
          (path) => Promise.resolve(store.objects.get(path)),
        ),
      { vkey: world.vkeys.get(tenant)! },
    );

  it('is a log that verifies, and goes on as the log does', async () => {
    store = await BucketServer.start();
    const id = await world.addSink('acme', target(), { plain: plain() });
    const some = await worker();
    await world.until(async () => (await world.sink('acme', id)).delivery.pending === 0, some);
    expect(await verified()).toMatchObject({ status: 'verified', size: 700, pinned: true });
    expect([...store.objects.keys()].sort()).toEqual([
      'checkpoint',
      ...['tile/0/000', 'tile/0/001', 'tile/0/002.p/188', 'tile/1/000.p/2'],
      ...['tile/entries/000', 'tile/entries/001', 'tile/entries/002.p/188', 'vkey'],
    ]);
    // Whoever reads it finds all that its checkpoint covers.
    expect(store.writes.at(-1)).toBe('checkpoint');
    await world.grow('acme', 400);
    await world.sql('UPDATE keyward.sink SET next_attempt_at = now()');
    await world.until(async () => (await world.sink('acme', id)).delivery.pending === 0, some);
    expect(await verified()).toMatchObject({ status: 'verified', size: 1100 });
    expect(store.writes.filter((key) => key === 'tile/0/000')).toEqual(['tile/0/000']);
    expect(store.objects.has('tile/1/000.p/4')).toBe(true);
  });

  it('that is begun when records were pruned has their hashes, and verifies', async () => {
    store = await BucketServer.start();
    await world.grow('globex', 700);
    await world.prune('globex', 512);
    const id = await world.addSink('globex', target(), { plain: plain() });
    const some = await worker();
    await world.until(async () => (await world.sink('globex', id)).delivery.pending === 0, some);
    expect(await verified('globex')).toMatchObject({ status: 'verified', size: 701, unseen: [{ from: 0, to: 512 }], pinned: true });
    expect([...store.objects.keys()].filter((key) => key.startsWith('tile/')).sort()).toEqual([
      ...['tile/0/000', 'tile/0/001', 'tile/0/002.p/189', 'tile/1/000.p/2'],
      'tile/entries/002.p/189',
    ]);
  });

  it('keeps what it has: another history is not written over it, and is told', async () => {
    store = await BucketServer.start();
    const id = await world.addSink('acme', target(), { plain: plain() });
    const some = await worker();
    store.objects.set('tile/entries/001', Buffer.from('other records'));
    await world.until(async () => (await failuresOf(id)) > 0, some);
    expect(await errorOf(id)).toBe('tile/entries/001 is in the bucket already, and differs from this log');
    expect([store.objects.has('checkpoint'), (await world.sink('acme', id)).delivery.nextSeq]).toEqual([false, 256]);
    store.objects.delete('tile/entries/001');
    await world.until(async () => (await world.sink('acme', id)).delivery.pending === 0, some);
    // Delivered once more from the beginning: all is there, and nothing is written but the checkpoint and the keys.
    const writes = store.writes.length;
    await world.sql('UPDATE keyward.sink SET next_seq = 0, next_attempt_at = now()');
    await world.until(async () => (await world.sink('acme', id)).delivery.pending === 0, some);
    expect(store.writes.slice(writes)).toEqual(['vkey', 'checkpoint']);
  });

  it('is not written with a wrong secret, as a strange signer judges', async () => {
    store = await BucketServer.start();
    const id = await world.addSink('acme', target(), { plain: Buffer.from('a wrong secret') });
    await world.until(async () => (await failuresOf(id)) > 0, await worker());
    expect([await errorOf(id), store.objects.size]).toEqual([expect.stringMatching(/: status 403$/), 0]);
  });

  it('is tried by writing twice: a store that replaces what must stay is found out', async () => {
    store = await BucketServer.start();
    const id = await world.addSink('acme', target(), { plain: plain(), state: 'Paused' });
    const some = await worker();
    const test = async () => {
      await world.sql('UPDATE keyward.sink SET test_requested_at = clock_timestamp()');
      await world.until(async () => (await world.sink('acme', id)).test?.testedAt !== undefined, some);
      return (await world.sink('acme', id)).test?.error;
    };
    expect(await test()).toBeUndefined();
    store.heedsConditions = false;
    expect(await test()).toBe('the store does not heed If-None-Match: *');
  });
});
