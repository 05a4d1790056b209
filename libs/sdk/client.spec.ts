import { generateKeyPairSync } from 'node:crypto';
import { inspect } from 'node:util';
import { problemCode } from '#contract';
import { encodeBase64 } from './base64-bytes.js';
import { KeywardClient } from './client.js';
import * as errors from './errors.js';
import { Recipient } from './recipient.js';
import { FakeDataPlane, KEY_ID, VERSION_ID } from './test/fake-data-plane.js';

const API_KEY = 'kw_platform_crd_CANARYCANARYCANARY';
const PATIENT = { backoffMs: 1 };
const bytes = (text: string) => new TextEncoder().encode(text);
const call = { tenant: 'acme', keyId: 'alias/invoices', context: { purpose: 'invoice' } };

let fake: FakeDataPlane;
let client: KeywardClient;
beforeEach(async () => {
  fake = await FakeDataPlane.start();
  client = new KeywardClient({ apiKey: API_KEY, url: fake.url, ...PATIENT });
});
afterEach(async () => {
  client.close();
  await fake.close();
});

const failure = (promise: Promise<unknown>): Promise<errors.KeywardError> =>
  promise.then(
    () => Promise.reject(new Error('It should have failed.')),
    (error) => error,
  );

describe('the four calls', () => {
  it('encrypts and decrypts, and tells key, version, record and request', async () => {
    const sealed = await client.encrypt({ ...call, plaintext: bytes('4711') });
    expect(sealed).toMatchObject({ keyId: KEY_ID, keyVersionId: VERSION_ID, record: 1, requestId: 'req_x' });
    const opened = await client.decrypt({ tenant: 'acme', ciphertext: sealed.ciphertext, context: call.context, keyId: KEY_ID });
    expect(opened).toMatchObject({ keyId: KEY_ID, record: 2 });
    expect(Buffer.from(opened.plaintext).toString()).toBe('4711');
    expect(fake.asked[0]).toMatchObject({
      authorization: `Bearer ${API_KEY}`,
      path: '/v1/tenants/acme/encrypt',
      body: { encryptionContext: call.context },
    });
  });

  it('generates data keys of the length asked for, with and without plaintext', async () => {
    expect((await client.generateDataKey(call)).plaintext).toHaveLength(32);
    expect((await client.generateDataKey({ ...call, keySpec: 'AES_128' })).plaintext).toHaveLength(16);
    expect((await client.generateDataKey({ ...call, numberOfBytes: 1024 })).plaintext).toHaveLength(1024);
    expect(await client.generateDataKeyWithoutPlaintext(call)).not.toHaveProperty('plaintext');
  });

  it.each([1, 2, 3, 4, 6144])('carries a plaintext of %d bytes unchanged', async (length) => {
    const plaintext = Uint8Array.from({ length }, (_, i) => i * 7);
    const { ciphertext } = await client.encrypt({ ...call, plaintext });
    expect((await client.decrypt({ ...call, keyId: undefined, ciphertext })).plaintext).toEqual(plaintext);
  });
});

describe('a client with a recipient', () => {
  it.each<[string, () => Promise<unknown>]>([
    ['a data key', () => sealed().generateDataKey(call)],
    [
      'a plaintext',
      async () =>
        sealed().decrypt({
          tenant: 'acme',
          context: call.context,
          ciphertext: (await client.encrypt({ ...call, plaintext: bytes('4') })).ciphertext,
        }),
    ],
    ['a batch of data keys', () => sealed().generateDataKeyBatch('acme', [call])],
  ])('takes %s in no other way: somebody in between may have dropped the recipient', async (_, work) => {
    expect(await failure(work())).toMatchObject({ name: 'ServerFault', code: 'bad-answer' });
    const told = fake.asked.at(-1)!.body as { recipient?: string; items?: { recipient: string }[] };
    expect(told.recipient ?? told.items![0]!.recipient).toBe(Buffer.from(recipient.publicKey).toString('base64'));
  });
  const recipient = Recipient.generate();
  const sealed = () => new KeywardClient({ apiKey: API_KEY, url: fake.url, recipient });

  it('is told so when its key is of no kind that Keyward seals to', () => {
    expect(() => new Recipient(generateKeyPairSync('ed25519').privateKey)).toThrow(errors.InvalidCall);
  });
});

