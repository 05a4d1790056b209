import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { FRAME_TYPE, joinFrame, splitFrame } from '#contract';
import type { Config } from '#runtime';
import { bundleOf, LOG_VKEY, sampleLog } from '../../libs/trail/test/sample-log.js';
import { exitCodeOf } from './exit-codes.js';
import { runCli } from './program.js';
import { fields, table } from './terminal.js';

const API_KEY = `kw_acme_01m852602rfg9ttm5sf4d3fhxa_${'S'.repeat(43)}`;
const CREDENTIAL = 'crd_01m852602rfg9ttm5sf4d3fhxa';
const KEY = 'key_01m85261sbeczshm68xjhpjemj';
const VERSION = 'kver_01m85261sbfn6axk0ndyz850np';
const TIME = '2026-03-01T12:00:00.000Z';

/** What one call sent. */
interface Asked {
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly authorization: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}
type Answer = { readonly status: number; readonly body?: object };

const folder = mkdtempSync(join(tmpdir(), 'keyward-cli-'));
let server: Server;
let asked: Asked[];
let answers: Answer[];

beforeAll(async () => {
  server = createServer((request, response) => void serve(request, response));
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  writeFileSync(file('admin.json'), JSON.stringify(profile()), { mode: 0o600 });
  writeFileSync(file('first.json'), JSON.stringify({ ...planes(), operator: { apiKey: API_KEY, expiresAt: TIME } }), { mode: 0o600 });
});
afterAll(async () => {
  await new Promise((closed) => server.close(closed));
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  asked = [];
  answers = [];
});

const file = (name: string) => join(folder, name);
const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const planes = () => ({ keyPlane: url(), dataPlane: url(), auditor: url() });
const profile = () => ({
  ...planes(),
  tenant: 'acme',
  principal: 'anna',
  role: 'admin',
  credentialId: CREDENTIAL,
  apiKey: API_KEY,
  expiresAt: TIME,
  vkey: LOG_VKEY,
});

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method, url: path, headers } = request;
  const received = await buffer(request);
  const framed = headers['content-type'] === FRAME_TYPE ? splitFrame(received) : undefined;
  asked.push({ method, path, headers, authorization: headers.authorization, body: bodyOf(framed, received) });
  const { status, body } = answers.shift() ?? { status: 200, body: {} };
  if (framed !== undefined) return answerFramed(response, body);
  response.writeHead(status, { 'content-type': 'application/json', 'x-request-id': 'req_1', 'keyward-record': '7' });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}

/** A frame told as the JSON body that it stands for. */
function bodyOf(framed: ReturnType<typeof splitFrame>, received: Buffer): string {
  if (framed === undefined) return received.toString();
  return JSON.stringify({ ...JSON.parse(framed.json.toString()), plaintext: framed.bytes.toString('base64') });
}

function answerFramed(response: ServerResponse, { ciphertext = '', ...body }: { ciphertext?: string } = {}): void {
  response.writeHead(200, { 'content-type': FRAME_TYPE, 'x-request-id': 'req_1', 'keyward-record': '7' });
  response.end(joinFrame(Buffer.from(JSON.stringify(body)), Buffer.from(ciphertext, 'base64')));
}

const problem = (status: number, code: string) => ({
  status,
  body: { type: `urn:keyward:problem:${code}`, title: 'No.', status, code, requestId: 'req_1', retryable: false },
});

const config: Config = {
  process: 'cli',
  listen: { host: '127.0.0.1', port: 0 },
  tls: { mode: 'none' },
  databaseUrl: undefined,
  redisUrl: undefined,
  redisPasswordFile: undefined,
  socketDir: undefined,
  pepperFile: undefined,
  workerPublicKeyFile: undefined,
  workerPrivateKeyFile: undefined,
  dataDir: undefined,
  credentialsFile: undefined,
  platformHost: 'keyward.local',
  audience: 'keyward:keyward.local',
  trustedProxies: [],
  egressAllow: [],
  logLevel: 'info',
  metricsTokenFile: undefined,
  exitWithParent: false,
};

async function keyward(line: string[], { stdin = '', as = 'admin.json' }: { stdin?: string | Buffer; as?: string | undefined } = {}) {
  const terminal = { in: Readable.from([Buffer.from(stdin)]), out: new PassThrough(), talk: new PassThrough() };
  const exit = await runCli(line, terminal, () => ({ ...config, credentialsFile: file(as) }));
  terminal.out.end();
  terminal.talk.end();
  return { exit, out: await text(terminal.out), talk: await text(terminal.talk) };
}

