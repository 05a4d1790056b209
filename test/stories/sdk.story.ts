import { execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { Envelope, KeyDisabled, KeywardClient, Recipient } from '#sdk';
import { dataPlaneContract, type TenantsHand } from '../../libs/sdk/test/data-plane-contract.js';
import { must } from './api.js';
import { builtTest } from './built.js';
import { CommandLine } from './command-line.js';
import { INVOICE_POLICY, type Onboarded, onboarded } from './onboarded.js';

const STREAM_MB = Number(process.env['KEYWARD_STREAM_MB'] ?? 512);
const checkout = join(__dirname, '..', '..');

describe('the SDK on a whole platform', () => {
  let world: Onboarded;
  let client: KeywardClient;
  const ids = new Map<string, string>();
  let stopId = '';
  const folder = mkdtempSync(join(tmpdir(), 'keyward-sdk-'));

  beforeAll(async () => {
    world = await onboarded();
    client = new KeywardClient({ apiKey: world.billing, url: world.platform.urls.dataPlanes[0]! });
    ids.set('alias/invoices', world.acme.keyId);
    ids.set('alias/spare', String((await admin('POST', '/keys', { alias: 'alias/spare' })).body['keyId']));
    const [grant] = INVOICE_POLICY.grants;
    const grants = [{ ...grant, id: 'both', objects: ['alias/invoices', 'alias/spare'], when: undefined }];
    const { headers } = await admin('GET', '/policy');
    await admin('PUT', '/policy', { ...INVOICE_POLICY, grants }, { 'if-match': headers.get('etag')! });
  }, 180_000);
  afterAll(async () => {
    client?.close();
    await world?.stop();
    rmSync(folder, { recursive: true });
  }, 60_000);

  const admin = (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
    must(world.platform.urls.keyPlane, world.acme.admin, method, `/v1/tenants/acme${path}`, body, headers);
  const hand: TenantsHand = {
    get client() {
      return client;
    },
    disable: async (alias) => void (await admin('POST', `/keys/${ids.get(alias)}/disable`)),
    enable: async (alias) => void (await admin('POST', `/keys/${ids.get(alias)}/enable`)),
    stop: async () => void (stopId = String((await admin('POST', '/stops', { target: { scope: 'everything' } })).body['stopId'])),
    lift: async () => void (await admin('DELETE', `/stops/${stopId}`)),
  };
  dataPlaneContract(() => hand);

  it('shows the tenant who opens data by a spare key, for as long as they can', async () => {
    const [expectedContext, envelope] = [{ purpose: 'invoice' }, new Envelope(client, { cache: false })];
    const scope = { tenant: 'acme', keyId: 'alias/invoices', spareKeyId: 'alias/spare', context: expectedContext };
    const message = await envelope.encrypt(Buffer.from('DE02'), scope);
    const open = () => envelope.decrypt(message, { tenant: 'acme', expectedContext });
    const commands = new CommandLine(world, world.acme, 'admin');
    const whoOpens = async () => {
      const told = await commands.json('policy', 'who-can', 'alias/spare', '--operation', 'Decrypt');
      const { body } = await admin('GET', '/who-can?keyId=alias/spare&operation=Decrypt');
      expect(told).toMatchObject({ items: body['items'] });
      return (body['items'] as { subject: string; keyId: string }[]).map(({ subject, keyId }) => [subject, keyId]);
    };
    const published = async (objects: readonly string[]) => {
      const { headers, body } = await admin('GET', '/policy');
      const document = body['document'] as { grants: object[] };
      const grants = document.grants.map((grant) => ({ ...grant, objects }));
      await admin('PUT', '/policy', { ...document, grants }, { 'if-match': headers.get('etag')! });
    };
    await hand.disable('alias/invoices');
    expect(await whoOpens()).toEqual([['svc:billing', ids.get('alias/spare')]]);
    expect(String(Buffer.from(await open()))).toBe('DE02');
    await published(['alias/invoices']);
    expect(await whoOpens()).toEqual([]);
    await expect(open()).rejects.toBeInstanceOf(KeyDisabled);
    await published(['alias/invoices', 'alias/spare']);
    await hand.enable('alias/invoices');
    commands.remove();
  });

  it('reads nothing at a proxy where TLS ends, with a recipient; and everything without', async () => {
    const seen: Buffer[] = [];
    const plane = new URL(world.platform.urls.dataPlanes[0]!);
    const proxy = createServer((near) => {
      const far = connect(Number(plane.port), plane.hostname);
      near.pipe(far);
      far.on('data', (chunk: Buffer) => seen.push(chunk)).pipe(near);
      for (const end of [near, far]) end.on('error', () => undefined);
    });
    await new Promise<void>((ready) => proxy.listen(0, '127.0.0.1', ready));
    const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const passed = (bytes: Uint8Array) =>
      [bytes, Buffer.from(Buffer.from(bytes).toString('base64'))].some((one) => Buffer.concat(seen).includes(one));
    const scope = { tenant: 'acme', keyId: 'alias/invoices', context: { purpose: 'invoice' } };
    for (const recipient of [undefined, Recipient.generate('X25519'), Recipient.generate('P-256')]) {
      const behind = new KeywardClient({ apiKey: world.billing, url, recipient });
      const made = await behind.generateDataKey(scope);
      const [batched] = await behind.generateDataKeyBatch('acme', [scope]);
      const item = { ciphertext: made.ciphertext, context: scope.context };
      const [opened] = await behind.decryptBatch('acme', [item]);
      expect(await behind.decrypt({ ...item, tenant: 'acme' })).toMatchObject({ plaintext: made.plaintext });
      expect(opened).toMatchObject({ plaintext: made.plaintext, lease: made.lease, keyId: made.keyId });
      if ('error' in batched!) throw batched.error;
      expect([passed(made.plaintext), passed(batched!.plaintext)]).toEqual(Array(2).fill(recipient === undefined));
      behind.close();
    }
    await new Promise((closed) => proxy.close(closed));
  });

  it(`streams ${STREAM_MB} MB from one process to another, each in less than 200 MB of memory`, async () => {
    const end = (name: 'seal' | 'open') => {
      const env = { SERVICE_KEY: world.billing, USES: world.platform.urls.dataPlanes[0], END: name, STREAM_MB: String(STREAM_MB) };
      return spawn(process.execPath, [builtTest('stories/streaming-sdk.js')], { env, stdio: ['pipe', 'pipe', 'pipe'] });
    };
    const [seal, open] = [end('seal'), end('open')];
    seal.stdout.pipe(open.stdin);
    for (const one of await Promise.all([seal, open].map((child) => text(child.stderr)))) {
      const told = JSON.parse(one);
      process.stderr.write(`${STREAM_MB} MB: at most ${Number(told.rssMb).toFixed(0)} MB of memory\n`);
      expect(told.bytes).toBe(STREAM_MB * 1024 * 1024);
      expect(told.rssMb).toBeLessThan(200);
    }
  }, 280_000);

  it('is installed from its package alone, without a line of a server, and encrypts', () => {
    const packed = execFileSync(process.execPath, [join(checkout, 'pack-sdk.mjs')], { encoding: 'utf8' }).trim();
    expect(readdirSync(packed).sort()).toEqual(['LICENSE', 'README.md', 'contract', 'formats.md', 'package.json', 'sdk', 'trail']);
    const { dependencies } = JSON.parse(readFileSync(join(packed, 'package.json'), 'utf8'));
    expect(Object.keys(dependencies)).toEqual(['zod']);
    // As npm lays it out, without asking a registry.
    const modules = join(folder, 'node_modules');
    mkdirSync(join(modules, '@keyward'), { recursive: true });
    cpSync(packed, join(modules, '@keyward', 'sdk'), { recursive: true });
    cpSync(join(checkout, 'node_modules', 'zod'), join(modules, 'zod'), { recursive: true });
    expect(existsSync(join(modules, 'typeorm'))).toBe(false);
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    writeFileSync(join(folder, 'service.js'), SERVICE);
    const env = { PATH: process.env['PATH'], API_KEY: world.billing, URL_OF_PLANE: world.platform.urls.dataPlanes[0] };
    const told = () => execFileSync(process.execPath, ['service.js'], { cwd: folder, env, encoding: 'utf8' }).trim();
    expect(told()).toBe('DE02 1001, in memory too, no spans');
    symlinkSync(join(checkout, 'node_modules', '@opentelemetry'), join(modules, '@opentelemetry'));
    expect(told()).toBe('DE02 1001, in memory too, keyward data-keys, keyward decrypt');
  }, 120_000);
});

const SERVICE = `
import { Envelope, Fields, KeywardClient } from '@keyward/sdk';
import { MemoryKeyward } from '@keyward/sdk/testing';

const scope = { tenant: 'acme', keyId: 'alias/invoices', context: { purpose: 'invoice' } };
const otel = await import('@opentelemetry/sdk-trace-base').catch(() => undefined);
const spans = otel && new otel.InMemorySpanExporter();
const tracerProvider = otel && new otel.BasicTracerProvider({ spanProcessors: [new otel.SimpleSpanProcessor(spans)] });
const client = new KeywardClient({ url: process.env.URL_OF_PLANE, apiKey: process.env.API_KEY, tracerProvider });
const message = await new Envelope(client).encrypt(Buffer.from('DE02 1001'), scope);
const opened = await new Envelope(client).decrypt(message, { tenant: 'acme', expectedContext: scope.context });
client.close();

const memory = new MemoryKeyward();
memory.grant('acme', 'alias/invoices');
const fields = new Fields(memory).of(scope);
const sealed = await fields.encrypt(Buffer.from('in memory too'));
const told = spans ? spans.getFinishedSpans().map(({ name }) => name) : ['no spans'];
console.log([Buffer.from(opened), Buffer.from(await fields.decrypt(sealed)), ...told].join(', '));
`;
