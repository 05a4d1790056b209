import { ANSWER_DEADLINE_MS, KeywardError } from '#core';
import { RATE_LIMITS, RateLimits } from './rate-limits.js';
import { FakePlane, KEYS } from './test/fake-plane.js';

const used = {
  ...{ keyId: 'key_01arz3ndektsv4rrffq69g5fav', keyVersionId: 'kver_01arz3ndektsv4rrffq69g5fav' },
  lease: { maxAgeSeconds: 60 },
};
const item = (fill: number) => ({ ciphertext: Buffer.alloc(64, fill).toString('base64') });
const NOBODY_KNOWS = { ciphertext: 'AAAA' };

describe.each([
  ['served directly', {}],
  ['served by Nest', { uses: undefined }],
])('a batch, %s', (_, options) => {
  let plane: FakePlane;
  const secrets: Uint8Array[] = [];
  beforeAll(async () => {
    plane = await FakePlane.start(options as never);
    plane.pipeline.answer = async (_operation, input) => {
      const byte = (input as { ciphertext: Buffer }).ciphertext[0]!;
      if (byte === 9) throw refused();
      const plaintext = Buffer.alloc(3, byte);
      secrets.push(plaintext);
      return { answer: { ...used, plaintext } as never, seq: BigInt(byte), secret: plaintext };
    };
  });
  afterAll(() => plane.fastify.close());
  const refused = () => Object.assign(new KeywardError('too-many-requests', '', { retryAfterSeconds: 7 }), { record: 9n });
  const post = (body: unknown) => plane.ask('POST', '/v1/tenants/acme/decrypt/batch', JSON.stringify(body), { as: 'service' });

  it('answers in order, each item with its record, and problems where there is no answer', async () => {
    const answer = await post({ items: [item(1), item(9), NOBODY_KNOWS, item(2)] });
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual({
      items: [
        { ...used, plaintext: 'AQEB', record: 1 },
        { problem: expect.objectContaining({ code: 'too-many-requests', retryable: true }), record: 9 },
        { problem: expect.objectContaining({ code: 'invalid-request', errors: [expect.objectContaining({ field: 'ciphertext' })] }) },
        { ...used, plaintext: 'AgIC', record: 2 },
      ],
    });
    expect(answer.headers).toMatchObject({ 'retry-after': '7', 'keyward-record': '1' });
    expect(secrets.every((secret) => secret.every((byte) => byte === 0))).toBe(true);
  });

  it.each([
    ['none at all', { items: [] }, 'items'],
    ['501 items', { items: Array.from({ length: 501 }, () => item(1)) }, 'items'],
    ['something else', { item: [] }, 'items'],
  ])('is refused as a whole with %s', async (__, body, field) => {
    const answer = await post(body);
    expect([answer.statusCode, answer.json().errors[0].field]).toEqual([400, field]);
  });

  it('is refused as a whole over 1 MiB', async () => {
    expect((await post({ items: ['A'.repeat(1024 * 1024)] })).statusCode).toBe(413);
  });
});

it('counts every item as a call', async () => {
  const limits = new RateLimits({ ...RATE_LIMITS, use: { points: 4, duration: 60 } });
  const plane = await FakePlane.start({ limits });
  const post = (count: number) =>
    plane.fastify.inject({
      method: 'POST',
      url: '/v1/tenants/acme/decrypt/batch',
      headers: { authorization: `Bearer ${KEYS.service}` },
      payload: { items: Array.from({ length: count }, () => NOBODY_KNOWS) },
    });
  expect((await post(3)).statusCode).toBe(200);
  const tooMany = await post(2);
  expect([tooMany.statusCode, Number(tooMany.headers['retry-after']) > 1]).toEqual([429, true]);
  await plane.stop();
});