const key = {
  keyId: KEY,
  state: 'Enabled',
  keySpec: 'AES_256',
  keyUsage: 'ENCRYPT_DECRYPT',
  origin: 'KEYWARD',
  protectionLevel: 'SOFTWARE_TOKEN',
};
const described = {
  ...key,
  ...{ description: '', aliases: ['alias/invoices'], tags: {}, primaryVersion: VERSION, createdAt: TIME, deletionProtection: false },
};

describe('what a command sends', () => {
  it('is the operation, with the credential of the file and its tenant', async () => {
    answers = [{ status: 201, body: described }];
    expect(await keyward(['key', 'create', '--alias', 'alias/invoices'])).toMatchObject({ exit: 0 });
    expect(asked[0]).toMatchObject({ method: 'POST', path: '/v1/tenants/acme/keys', authorization: `Bearer ${API_KEY}` });
    expect(JSON.parse(asked[0]!.body)).toEqual({ description: '', alias: 'alias/invoices' });
  });

  it.each([
    [['describe', KEY], 'GET', '', undefined],
    [['set-description', KEY, 'for invoices'], 'PUT', '/description', { description: 'for invoices' }],
    [['rotate', KEY], 'POST', '/versions', {}],
    [['rotate', KEY, '--reason', 'lost'], 'POST', '/versions', { reason: 'lost' }],
    [['tag', KEY, 'team=blue', 'a=b=c'], 'POST', '/tag', { tags: { team: 'blue', a: 'b=c' } }],
    [['untag', KEY, 'team,a'], 'POST', '/untag', { names: ['team', 'a'] }],
    [['protect', KEY], 'PUT', '/deletion-protection', { enabled: true }],
    [['unprotect', KEY], 'PUT', '/deletion-protection', { enabled: false }],
    [['unprotect', KEY, '--service', 'billing'], 'PUT', '/deletion-protection', { enabled: false, service: 'billing' }],
    [['disable', KEY], 'POST', '/disable', {}],
    [['disable', KEY, '--service', 'billing'], 'POST', '/disable', { service: 'billing' }],
    [['schedule-deletion', KEY, '--service', 'billing'], 'POST', '/schedule-deletion', { pendingDays: 30, service: 'billing' }],
    [['schedule-deletion', KEY], 'POST', '/schedule-deletion', { pendingDays: 30 }],
    [['schedule-deletion', KEY, '--days', '7'], 'POST', '/schedule-deletion', { pendingDays: 7 }],
    [['cancel-deletion', KEY], 'POST', '/cancel-deletion', undefined],
    [['delete-material', KEY], 'POST', '/delete-material', undefined],
  ])('key %j', async (line, method, path, body) => {
    answers = [{ status: 200, body: described }];
    expect(await keyward(['key', ...line])).toMatchObject({ exit: 0 });
    expect(asked[0]).toMatchObject({ method, path: `/v1/tenants/acme/keys/${KEY}${path}` });
    expect(asked[0]!.body === '' ? undefined : JSON.parse(asked[0]!.body)).toEqual(body);
  });

  it.each([
    [['rotate'], 'POST', '/v1/binding-key/rotate'],
    [['retire', '--yes'], 'POST', '/v1/binding-key/retire'],
    [['describe'], 'GET', '/v1/binding-key'],
  ])('binding-key %s', async (command, method, path) => {
    const bound = { number: 1, rotating: true, left: 3, broken: 0, rebound: false, retired: false, startedAt: TIME };
    answers = [{ status: 200, body: bound }];
    const said = await keyward(['binding-key', ...command, '--json']);
    expect([said.exit, JSON.parse(said.out)]).toEqual([0, expect.objectContaining(bound)]);
    expect(asked[0]).toMatchObject({ method, path });
  });

  it.each([
    ['rotate', 'POST', '/v1/tenants/acme/root/rotate'],
    ['describe', 'GET', '/v1/tenants/acme/root'],
  ])('root %s', async (command, method, path) => {
    const root = { root: 1, rotating: true, left: 3, startedAt: TIME };
    answers = [{ status: 200, body: root }];
    const said = await keyward(['root', command, '--json']);
    expect([said.exit, JSON.parse(said.out)]).toEqual([0, expect.objectContaining(root)]);
    expect(asked[0]).toMatchObject({ method, path });
  });

  it('key shredding-receipt prints the receipt as it was signed, and says when there is none yet', async () => {
    const destroyed = { keyId: KEY, destroyedAt: TIME };
    answers = [{ status: 200, body: { ...destroyed, receipt: 'keyward.example\n\n— signed\n' } }];
    expect(await keyward(['key', 'shredding-receipt', KEY])).toMatchObject({ exit: 0, out: 'keyward.example\n\n— signed\n' });
    expect(asked[0]).toMatchObject({ method: 'GET', path: `/v1/tenants/acme/keys/${KEY}/shredding-receipt` });
    answers = [{ status: 200, body: destroyed }];
    expect((await keyward(['key', 'shredding-receipt', KEY])).exit).not.toBe(0);
  });

  it.each([
    [['show', KEY], 'GET', undefined, undefined],
    [['set', KEY, '--every', '90', '--replaces', '0'], 'PUT', { enabled: true, intervalDays: 90 }, { 'if-none-match': '*' }],
    [['off', KEY, '--replaces', '3'], 'PUT', { enabled: false }, { 'if-match': '"3"' }],
  ])('key rotation %j', async (line, method, body, headers) => {
    answers = [{ status: 200, body: { version: 1, status: 'Disabled' } }];
    expect(await keyward(['key', 'rotation', ...line])).toMatchObject({ exit: 0 });
    expect(asked[0]).toMatchObject({ method, path: `/v1/tenants/acme/keys/${KEY}/rotation` });
    expect(asked[0]!.body === '' ? undefined : JSON.parse(asked[0]!.body)).toEqual(body);
    if (headers) expect(asked[0]!.headers).toMatchObject(headers);
  });

  it('key rotation calendar lists what comes', async () => {
    answers = [{ status: 200, body: { items: [{ at: TIME, event: 'deletion', keyId: KEY, keyState: 'PendingDeletion' }] } }];
    expect(await keyward(['key', 'rotation', 'calendar', '--limit', '5'])).toMatchObject({ exit: 0 });
    expect(asked[0]).toMatchObject({ method: 'GET', path: '/v1/tenants/acme/calendar?limit=5' });
  });

  it('key rotation set replaces the version that it has just read', async () => {
    answers = [
      { status: 200, body: { version: 4, status: 'Disabled' } },
      { status: 200, body: { version: 5, status: 'Enabled', intervalDays: 7 } },
    ];
    expect(await keyward(['key', 'rotation', 'set', KEY, '--every', '7'])).toMatchObject({ exit: 0 });
    expect(asked.map(({ method }) => method)).toEqual(['GET', 'PUT']);
  });

  it.each([
    [['move', 'alias/a', KEY], 'PUT', '/v1/tenants/acme/aliases', { alias: 'alias/a', keyId: KEY }],
    [['delete', 'alias/a'], 'DELETE', '/v1/tenants/acme/aliases?alias=alias%2Fa', undefined],
    [['list', '--key', KEY], 'GET', `/v1/tenants/acme/aliases?keyId=${KEY}`, undefined],
  ])('alias %j', async (line, method, path, body) => {
    answers = [{ status: 200, body: method === 'GET' ? { items: [{ alias: 'alias/a', keyId: KEY }] } : { alias: 'alias/a', keyId: KEY } }];
    expect(await keyward(['alias', ...line])).toMatchObject({ exit: 0 });
    expect(asked[0]).toMatchObject({ method, path });
    expect(asked[0]!.body === '' ? undefined : JSON.parse(asked[0]!.body)).toEqual(body);
  });

  it.each([
    [['stop', 'everything', '--reason', 'why'], { target: { scope: 'everything' }, reason: 'why' }],
    [['stop', 'service', 'billing'], { target: { scope: 'service', service: 'billing' }, reason: '' }],
    [['stop', 'key', KEY], { target: { scope: 'key', keyId: KEY }, reason: '' }],
    [['stop', 'context', 'a=b=c'], { target: { scope: 'context', name: 'a', value: 'b=c' }, reason: '' }],
  ])('%j', async (line, body) => {
    answers = [{ status: 201, body: { stopId: 'stop_01m85264czew8raw9vwxx0dkkp', ...body, stoppedBy: 'anna', stoppedAt: TIME } }];
    expect((await keyward(line)).exit).toBe(0);
    expect(JSON.parse(asked[0]!.body)).toEqual(body);
  });

  it('tells what the HSM can do, and why not the rest', async () => {
    const spec = (keySpec: string, more: object) => ({
      keySpec,
      keyUsages: ['GENERATE_VERIFY_MAC'],
      protectionLevel: 'SOFTWARE_TOKEN',
      ...more,
    });
    const specs = [spec('HMAC_256', { available: true }), spec('HMAC_512', { available: false, reason: 'CKR_X' })];
    const algorithms = [{ algorithm: 'RSAES_OAEP_SHA_256', available: false, reason: 'CKR_Y' }];
    answers = [{ status: 200, body: { module: 'SoftHSM 2.6', protectionLevel: 'SOFTWARE_TOKEN', specs, algorithms } }];
    const { exit, out } = await keyward(['capabilities']);
    expect([exit, asked[0]?.path]).toEqual([0, '/v1/tenants/acme/capabilities']);
    expect(out).toMatch(
      /^SoftHSM 2.6 \(SOFTWARE_TOKEN\)\n[^]*HMAC_256 .*SOFTWARE_TOKEN .* yes[^]*HMAC_512 .* no +CKR_X[^]*RSAES_OAEP_SHA_256 .* no +CKR_Y/,
    );
  });

  it('encrypts to an RSA key and has it decrypt', async () => {
    const used = { keyId: KEY, keyVersionId: VERSION, algorithm: 'RSAES_OAEP_SHA_1' };
    answers = [{ status: 200, body: { ...used, ciphertext: 'AQI=' } }];
    const oaep = ['--key', 'alias/a', '--algorithm', 'RSAES_OAEP_SHA_1'];
    expect((await keyward(['asymmetric-encrypt', ...oaep], { stdin: 'x' })).out).toBe('AQI=\n');
    expect(JSON.parse(asked[0]!.body)).toEqual({ keyId: 'alias/a', algorithm: 'RSAES_OAEP_SHA_1', plaintext: 'eA==' });
    answers = [{ status: 200, body: { ...used, plaintext: 'eA==' } }];
    expect((await keyward(['asymmetric-decrypt', ...oaep, '--key-version', VERSION], { stdin: 'AQI=' })).out).toBe('x');
    expect((await keyward(['asymmetric-decrypt', ...oaep], { stdin: 'AQI=' })).exit).toBe(2);
  });

  it('says what an RSA key is for', async () => {
    answers = [{ status: 400, body: {} }];
    await keyward(['key', 'create', '--spec', 'RSA_4096', '--usage', 'SIGN_VERIFY']);
    expect(JSON.parse(asked[0]!.body)).toEqual({ keySpec: 'RSA_4096', keyUsage: 'SIGN_VERIFY', description: '' });
  });

  it('moves a ciphertext to another key', async () => {
    answers = [{ status: 200, body: { keyId: KEY, keyVersionId: VERSION, ciphertext: 'AQI=' } }];
    const line = ['re-encrypt', '--to-key', 'alias/archive', '--from-context', 'a=b', '--to-context', 'c=d'];
    expect(await keyward(line, { stdin: 'AQID' })).toMatchObject({ exit: 0, out: 'AQI=\n' });
    expect(asked.map(({ path, body }) => [path, JSON.parse(body)])).toEqual([
      [
        '/v1/tenants/acme/re-encrypt',
        {
          ciphertext: 'AQID',
          sourceEncryptionContext: { a: 'b' },
          destinationKeyId: 'alias/archive',
          destinationEncryptionContext: { c: 'd' },
        },
      ],
    ]);
  });

  it('signs and verifies, and ends with 6 for what is no signature', async () => {
    const used = { keyId: KEY, keyVersionId: VERSION };
    answers = [
      { status: 200, body: { ...used, algorithm: 'ECDSA_SHA_256', signature: 'AQI=' } },
      { status: 200, body: { ...used, valid: false } },
      { status: 200, body: { ...used, keySpec: 'EC_P256', publicKey: 'AQI=', pem: 'PEM\n' } },
    ];
    const by = ['--key', 'alias/s', '--algorithm', 'ECDSA_SHA_256'];
    expect(await keyward(['sign', ...by, '--digest'], { stdin: 'm' })).toMatchObject({ exit: 0, out: 'AQI=\n' });
    expect((await keyward(['verify-signature', 'AQI=', ...by], { stdin: 'm' })).exit).toBe(6);
    expect(await keyward(['public-key', '--key', 'alias/s'])).toMatchObject({ exit: 0, out: 'PEM\n' });
    const signed = { keyId: 'alias/s', algorithm: 'ECDSA_SHA_256', message: 'bQ==' };
    expect(asked.map(({ path, body }) => [path, JSON.parse(body)])).toEqual([
      ['/v1/tenants/acme/sign', { ...signed, messageType: 'DIGEST' }],
      ['/v1/tenants/acme/verify', { ...signed, signature: 'AQI=' }],
      ['/v1/tenants/acme/public-key', { keyId: 'alias/s' }],
    ]);
  });

  it('makes and checks MACs, and ends with 6 for one that is none', async () => {
    const used = { keyId: KEY, keyVersionId: VERSION };
    answers = [
      { status: 200, body: { ...used, mac: 'AQI=' } },
      { status: 200, body: { ...used, valid: false } },
    ];
    expect(await keyward(['mac', 'generate', '--key', 'alias/m'], { stdin: 'm' })).toMatchObject({ exit: 0, out: 'AQI=\n' });
    expect((await keyward(['mac', 'verify', 'AQI=', '--key', 'alias/m', '--key-version', VERSION], { stdin: 'm' })).exit).toBe(6);
    expect(asked.map(({ path, body }) => [path, JSON.parse(body)])).toEqual([
      ['/v1/tenants/acme/mac', { keyId: 'alias/m', message: 'bQ==' }],
      ['/v1/tenants/acme/mac/verify', { keyId: 'alias/m', keyVersionId: VERSION, message: 'bQ==', mac: 'AQI=' }],
    ]);
  });

  it('publishes a policy over the one in force', async () => {
    const document = { schema: 'keyward.policy/1', roles: {}, grants: [], guardrails: [] };
    const inForce = { version: 3, digest: 'd', author: 'anna', publishedAt: TIME, document };
    answers = [
      { status: 200, body: inForce },
      { status: 200, body: { ...inForce, version: 4 } },
    ];
    expect((await keyward(['policy', 'put', '-'], { stdin: JSON.stringify(document) })).exit).toBe(0);
    expect(asked[1]!.headers['if-match']).toBe('"3"');
    answers = [problem(404, 'not-found'), { status: 200, body: inForce }];
    expect((await keyward(['policy', 'put', '-'], { stdin: JSON.stringify(document) })).exit).toBe(0);
    expect(asked[3]!.headers['if-none-match']).toBe('*');
  });

  it('publishes Casbin CSV as well, and says here what is wrong with it', async () => {
    const csv = 'p, one, svc:billing, tenant, alias/a, Decrypt, {}, allow\n';
    writeFileSync(file('policy.csv'), csv);
    const said = await keyward(['policy', 'lint', file('policy.csv'), '--json']);
    expect(JSON.parse(said.out)).toMatchObject({ valid: true });
    writeFileSync(file('wrong.csv'), csv.replace('allow', 'Allow'));
    const wrong = await keyward(['policy', 'lint', file('wrong.csv')]);
    expect([wrong.exit, wrong.out]).toEqual([2, expect.stringMatching(/wrong\.csv:1: G\d{3} error /)]);
    expect((await keyward(['policy', 'put', file('wrong.csv')])).exit).toBe(2);
    const explained = await keyward(['policy', 'explain', file('policy.csv')]);
    expect(explained.out).toContain('billing');
    expect(asked).toEqual([]);
  });

  it('writes one form as the other, and back, without a server', async () => {
    const csv = `p, one, svc:billing, tenant, alias/a, Decrypt, "{""description"":""a \\u0028b""}", allow\n`;
    writeFileSync(file('policy.csv'), csv);
    const { out } = await keyward(['policy', 'convert', file('policy.csv')]);
    const { schema, grants } = JSON.parse(out) as Record<string, unknown>;
    expect({ schema, grants }).toEqual({
      schema: 'keyward.policy/1',
      grants: [{ id: 'one', subjects: ['svc:billing'], objects: ['alias/a'], operations: ['Decrypt'], description: 'a (b' }],
    });
    const back = await keyward(['policy', 'convert', '-'], { stdin: out });
    writeFileSync(file('back.csv'), back.out);
    expect((await keyward(['policy', 'convert', file('back.csv')])).out).toBe(out);
    expect((await keyward(['policy', 'convert', '-'], { stdin: '{}' })).exit).toBe(2);
  });

  it('tells how to acknowledge warnings, and publishes when they are', async () => {
    const fields = [{ field: 'grants.0', message: 'G016: A tag.' }];
    const { status, body } = problem(400, 'invalid-request');
    answers = [{ status, body: { ...body, errors: fields } }];
    const publish = ['policy', 'publish', '--replaces', '3', '--digest', 'd'];
    const refused = await keyward(publish);
    expect([refused.exit, refused.talk]).toEqual([2, expect.stringContaining('--acknowledge G016')]);
    answers = [
      { status: 200, body: { version: 4, digest: 'd', author: 'anna', publishedAt: TIME, document: { schema: 'keyward.policy/1' } } },
    ];
    expect((await keyward([...publish, '--acknowledge', 'G016'])).exit).toBe(0);
    expect([asked[1]!.headers['if-match'], asked[1]!.body]).toEqual(['"3"', '{"digest":"d","acknowledge":["G016"]}']);
  });

  it('tells the receipt of a stop in plain words', async () => {
    const receipt = {
      seq: 7,
      recordedAt: TIME,
      answersUntil: TIME,
      leases: { count: 2, complete: true, until: TIME },
      spareKeys: [KEY],
      lastAllowed: { seq: 5, recordedAt: TIME },
    };
    const target = { scope: 'service', service: 'billing' };
    answers = [
      { status: 201, body: { stopId: 'stop_01m85264czew8raw9vwxx0dkkp', target, reason: '', stoppedBy: 'anna', stoppedAt: TIME, receipt } },
    ];
    const { out } = await keyward(['stop', 'service', 'billing']);
    for (const part of ['Record 7', 'record 5', '2 data keys', KEY, 'Not signed yet']) expect(out).toContain(part);
  });

  it('asks by a dry run, with a reason', async () => {
    answers = [{ status: 200, body: { dryRun: true, keyId: KEY, keyVersionId: VERSION } }];
    const line = ['encrypt', '--key', 'alias/a', '--dry-run', '--justification', 'ISV_INCIDENT:INC-7'];
    expect(await keyward(line, { stdin: 'x' })).toMatchObject({ exit: 0, out: 'It would be allowed.\n' });
    expect(JSON.parse(asked[0]!.body)).toMatchObject({ dryRun: true, justification: { code: 'ISV_INCIDENT', ticket: 'INC-7' } });
    expect((await keyward([...line.slice(0, -1), 'BECAUSE'], { stdin: 'x' })).exit).toBe(2);
  });

  it('uses a token that somebody else keeps fresh, and a key of its own', async () => {
    const { apiKey: _, ...person } = profile();
    writeFileSync(file('token'), 'ey.first.x\n', { mode: 0o600 });
    writeFileSync(file('person.json'), JSON.stringify({ ...person, tokenFile: file('token') }), { mode: 0o600 });
    answers = [{ status: 200, body: { items: [] } }];
    expect((await keyward(['stops'], { as: 'person.json' })).exit).toBe(0);
    expect(asked[0]!.authorization).toBe('Bearer ey.first.x');
    const privateKey = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
    writeFileSync(file('signing.json'), JSON.stringify({ ...person, signingKey: { privateKey } }), { mode: 0o600 });
    answers = [{ status: 200, body: { items: [] } }];
    expect((await keyward(['stops'], { as: 'signing.json' })).exit).toBe(0);
    expect(asked[1]!.authorization).toMatch(/^Bearer ey[\w-]+\.[\w-]+\.[\w-]+$/);
    writeFileSync(file('nothing.json'), JSON.stringify(person), { mode: 0o600 });
    expect((await keyward(['stops'], { as: 'nothing.json' })).exit).toBe(2);
  });

  it('registers a person of the identity provider, and a public key, without an API key', async () => {
    const answered = { credentialId: CREDENTIAL, principal: 'otto', role: 'auditor', authMethod: 'oidc', expiresAt: TIME };
    answers = [{ status: 201, body: answered }];
    const line = ['credential', 'issue', '--principal', 'otto', '--role', 'auditor', '--subject', 'sub-7'];
    expect((await keyward(line)).exit).toBe(0);
    expect(JSON.parse(asked[0]!.body)).toMatchObject({ subject: 'sub-7' });
    expect((await keyward([...line, '--out', file('never.json')])).exit).toBe(2);
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    writeFileSync(file('key.jwk'), JSON.stringify(publicKey.export({ format: 'jwk' })));
    answers = [{ status: 201, body: answered }];
    expect((await keyward(['credential', 'issue', '--service', 'billing', '--public-key', file('key.jwk')])).exit).toBe(0);
    writeFileSync(file('key.jwk'), JSON.stringify(privateKey.export({ format: 'jwk' })));
    expect((await keyward(['credential', 'issue', '--service', 'billing', '--public-key', file('key.jwk')])).exit).toBe(2);
    expect(asked).toHaveLength(2);
  });

  it('takes the encryption context pair by pair', async () => {
    answers = [{ status: 200, body: { keyId: KEY, keyVersionId: VERSION, ciphertext: 'AAAA' } }];
    const line = ['encrypt', '--key', 'alias/invoices', '--context', 'purpose=invoice', '--context', 'a=b=c'];
    expect(await keyward(line, { stdin: 'x' })).toMatchObject({ exit: 0, out: 'AAAA\n' });
    expect(JSON.parse(asked[0]!.body)).toEqual({
      keyId: 'alias/invoices',
      plaintext: 'eA==',
      encryptionContext: { purpose: 'invoice', a: 'b=c' },
    });
  });
});

