import type { Problem } from '#contract';
import { FakePlane, KEYS } from './test/fake-plane.js';

const CANARY = 'CANARY-c0ffee-secret-of-a-customer';
const keyId = 'key_01arz3ndektsv4rrffq69g5fav';
const b64 = (length: number) => Buffer.alloc(length, 7).toString('base64');
const wide = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`n${i}`, 'v'.repeat(100)]));

const encryptOf = (change: object) => ({ keyId, plaintext: b64(16), ...change });
const policyOf = (change: object) => ({
  schema: 'keyward.policy/1',
  grants: [{ id: 'g', subjects: ['svc:billing'], objects: ['*'], operations: ['Encrypt'], ...change }],
});

let plane: FakePlane;
beforeAll(async () => {
  plane = await FakePlane.start();
});
afterAll(() => plane.stop());
beforeEach(() => {
  plane.pipeline.refused.length = 0;
  plane.pipeline.ran.length = 0;
});

const fieldsOf = (body: Problem) => (body.errors ?? []).map(({ field }) => field);

// biome-ignore format: a table is read row by row
const BODIES: readonly [string, string | object, number, readonly string[]][] = [
  ['malformed JSON',                 `{"keyId": "${CANARY}`,                                     400, ['body']],
  ['an empty body',                  '',                                                         400, ['body']],
  ['null',                           'null',                                                     400, ['body']],
  ['an array',                       '[]',                                                       400, ['body']],
  ['a number too large',             '1e999',                                                    400, ['body']],
  ['nothing of what is needed',      {},                                                         400, ['keyId', 'plaintext']],
  ['an unknown field',               encryptOf({ [CANARY.slice(0, 6)]: CANARY }),                400, ['CANARY']],
  ['unpadded base64',                encryptOf({ plaintext: 'YWI' }),                            400, ['plaintext']],
  ['URL base64',                     encryptOf({ plaintext: '__-_' }),                           400, ['plaintext']],
  ['base64 with a line break',       encryptOf({ plaintext: 'YWJj\nYWJj' }),                     400, ['plaintext']],
  ['an empty plaintext',             encryptOf({ plaintext: '' }),                               400, ['plaintext']],
  ['6145 bytes',                     encryptOf({ plaintext: b64(6145) }),                        400, ['plaintext']],
  ['a plaintext that is no string',  encryptOf({ plaintext: { secret: CANARY } }),               400, ['plaintext']],
  ['a key that is no key',           encryptOf({ keyId: CANARY }),                               400, ['keyId']],
  ['an object for an id',            encryptOf({ keyId: { $ne: CANARY } }),                      400, ['keyId']],
  ['a context that is a list',       encryptOf({ encryptionContext: [CANARY] }),                 400, ['encryptionContext']],
  ['a context value that is nested', encryptOf({ encryptionContext: { a: { b: CANARY } } }),     400, ['encryptionContext.a']],
  ['an oversized context',           encryptOf({ encryptionContext: wide }),                     400, ['encryptionContext']],
  ['a reserved context name',        encryptOf({ encryptionContext: { 'keyward:x': CANARY } }),  400, ['encryptionContext.keyward:x']],
  ['a lone surrogate',               `{"keyId":"${keyId}","plaintext":"AAAA","encryptionContext":{"a":"\\ud800"}}`, 400, ['encryptionContext.a']],
  ['__proto__ in the context',       `{"keyId":"${keyId}","plaintext":"AAAA","encryptionContext":{"__proto__":"${CANARY}"}}`, 400, ['body']],
  ['__proto__, escaped',             `{"keyId":"${keyId}","plaintext":"AAAA","encryptionContext":{"\\u005f_proto__":"${CANARY}"}}`, 400, ['body']],
  ['a poisoned constructor',         '{"constructor":{"prototype":{"x":1}}}',                    400, ['body']],
  ['a name twice in one object',     `{"keyId":"${keyId}","plaintext":"AAAA","encryptionContext":{"a":"x","\\u0061":"${CANARY}"}}`, 400, ['body']],
  ['64,000 levels of nesting',       '['.repeat(32_000) + ']'.repeat(32_000),                    400, ['body']],
  ['a body over the limit',          encryptOf({ plaintext: 'A'.repeat(70_000) }),               413, []],
];