it('lets the batches of one tenant wait for each other, and nobody else', async () => {
  const plane = await FakePlane.start();
  const open: (() => void)[] = [];
  plane.pipeline.answer = () => new Promise((resolve) => open.push(() => resolve({ answer: used as never, seq: 1n, secret: undefined })));
  const ask = (tenant: string, path = 'decrypt/batch', body: object = { items: [item(1)] }) =>
    plane.ask('POST', `/v1/tenants/${tenant}/${path}`, JSON.stringify(body), { as: 'service' });
  const noisy = Array.from({ length: 20 }, () => ask('acme'));
  const others = [ask('globex'), ask('acme', 'decrypt', item(1))];
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
  expect(plane.pipeline.ran.map(({ call }) => call.tenant).filter((tenant) => tenant === 'globex')).toHaveLength(1);
  expect(open).toHaveLength(10);
  while (open.length > 0) {
    open.shift()!();
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
  }
  await Promise.all([...noisy, ...others]);
  expect(plane.pipeline.ran).toHaveLength(22);
  await plane.stop();
});

it('uses no key for an answer that its turn would come too late for', async () => {
  let now = Date.now();
  const plane = await FakePlane.start({ clock: { now: () => new Date(now) } });
  const open: (() => void)[] = [];
  const answer = { ...used, plaintext: Buffer.from('x') } as never;
  plane.pipeline.answer = () => new Promise((resolve) => open.push(() => resolve({ answer, seq: 1n, secret: undefined })));
  const asked = Array.from({ length: 9 }, () =>
    plane.ask('POST', '/v1/tenants/acme/decrypt/batch', JSON.stringify({ items: [item(1)] }), { as: 'service' }),
  );
  while (open.length < 8) await new Promise(setImmediate);
  now += ANSWER_DEADLINE_MS + 1;
  for (const end of open) end();
  expect((await Promise.all(asked)).map(({ statusCode }) => statusCode)).toEqual(Array(9).fill(503));
  expect(plane.pipeline.ran).toHaveLength(8);
  await plane.stop();
});

it('lets a tenant whose calls flood the plane wait behind itself, and not before others', async () => {
  const plane = await FakePlane.start({ limits: new RateLimits(RATE_LIMITS, 4) });
  const open: (() => void)[] = [];
  plane.pipeline.answer = () =>
    new Promise((resolve) =>
      open.push(() => resolve({ answer: { ...used, plaintext: Buffer.from('x') } as never, seq: 1n, secret: undefined })),
    );
  const ask = (tenant: string) => plane.ask('POST', `/v1/tenants/${tenant}/decrypt`, JSON.stringify(item(1)), { as: 'service' });
  const noisy = Array.from({ length: 50 }, () => ask('acme'));
  const quiet = ask('globex');
  for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate);
  expect(plane.pipeline.ran.map(({ call }) => call.tenant)).toEqual(['acme', 'acme', 'acme', 'acme', 'globex']);
  for (let turn = 0; turn < 2000 && plane.pipeline.ran.length < 51; turn++) {
    open.splice(0).forEach((end) => end());
    await new Promise(setImmediate);
  }
  open.splice(0).forEach((end) => end());
  expect((await Promise.all([...noisy, quiet])).every(({ statusCode }) => statusCode === 200)).toBe(true);
  await plane.stop();
});

it('says how much of a class is left (draft-ietf-httpapi-ratelimit-headers-10), and when to come back', async () => {
  const plane = await FakePlane.start({ limits: new RateLimits({ ...RATE_LIMITS, use: { points: 2, duration: 60 } }) });
  plane.pipeline.answer = async () => ({ answer: { ...used, plaintext: Buffer.from('x') } as never, seq: 1n, secret: undefined });
  const ask = () => plane.ask('POST', '/v1/tenants/acme/decrypt', JSON.stringify(item(1)), { as: 'service' });
  const answers = [await ask(), await ask(), await ask()];
  expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 200, 429]);
  expect(answers.map(({ headers }) => headers['ratelimit-policy'])).toEqual(Array(3).fill('"use";q=2;w=60'));
  expect(answers.map(({ headers }) => /^"use";r=(\d);t=\d+$/.exec(String(headers['ratelimit']))?.[1])).toEqual(['1', '0', '0']);
  expect(Number(answers[2]!.headers['retry-after'])).toBeGreaterThan(0);
  await plane.stop();
});