describe('doctor', () => {
  const live = { status: 200, body: { dryRun: true, keyId: KEY, keyVersionId: VERSION } };
  const refused = (code: string, reason?: string) => ({ status: 403, body: { ...problem(403, code).body, ...(reason && { reason }) } });
  const line = ['doctor', '--key', 'alias/invoices', '--context', 'purpose=invoice'];

  it('asks by dry runs, and says which key it is', async () => {
    answers = [live, live, live, live];
    writeFileSync(file('some.kw'), Buffer.alloc(60).toString('base64'));
    const said = await keyward([...line, '--ciphertext', file('some.kw')]);
    expect(said.exit).toBe(0);
    expect(said.out.match(new RegExp(`live +${KEY}`, 'g'))).toHaveLength(4);
    expect(asked.map(({ body }) => JSON.parse(body).dryRun)).toEqual([true, true, true, true]);
    expect(asked.map(({ path }) => path?.split('/').slice(4).join('/'))).toEqual([
      'encrypt',
      'data-keys',
      'data-keys/without-plaintext',
      'decrypt',
    ]);
  });

  it('names a spare key that is missing', async () => {
    answers = [live, live, live, refused('not-granted')];
    const said = await keyward([...line, '--spare-key', 'alias/escrow']);
    expect(said.exit).toBe(3);
    expect(said.out).toContain('spare key alias/escrow: no grant of the tenant names this service');
    expect(JSON.parse(asked[3]!.body)).toMatchObject({ keyId: 'alias/escrow', dryRun: true, encryptionContext: { purpose: 'invoice' } });
    answers = [live, live, live, live];
    expect((await keyward([...line, '--spare-key', 'alias/escrow'])).exit).toBe(0);
  });

  it('says what is missing, as far as the caller may know, and exits as the call would', async () => {
    answers = [live, refused('not-granted', 'condition-not-met'), refused('not-granted')];
    const said = await keyward(line);
    expect(said.exit).toBe(3);
    for (const part of ['one of its conditions is not met', 'no grant of the tenant names this service']) expect(said.out).toContain(part);
    answers = [refused('stopped', 'stopped'), live, live];
    const told = JSON.parse((await keyward([...line, '--json'])).out) as object[];
    expect(told).toMatchObject([
      { operation: 'Encrypt', live: false, code: 'stopped', record: 7 },
      { live: true, keyId: KEY },
      { live: true },
    ]);
  });
});

