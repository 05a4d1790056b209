import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BucketServer } from '../receivers/bucket-server.js';
import { SyslogReceiver } from '../receivers/syslog-receiver.js';
import { AUTHORITY } from '../receivers/tls.js';
import { isSigned, WebhookReceiver } from '../receivers/webhook-receiver.js';
import { ForeignVerifier } from '../foreign-verifier/foreign-verifier.js';
import { api, must } from './api.js';
import { CommandLine } from './command-line.js';
import { type Onboarded, onboarded } from './onboarded.js';
import { asSuperuser, signedSize } from './signed.js';

const CALLS = 300;
const SECRET = 'secret/of+this=story';

describe("a tenant's records, delivered", () => {
  let world: Onboarded;
  let admin: CommandLine;
  let auditor: CommandLine;
  let webhook: WebhookReceiver;
  let syslog: SyslogReceiver;
  let bucket: BucketServer;
  const ids: Record<string, string> = {};
  let publicKey: string;

  beforeAll(async () => {
    [webhook, syslog] = await Promise.all([WebhookReceiver.start(), SyslogReceiver.start()]);
    bucket = await BucketServer.start({ accessKeyId: 'AKIASTORY', secretAccessKey: SECRET });
    const allowed = [webhook.origin, bucket.origin, `127.0.0.1:${syslog.port}`].join(',');
    world = await onboarded({ env: { KEYWARD_EGRESS_ALLOW: allowed } });
    admin = new CommandLine(world, world.acme, 'admin');
    auditor = new CommandLine(world, world.acme);
    writeFileSync(admin.file('ca.pem'), AUTHORITY);
    writeFileSync(admin.file('key'), `${SECRET}\n`);
  }, 180_000);
  afterAll(async () => {
    admin?.remove();
    auditor?.remove();
    await world?.stop();
    await Promise.all([webhook, syslog, bucket].map((receiver) => receiver?.stop()));
  }, 60_000);

  const create = async (...what: readonly string[]) => {
    const sink = await admin.json('sink', 'create', ...what, '--ca', admin.file('ca.pem'));
    ids[what[0]!] = String(sink['sinkId']);
    return sink;
  };
  const filesWith = (text: string) =>
    readdirSync(world.platform.dataDir.root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && readFileSync(join(entry.parentPath, entry.name)).includes(text))
      .map(({ name }) => name);
  const copyTo = (folder: string) => {
    for (const [path, bytes] of bucket.objects) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), bytes);
    }
  };
  const described = async (type: string) =>
    (await admin.json('sink', 'show', ids[type]!)) as { state: string; delivery: { nextSeq: number; pending: number } };

  it('begins with what an admin says, and shows nothing confidential again', async () => {
    const made = [
      await create('webhook', '--url', webhook.url),
      await create('syslog', '--host', '127.0.0.1', '--port', String(syslog.port)),
      await create(
        ...['s3', '--endpoint', `https://${bucket.origin}`, '--bucket', 'trail'],
        ...['--access-key-id', 'AKIASTORY', '--secret-key-file', admin.file('key')],
      ),
    ];
    publicKey = String(made[0]!['publicKey']);
    expect(publicKey).toMatch(/^whpk_[A-Za-z0-9+/]{43}=$/);
    const list = await admin.run('sink', 'list', '--json');
    expect(JSON.parse(list.out)).toMatchObject({ items: made.map(({ sinkId }) => ({ sinkId, state: 'Active' })) });
    expect([JSON.stringify(made), list.out].join()).not.toContain(SECRET);
    // Tables, their write-ahead log, the planes' logs, everything. What may be known is found by the same search.
    expect([filesWith(webhook.url).length > 0, filesWith(SECRET), filesWith(Buffer.from(SECRET).toString('base64url'))]).toEqual([
      true,
      [],
      [],
    ]);
  });

  it('is tried by the worker when the admin asks', async () => {
    for (const type of ['webhook', 'syslog', 's3']) expect(await admin.json('sink', 'test', ids[type]!)).toMatchObject({ status: 'works' });
    expect(bucket.objects.has('keyward-test')).toBe(true);
  });

  it('reaches every receiver whole, over a kill -9 of the worker in the middle', async () => {
    const call = (seq: number) =>
      api(world.platform.urls.dataPlanes[0]!, world.billing, 'POST', '/v1/tenants/acme/data-keys', {
        keyId: 'alias/invoices',
        encryptionContext: { purpose: seq % 5 === 0 ? 'other' : 'invoice' },
      });
    // While a receiver holds a message, so that the worker surely dies between sending and knowing.
    webhook.manner = 'hangs';
    const asked = webhook.asked;
    for (let seq = 0; seq < CALLS; seq++) {
      await call(seq);
      if (seq === CALLS / 2) {
        while (webhook.asked === asked) await sleep(20);
        world.platform.processes.get('worker')!.kill('SIGKILL');
        webhook.manner = 'takes';
      }
    }
    const { body } = await must(world.platform.urls.auditor, world.acme.auditor, 'GET', '/v1/tenants/acme/records?limit=1');
    const size = Number(body['size']);
    await signedSize(world, 'acme', size);
    // What the killed worker held is nobody's for the rest of its lease.
    for (let tried = 0; tried < 400; tried++) {
      const all = await Promise.all(['webhook', 'syslog', 's3'].map(described));
      if (all.every(({ delivery }) => delivery.nextSeq >= size)) break;
      await sleep(250);
    }
    const whole = Array.from({ length: size }, (_, seq) => seq);
    for (const seqs of [webhook.seqs, syslog.seqs]) expect([...new Set(seqs)].slice(0, size)).toEqual(whole);
    expect(webhook.received.every((message) => isSigned(message, publicKey))).toBe(true);
  }, 180_000);

  it('makes a bucket that anybody can verify, and nobody can forge', async () => {
    const folder = auditor.file('bucket');
    copyTo(folder);
    expect(await auditor.json('verify', folder)).toMatchObject({ status: 'verified', pinned: true, size: expect.any(Number) as number });
    const foreign = await ForeignVerifier.compiled();
    try {
      expect(foreign.verifyFolder(world.acme.vkey, folder)).toMatchObject({ exit: 0 });
    } finally {
      foreign.remove();
    }
    const tile = join(folder, 'tile/entries/000');
    writeFileSync(tile, readFileSync(tile).toString('latin1').replace('billing', 'filling'), 'latin1');
    expect(await auditor.run('verify', folder)).toMatchObject({ exit: 6, out: expect.stringContaining('first bad record') as string });
  }, 300_000);

  it('makes a bucket that verifies by the first key, also when another one signs', async () => {
    expect((await admin.run('log', 'rotate-key')).exit).toBe(0);
    const database = (text: string) =>
      asSuperuser(world.platform.superuserUrl, async (client) => (await client.query(text)).rows as { done: boolean }[]);
    const until = async (text: string) => {
      for (let tried = 0; tried < 300 && (await database(text))[0]?.done !== true; tried++) await sleep(100);
    };
    const covered = `SELECT size > (SELECT max(seq) FROM keyward.trail_record WHERE tenant_id = 'acme') AS done FROM keyward.trail_checkpoint WHERE tenant_id = 'acme'`;
    await until(covered);
    await database(`UPDATE keyward.log_key SET retires_at = now() - interval '1 second'`);
    await until('SELECT bool_and(destroyed_at IS NOT NULL) AS done FROM keyward.log_key');
    await must(world.platform.urls.auditor, world.acme.auditor, 'GET', '/v1/tenants/acme/records?limit=1');
    await until(covered);
    await until(
      `SELECT s.next_seq = c.size AS done FROM keyward.sink s JOIN keyward.trail_checkpoint c USING (tenant_id) WHERE s.sink_id = '${ids['s3']}'`,
    );
    const folder = auditor.file('rotated');
    copyTo(folder);
    expect(await auditor.json('verify', folder)).toMatchObject({
      status: 'verified',
      pinned: true,
      followedTo: expect.any(String) as string,
    });
  }, 120_000);

  it('pauses, goes back and ends as the admin says, and the log tells', async () => {
    expect((await admin.run('sink', 'pause', ids['webhook']!)).exit).toBe(0);
    const seen = webhook.received.length;
    await admin.run('sink', 'deliver-from', ids['webhook']!, '5');
    await sleep(1500);
    expect(webhook.received.length).toBe(seen);
    await admin.run('sink', 'resume', ids['webhook']!);
    for (let tried = 0; tried < 100 && webhook.received.length === seen; tried++) await sleep(100);
    expect(JSON.parse(webhook.received[seen]!.body.toString())).toEqual(
      expect.arrayContaining([expect.objectContaining({ sequence: '5' })]),
    );
    expect((await admin.run('sink', 'deliver-from', ids['s3']!, '99999999')).exit).toBe(2);
    expect((await admin.run('sink', 'remove', ids['webhook']!)).exit).toBe(0);
    expect((await admin.run('sink', 'show', ids['webhook']!)).exit).toBe(4);
    const told = await auditor.run('records', 'list', '--op', 'UpdateSink', '--json');
    expect(JSON.parse(told.out)).toMatchObject({
      items: [
        { change: { sinkId: ids['webhook'], state: 'Paused' } },
        { change: { nextSeq: 5 } },
        { change: { state: 'Active' } },
        { outcome: 'refused' },
      ],
    });
  });
});