describe('data keys that must not be used', () => {
  it.each([
    ['all zero', (key: Buffer) => key.fill(0)],
    ['short', (key: Buffer) => key.subarray(1)],
    ['empty', () => Buffer.alloc(0)],
  ])('refuses one that is %s', async (_, spoil) => {
    fake.spoilDataKey = spoil;
    expect(await failure(client.generateDataKey(call))).toMatchObject({
      name: 'ServerFault',
      code: 'bad-answer',
      record: 1,
      retryable: false,
    });
  });

  it.each([
    ['no record', (body: string) => ({ headers: {}, body })],
    ['no plaintext', () => ({ headers: { 'keyward-record': '1', 'x-request-id': 'r' }, body: '{}' })],
    ['plaintext that is not base64', () => ({ headers: { 'keyward-record': '1', 'x-request-id': 'r' }, body: '{"plaintext":"CANARY*="}' })],
    ['no JSON', () => ({ headers: { 'keyward-record': '1', 'x-request-id': 'r' }, body: '"plaintext":"Q0FOQVJZ"' })],
  ])('refuses an answer with %s', async (_, spoil) => {
    fake.script = (_asked, response) => {
      const { headers, body } = spoil(
        JSON.stringify({ keyId: KEY_ID, keyVersionId: VERSION_ID, ciphertext: 'AAAA', plaintext: 'Q0FOQVJZ'.repeat(4) }),
      );
      response.writeHead(200, headers).end(body);
      return 'answered';
    };
    const error = await failure(client.generateDataKey({ ...call, numberOfBytes: 24 }));
    expect(error).toMatchObject({ code: 'bad-answer' });
    expect(inspect(error, { depth: 9 })).not.toMatch(/CANARY|Q0FOQVJZ/);
  });
});

describe('errors', () => {
  const EXPECTED: Record<string, [status: number, name: keyof typeof errors]> = {
    'invalid-request': [400, 'InvalidCall'],
    'decrypt-failed': [400, 'DecryptFailed'],
    unauthenticated: [401, 'Unauthenticated'],
    'not-granted': [403, 'Refused'],
    'not-allowed': [403, 'Refused'],
    stopped: [403, 'Stopped'],
    'not-found': [404, 'NotFound'],
    'already-exists': [409, 'Conflict'],
    'key-disabled': [409, 'KeyDisabled'],
    'key-pending-deletion': [409, 'KeyDisabled'],
    'key-pending-import': [409, 'KeyDisabled'],
    'limit-exceeded': [400, 'Conflict'],
    'secret-pending-deletion': [409, 'Conflict'],
    'key-exhausted': [409, 'KeyDisabled'],
    'state-unchangeable': [409, 'Conflict'],
    'key-destroyed': [410, 'KeyDestroyed'],
    'precondition-failed': [412, 'Conflict'],
    'payload-too-large': [413, 'InvalidCall'],
    'unsupported-media-type': [415, 'InvalidCall'],
    'precondition-required': [428, 'InvalidCall'],
    'too-many-requests': [429, 'Throttled'],
    internal: [500, 'ServerFault'],
    unavailable: [503, 'Unavailable'],
  };

  it.each(problemCode.options)('maps %s to its class', async (code) => {
    const [status, name] = EXPECTED[code]!;
    fake.script = (_asked, response) => fake.problem(response, code, status);
    const error = await failure(client.encrypt({ ...call, plaintext: bytes('x') }));
    expect(error).toBeInstanceOf(errors[name]);
    expect(error).toBeInstanceOf(errors.KeywardError);
    expect(error).toMatchObject({ name, code, status, requestId: 'req_x', record: 1, retryable: false });
  });

  it.each([
    [401, 'Unauthenticated', 1],
    [502, 'Unavailable', 3],
    [503, 'Unavailable', 3],
    [429, 'Throttled', 3],
    [302, 'ServerFault', 1],
    [500, 'ServerFault', 1],
  ])('understands a %d that is not from Keyward as %s', async (status, name, tries) => {
    fake.script = (_asked, response) => {
      response.writeHead(status).end('<html>');
      return 'answered';
    };
    expect(await failure(client.encrypt({ ...call, plaintext: bytes('x') }))).toMatchObject({ name, status });
    expect(fake.asked).toHaveLength(tries);
  });

  it('carry neither credential nor plaintext', async () => {
    const plaintext = bytes('CANARY');
    fake.script = (asked, response) =>
      asked.operation === 'encrypt' ? fake.problem(response, 'unavailable', 503, { retryable: true }) : response.destroy() && 'answered';
    const refused = await failure(client.encrypt({ ...call, plaintext }));
    const broken = await failure(client.generateDataKey(call));
    await fake.close();
    const unreachable = await failure(client.encrypt({ ...call, plaintext }));
    for (const error of [refused, broken, unreachable]) expect(error).toMatchObject({ name: 'Unavailable' });
    expect(inspect([refused, broken, unreachable, client], { depth: 9, showHidden: true })).not.toMatch(/CANARY|Q0FOQVJZ/);
    fake = await FakeDataPlane.start();
  });
});