describe('credentials', () => {
  it('are written for their owner alone, and never printed', async () => {
    const issued = {
      credentialId: CREDENTIAL,
      principal: 'otto',
      role: 'auditor',
      authMethod: 'api-key',
      apiKey: 'kw_acme_topsecret',
      expiresAt: TIME,
    };
    for (const [form, out] of [
      [['--json'], 'a.json'],
      [[], 'b.json'],
    ] as const) {
      answers = [{ status: 201, body: issued }];
      const said = await keyward(['credential', 'issue', '--principal', 'otto', '--role', 'auditor', '--out', file(out), ...form]);
      expect(said.exit).toBe(0);
      expect(said.out + said.talk).not.toContain('topsecret');
      expect(statSync(file(out)).mode & 0o777).toBe(0o600);
      expect(JSON.parse(readFileSync(file(out), 'utf8'))).toMatchObject({
        ...planes(),
        tenant: 'acme',
        apiKey: 'kw_acme_topsecret',
        vkey: LOG_VKEY,
      });
    }
  });

  it('are not asked for when they could not be saved', async () => {
    expect((await keyward(['credential', 'issue', '--service', 'billing', '--out', file('admin.json')])).exit).toBe(2);
    expect(asked).toEqual([]);
  });

  it('of an admin come from the enrolment code on stdin', async () => {
    const enrolled = {
      tenant: 'acme',
      principal: 'anna',
      credentialId: CREDENTIAL,
      apiKey: 'kw_acme_fresh',
      expiresAt: TIME,
      vkey: LOG_VKEY,
    };
    answers = [{ status: 201, body: enrolled }];
    const said = await keyward(['enrol', 'acme', '--admin', 'anna', '--out', file('anna.json'), '--key-plane', url()], {
      stdin: 'kw_acme_code\n',
      as: 'nothing',
    });
    expect(said).toMatchObject({ exit: 0 });
    expect(said.out).not.toContain('kw_acme_fresh');
    expect(asked[0]!.authorization).toBe('Bearer kw_acme_code');
    expect(JSON.parse(readFileSync(file('anna.json'), 'utf8'))).toMatchObject({ apiKey: 'kw_acme_fresh', role: 'admin', vkey: LOG_VKEY });
  });

  it('that others can read are refused', async () => {
    writeFileSync(file('open.json'), JSON.stringify(profile()), { mode: 0o644 });
    expect(await keyward(['key', 'list'], { as: 'open.json' })).toMatchObject({
      exit: 2,
      talk: expect.stringContaining('chmod 600') as string,
    });
    expect(asked).toEqual([]);
  });
});

