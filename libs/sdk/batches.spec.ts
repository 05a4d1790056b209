import { FRAME_TYPE, joinFrame, joinItems } from '#contract';
import { KeywardClient } from './client.js';
import { DecryptFailed, ServerFault, Stopped } from './errors.js';
import { FakeDataPlane, KEY_ID, VERSION_ID } from './test/fake-data-plane.js';

const used = { keyId: KEY_ID, keyVersionId: VERSION_ID };
const problem = (code: string) => ({
  type: `urn:keyward:problem:${code}`,
  title: 'No.',
  status: 403,
  code,
  requestId: 'req_x',
  retryable: false,
});
const bytes = (text: string) => Buffer.from(text);
const base64 = (text: string) => bytes(text).toString('base64');

let fake: FakeDataPlane;
let client: KeywardClient;
beforeEach(async () => {
  fake = await FakeDataPlane.start();
  client = new KeywardClient({ apiKey: 'kw_platform_x', url: fake.url, backoffMs: 1 });
});
afterEach(async () => {
  client.close();
  await fake.close();
});
const answering = (field: 'plaintext' | 'ciphertext', ...items: object[]) => {
  fake.script = (_asked, response) => fake.framedItems(response, items as Record<string, unknown>[], field);
};
const item = { ciphertext: bytes('KW…'), context: { purpose: 'invoice' } };

it('sends one call, and gives each item its own result, in order', async () => {
  answering(
    'plaintext',
    { ...used, plaintext: base64('first'), record: 4 },
    { problem: problem('stopped'), record: 5 },
    { ...used, plaintext: base64('third'), record: 4 },
  );
  const results = await client.decryptBatch('acme', [item, item, item]);
  expect(results.map((one) => ('error' in one ? one.error.constructor : Buffer.from(one.plaintext).toString()))).toEqual([
    'first',
    Stopped,
    'third',
  ]);
  expect(results).toMatchObject([{ record: 4, keyId: KEY_ID }, { error: { record: 5 } }, { record: 4 }]);
  expect(fake.asked).toHaveLength(1);
  expect(fake.asked[0]).toMatchObject({
    path: '/v1/tenants/acme/decrypt/batch',
    body: { items: [{ encryptionContext: item.context }, {}, {}] },
  });
});

it('carries plaintexts that never were strings', async () => {
  answering('ciphertext', { ...used, ciphertext: base64('KW1'), record: 1 }, { problem: problem('decrypt-failed') });
  const [one, other] = await client.encryptBatch('acme', [
    { keyId: KEY_ID, plaintext: bytes('a') },
    { keyId: KEY_ID, plaintext: bytes('bb') },
  ]);
  expect(one).toMatchObject({ ...used, ciphertext: new Uint8Array(bytes('KW1')) });
  expect(other).toMatchObject({ error: expect.any(DecryptFailed) });
  expect(fake.asked[0]?.body).toMatchObject({ items: [{ plaintext: base64('a') }, { plaintext: base64('bb') }] });
});

it('refuses a frame whose bytes do not come out to the last', async () => {
  const items = [
    { ...used, record: 1 },
    { ...used, record: 1 },
  ];
  const two = joinItems([bytes('first'), bytes('second')]);
  for (const spoilt of [two.subarray(0, -1), Buffer.concat([two, bytes('x')]), two.subarray(0, 9), bytes('')]) {
    fake.script = (_asked, response) => {
      response.writeHead(200, { 'content-type': FRAME_TYPE, 'x-request-id': 'req_x', 'keyward-record': '1' });
      response.end(joinFrame(Buffer.from(JSON.stringify({ items })), spoilt));
      return 'answered';
    };
    await expect(client.decryptBatch('acme', [item, item])).rejects.toMatchObject({ code: 'bad-answer' });
  }
});

it('gives each its own plaintext also beside a problem that is about a plaintext', async () => {
  const errors = [{ field: 'plaintext', message: 'must have at least 1 byte' }];
  answering('plaintext', { problem: { ...problem('invalid-request'), errors } }, { ...used, plaintext: base64('second'), record: 1 });
  const [one, other] = await client.decryptBatch('acme', [item, item]);
  expect(one).toMatchObject({ error: { fields: errors } });
  expect(other).toMatchObject({ plaintext: new Uint8Array(bytes('second')) });
});

it.each([
  ['too few', [{ ...used, ciphertext: 'AA==', plaintext: base64('x'.repeat(32)), record: 1 }]],
  ['a data key of zeros', Array(2).fill({ ...used, ciphertext: 'AA==', plaintext: Buffer.alloc(32).toString('base64'), record: 1 })],
  ['a data key that is too short', Array(2).fill({ ...used, ciphertext: 'AA==', plaintext: base64('x'), record: 1 })],
  ['no plaintext', Array(2).fill({ ...used, ciphertext: 'AA==', record: 1 })],
  ['no record', Array(2).fill({ ...used, ciphertext: 'AA==', plaintext: base64('x'.repeat(32)) })],
])('refuses answers with %s', async (_, items) => {
  answering('plaintext', ...(items as object[]));
  await expect(client.generateDataKeyBatch('acme', [{ keyId: KEY_ID }, { keyId: KEY_ID }])).rejects.toBeInstanceOf(ServerFault);
});