describe('POST encrypt', () => {
  it.each(BODIES)('answers %s with a problem that names the field, and records it', async (_, body, status, fields) => {
    const answer = await plane.ask('POST', '/v1/tenants/acme/encrypt', body, { as: 'service' });
    const problem = answer.json<Problem>();
    expect([answer.statusCode, fieldsOf(problem)]).toEqual([status, fields]);
    expect(problem).toMatchObject({ status, requestId: answer.headers['x-request-id'], retryable: false });
    expect(answer.headers['keyward-record']).toBe('42');
    expect(answer.body).not.toContain(CANARY);
    expect(plane.pipeline.ran).toEqual([]);
    expect(plane.pipeline.refused).toMatchObject([
      { operation: 'Encrypt', call: { tenant: 'acme', principal: { name: 'billing' }, requestId: problem.requestId } },
    ]);
  });

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/jsonp', ''])(
    'answers the media type "%s" with 415',
    async (type) => {
      const answer = await plane.ask('POST', '/v1/tenants/acme/encrypt', JSON.stringify(encryptOf({})), {
        as: 'service',
        headers: { 'content-type': type },
      });
      expect([answer.statusCode, answer.json<Problem>().code]).toEqual([415, 'unsupported-media-type']);
      expect(plane.pipeline.refused).toHaveLength(1);
    },
  );

  it('passes what is valid on, with bytes decoded', async () => {
    plane.pipeline.answer = () =>
      Promise.resolve({ answer: { keyId, keyVersionId: 'kver_x', ciphertext: Buffer.alloc(3) } as never, seq: 5n, secret: undefined });
    const answer = await plane.ask('POST', '/v1/tenants/acme/encrypt', encryptOf({ encryptionContext: { purpose: 'invoice' } }), {
      as: 'service',
    });
    expect(answer.json()).toEqual({ keyId, keyVersionId: 'kver_x', ciphertext: 'AAAA' });
    expect([answer.headers['keyward-record'], answer.headers['content-type']]).toEqual(['5', 'application/json']);
    expect(plane.pipeline.ran[0]!.input).toEqual({ keyId, plaintext: Buffer.alloc(16, 7), encryptionContext: { purpose: 'invoice' } });
  });
});

describe('other places of input', () => {
  // biome-ignore format: a table is read row by row
  const ELSEWHERE: readonly ['GET' | 'PUT' | 'DELETE' | 'POST', string, object | undefined, Record<string, string>, number, readonly string[]][] = [
    ['GET',    '/v1/tenants/acme/keys?limit=1000',        undefined,                          {},                       400, ['limit']],
    ['GET',    '/v1/tenants/acme/keys?limit=1&limit=2',   undefined,                          {},                       400, ['limit']],
    ['GET',    `/v1/tenants/acme/keys?${CANARY}=1`,       undefined,                          {},                       400, [CANARY]],
    ['GET',    `/v1/tenants/acme/keys/${CANARY}`,         undefined,                          {},                       400, ['key']],
    ['DELETE', '/v1/tenants/acme/stops/stop_1',           undefined,                          {},                       400, ['stop']],
    ['PUT',    '/v1/tenants/acme/policy',                 policyOf({}),                       {},                       428, []],
    ['PUT',    '/v1/tenants/acme/policy',                 policyOf({}),                       { 'if-match': 'W/"1"' },  400, ['if-match']],
    ['PUT',    '/v1/tenants/acme/policy',                 policyOf({}),                       { 'if-match': '"1"', 'if-none-match': '*' }, 400, ['if-match']],
    ['PUT',    '/v1/tenants/acme/policy',                 policyOf({ surprise: CANARY }),     { 'if-none-match': '*' }, 400, ['grants.0.surprise']],
    ['PUT',    '/v1/tenants/acme/policy',                 policyOf({ subjects: ['role:x'] }), { 'if-none-match': '*' }, 400, ['grants.0.subjects.0']],
    ['PUT',    '/v1/tenants/acme/policy',                 policyOf({ description: 'x'.repeat(100_000) }), { 'if-none-match': '*' }, 400, ['grants.0.description', 'body']],
    ['PUT',    '/v1/tenants/acme/policy',                 policyOf({ description: 'x'.repeat(140_000) }), { 'if-none-match': '*' }, 413, []],
    ['POST',   '/v1/tenants/acme/data-keys',              { keyId, keySpec: 'AES_256', numberOfBytes: 7 }, {},          400, ['numberOfBytes']],
    ['POST',   '/v1/tenants/acme/data-keys',              { keyId, numberOfBytes: 1025 },     {},                       400, ['numberOfBytes']],
    ['POST',   '/v1/tenants/acme/decrypt',                { ciphertext: b64(49) },            {},                       400, ['ciphertext']],
  ];

  it.each(ELSEWHERE)('%s %s is refused, named and recorded', async (method, url, body, headers, status, fields) => {
    const answer = await plane.ask(method, url, body, { as: 'admin', headers });
    expect([answer.statusCode, fieldsOf(answer.json())]).toEqual([status, fields]);
    expect(plane.pipeline.refused).toHaveLength(1);
    expect(plane.pipeline.ran).toEqual([]);
  });
});

describe('secrets', () => {
  it('are in no problem and no log line, whatever fails', async () => {
    plane.lines.length = 0;
    const failures: readonly unknown[] = [
      new Error(`duplicate key value (apiKey)=(${KEYS.service}) ${CANARY}`),
      CANARY,
      new SyntaxError(CANARY),
      Object.assign(new Error(CANARY), { statusCode: 418, code: 'FST_X' }),
    ];
    for (const failure of failures) {
      plane.pipeline.answer = async () => {
        throw failure;
      };
      const answer = await plane.ask('POST', '/v1/tenants/acme/encrypt', encryptOf({ plaintext: Buffer.from(CANARY).toString('base64') }), {
        as: 'service',
      });
      expect([answer.statusCode, answer.json<Problem>().code]).toEqual([500, 'internal']);
      expect(answer.json<Problem>().detail).toBeUndefined();
      for (const secret of [CANARY, KEYS.service, Buffer.from(CANARY).toString('base64')]) expect(answer.body).not.toContain(secret);
    }
    expect(plane.lines.length).toBeGreaterThan(0);
    for (const line of plane.lines) expect(line).not.toMatch(/CANARY|kw_/);
  });
});