describe('exit codes', () => {
  it.each([
    ['unauthenticated', 401, 3],
    ['not-granted', 403, 3],
    ['stopped', 403, 3],
    ['not-found', 404, 4],
    ['already-exists', 409, 4],
    ['precondition-failed', 412, 4],
    ['key-disabled', 409, 4],
    ['invalid-request', 400, 2],
    ['internal', 500, 5],
  ])('%s is told by its code', async (code, status, exit) => {
    answers = [problem(status, code)];
    expect(await keyward(['key', 'create'])).toMatchObject({
      exit,
      out: '',
      talk: expect.stringContaining(`${code}, request req_1, record 7`) as string,
    });
  });

  it.each([
    [[]],
    [['nonsense']],
    [['key', 'describe']],
    [['key', 'create', '--colour', 'red']],
    [['stop', 'context', 'novalue']],
    [['records', 'list', '--limit', '-1']],
    [['records', 'list', '--outcome', 'maybe']],
    [['tenant', 'onboard', 'acme']],
    [['encrypt', '--key', 'k', '--context', 'a=1', '--context', 'a=2']],
    [['credential', 'issue', '--out', 'x']],
    [['verify', '/nowhere.tar']],
    [['policy', 'put', '/nowhere.json']],
    [['decrypt']],
  ])('%j is a mistake of the caller', async (line) => {
    expect((await keyward(line, { stdin: '*' })).exit).toBe(2);
    expect(asked).toEqual([]);
  });

  it('asks which tenant when the credential is of the platform', async () => {
    expect(await keyward(['key', 'list'], { as: 'first.json' })).toMatchObject({
      exit: 2,
      talk: expect.stringContaining('--tenant') as string,
    });
  });

  it('is 5 when nobody answers', async () => {
    writeFileSync(file('gone.json'), JSON.stringify({ ...profile(), keyPlane: 'http://127.0.0.1:9' }), { mode: 0o600 });
    expect((await keyward(['key', 'create'], { as: 'gone.json' })).exit).toBe(5);
  });

  it('is 1 for a defect', () => expect(exitCodeOf(new TypeError('oops'))).toBe(1));

  it.each([[['--help']], [['stop', '--help']], [['credential', 'issue', '--help']]])('%j is help, on stdout', async (line) => {
    const said = await keyward(line);
    expect(said).toMatchObject({ exit: 0, talk: '' });
    expect(said.out).toContain('Example');
  });
});