describe('retries', () => {
  const failing = (times: number, how: (response: Parameters<FakeDataPlane['script']>[1]) => 'answered') => {
    fake.script = (_asked, response) => (fake.asked.length <= times ? how(response) : undefined);
  };
  const unavailable =
    (headers: Record<string, string> = {}) =>
    (response: Parameters<FakeDataPlane['script']>[1]) =>
      fake.problem(response, 'unavailable', 503, { retryable: true, headers });

  it('tries an unavailable plane again, at most three times in all', async () => {
    failing(2, unavailable());
    await client.generateDataKey(call);
    expect(fake.asked).toHaveLength(3);

    fake.asked.length = 0;
    failing(3, unavailable());
    expect(await failure(client.generateDataKey(call))).toMatchObject({ name: 'Unavailable', retryable: true, status: 503 });
    expect(fake.asked).toHaveLength(3);
  });

  it('tries again after a connection that broke', async () => {
    failing(1, (response) => {
      response.socket?.destroy();
      return 'answered';
    });
    await client.generateDataKey(call);
    expect(fake.asked).toHaveLength(2);
  });

  it('waits as long as Retry-After says', async () => {
    failing(1, unavailable({ 'retry-after': '1' }));
    const start = performance.now();
    await client.generateDataKey(call);
    expect(performance.now() - start).toBeGreaterThanOrEqual(990);
  });

  it('gives up at once when Retry-After is later than its patience', async () => {
    failing(1, unavailable({ 'retry-after': '3600' }));
    const error = await failure(client.generateDataKey(call));
    expect(error).toMatchObject({ retryAfterMs: 3_600_000 });
    expect(fake.asked).toHaveLength(1);
  });

  it('does not try a refusal again', async () => {
    failing(1, (response) => fake.problem(response, 'stopped', 403));
    expect(await failure(client.generateDataKey(call))).toMatchObject({ name: 'Stopped' });
    expect(fake.asked).toHaveLength(1);
  });

  it('does not wait for a plane that says nothing, or stops in the middle', async () => {
    const hasty = new KeywardClient({ apiKey: API_KEY, url: fake.url, attemptMs: 60, attempts: 2, backoffMs: 1 });
    for (const start of [() => undefined, (response: Parameters<FakeDataPlane['script']>[1]) => void response.writeHead(200).write('{')]) {
      fake.script = (_asked, response) => {
        start(response);
        return 'answered';
      };
      const began = performance.now();
      expect(await failure(hasty.generateDataKey(call))).toMatchObject({ name: 'Unavailable', retryable: true, status: undefined });
      expect(performance.now() - began).toBeLessThan(1_000);
    }
    expect(fake.asked).toHaveLength(4);
    hasty.close();
  });
});

it.each(['http://keyward.example:7720', 'http://10.0.0.7:7720'])('does not send a credential in the clear to %s', (url) => {
  expect(() => new KeywardClient({ apiKey: API_KEY, url })).toThrow(errors.InvalidCall);
  expect(() => new KeywardClient({ apiKey: API_KEY, url, allowPlainHttp: true })).not.toThrow();
});

describe('base64 without strings', () => {
  it('agrees with node on every length and byte', () => {
    for (let length = 0; length < 260; length++) {
      const given = Uint8Array.from({ length }, (_, i) => (i * 31 + length) & 255);
      const text = Buffer.from(given).toString('base64');
      expect(Buffer.from(encodeBase64(given)).toString()).toBe(text);
    }
  });
});