describe('verify', () => {
  const bundle = async (name: string, change: (log: ReturnType<typeof sampleLog>) => void = () => undefined) => {
    const log = sampleLog(300);
    change(log);
    writeFileSync(file(name), await bundleOf(log));
    return file(name);
  };

  it('needs no server and no credential', async () => {
    const said = await keyward(['verify', await bundle('good.tar'), '--vkey', LOG_VKEY], { as: 'nothing' });
    expect(said).toMatchObject({ exit: 0, out: expect.stringContaining('OK: 300 records') as string });
    expect(said.out).toContain('the key that you pinned');
    expect(asked).toEqual([]);
  });

  it('says when nothing was pinned', async () => {
    expect((await keyward(['verify', await bundle('unpinned.tar')], { as: 'nothing' })).out).toContain(
      'who made the bundle could have chosen it',
    );
  });

  it('names the record that was changed and exits with 6', async () => {
    const path = await bundle('forged.tar', (log) => (log.entries[271]!.bytes[60]! ^= 1));
    const said = await keyward(['verify', path, '--vkey', LOG_VKEY], { as: 'nothing' });
    expect(said).toMatchObject({ exit: 6, out: expect.stringContaining('first bad record: 271') as string });
    expect(JSON.parse((await keyward(['verify', path, '--json'], { as: 'nothing' })).out)).toMatchObject({
      status: 'failed',
      code: 'record-changed',
      index: 271,
    });
  });

  it('refuses a pinned key that is none', async () => {
    expect((await keyward(['verify', await bundle('key.tar'), '--vkey', 'nonsense'], { as: 'nothing' })).exit).toBe(2);
  });
});

describe('what is printed', () => {
  it('keeps data on stdout and talk on stderr', async () => {
    answers = [{ status: 200, body: { items: [described] } }];
    const said = await keyward(['key', 'list', '--json']);
    expect(JSON.parse(said.out)).toMatchObject({ items: [{ keyId: KEY }] });
    expect(said.talk).toBe('');
  });

  it('cannot move the cursor', () => {
    expect(table(['A'], [['x\u001b[2J\ny']])).toBe('A\nx�[2J�y');
    expect(fields({ a: '\r', b: undefined, c: { d: '\u009b' } })).toBe('a  �\nc  {"d":"�"}');
  });
});
