import fc from 'fast-check';
import { MAX_BATCH_BYTES, MAX_BATCH_ITEMS } from '#contract';
import { BatchedDataKeys } from './batched-data-keys.js';
import { KeywardClient } from './client.js';
import { Stopped, Unavailable } from './errors.js';
import { Fields } from './fields.js';
import { FakeDataPlane } from './test/fake-data-plane.js';

const context = { purpose: 'invoice' };
let fake: FakeDataPlane;
let client: KeywardClient;
let source: BatchedDataKeys;
beforeEach(async () => {
  fake = await FakeDataPlane.start();
  client = new KeywardClient({ apiKey: 'kw_platform_x', url: fake.url, backoffMs: 1 });
  source = new BatchedDataKeys(client);
});
afterEach(async () => {
  client.close();
  await fake.close();
});
const generated = (tenant: string, count: number, more = {}) =>
  Promise.all(Array.from({ length: count }, () => source.generateDataKey({ tenant, keyId: 'alias/invoices', context, ...more })));

it('asks once a tenant for all that is wanted at one moment, and gives each its own', async () => {
  const [ours, theirs] = await Promise.all([generated('acme', 5), generated('globex', 3)]);
  expect(fake.asked.map(({ path }) => path).sort()).toEqual(['/v1/tenants/acme/data-keys/batch', '/v1/tenants/globex/data-keys/batch']);
  const opened = await Promise.all(ours.map(({ ciphertext }) => source.decrypt({ tenant: 'acme', context, ciphertext })));
  expect(opened.map(({ plaintext }) => plaintext)).toEqual(ours.map(({ plaintext }) => plaintext));
  expect(new Set([...ours, ...theirs].map(({ plaintext }) => Buffer.from(plaintext).toString('hex'))).size).toBe(8);
  expect(fake.count('decrypt/batch')).toBe(1);
});

it('asks for a single one as itself, in a frame', async () => {
  await generated('acme', 1);
  expect(fake.asked.map(({ operation }) => operation)).toEqual(['data-keys']);
});

it('lets one fail without the others, asks again for what is retryable, and no oftener than a client', async () => {
  const data = await generated('acme', 3);
  const ask = () => Promise.allSettled(data.map(({ ciphertext }) => source.decrypt({ tenant: 'acme', context, ciphertext })));
  const second = Buffer.from(data[1]!.ciphertext).toString('base64');
  fake.refuses = (_, { ciphertext }) => (ciphertext === second ? 'stopped' : undefined);
  expect((await ask()).map((one) => one.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect((await ask())[1]).toMatchObject({ reason: expect.any(Stopped) });

  let refusals = 2;
  fake.refuses = (_, { ciphertext }) => (ciphertext === second && refusals-- > 0 ? 'unavailable' : undefined);
  expect((await ask()).map((one) => one.status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
  fake.asked.length = 0;
  fake.refuses = (_, { ciphertext }) => (ciphertext === second ? 'unavailable' : undefined);
  expect((await ask())[1]).toMatchObject({ reason: expect.any(Unavailable) });
  expect(fake.asked.map(({ body }) => (body['items'] as unknown[]).length)).toEqual([3, 1, 1]);
});

it('rejects all of a request that fails as a whole', async () => {
  fake.script = (_, response) => fake.problem(response, 'not-granted', 403);
  const settled = await Promise.allSettled([1, 2].map(() => source.generateDataKey({ tenant: 'acme', keyId: 'k', context })));
  expect(settled).toMatchObject([{ reason: { code: 'not-granted' } }, { reason: { code: 'not-granted' } }]);
});

it('never sends more than one request may carry', async () => {
  const values = fc.array(fc.tuple(fc.nat(8000), fc.constantFrom('x', '\u0001', 'ß', '"')), { minLength: 1, maxLength: 700 });
  await fc.assert(
    fc.asyncProperty(values, async (sizes) => {
      fake.asked.length = 0;
      const calls = sizes.map(([length, of]) => ({ tenant: 'acme', keyId: 'alias/invoices', context: { of: of.repeat(length) } }));
      await Promise.all(calls.map((call) => source.generateDataKey(call)));
      const items = fake.asked.map(({ body }) => body['items'] as unknown[] | undefined);
      expect(items.reduce((sum, list) => sum + (list?.length ?? 1), 0)).toBe(sizes.length);
      for (const list of items) expect(list?.length ?? 1).toBeLessThanOrEqual(MAX_BATCH_ITEMS);
      for (const { headers } of fake.asked) expect(Number(headers['content-length'])).toBeLessThanOrEqual(MAX_BATCH_BYTES);
    }),
    { numRuns: 15 },
  );
});

it('lets fields of many data keys open with one request', async () => {
  const scope = { tenant: 'acme', keyId: 'alias/invoices', context };
  const sealed = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const fields = new Fields(client);
      return await fields
        .of(scope)
        .encryptJson(i)
        .finally(() => fields.close());
    }),
  );
  fake.asked.length = 0;
  const fields = new Fields(source);
  expect(await Promise.all(sealed.map((field) => fields.of(scope).decryptJson(field)))).toEqual(sealed.map((_, i) => i));
  expect(fake.asked.map(({ operation }) => operation)).toEqual(['decrypt/batch']);
  fields.close();
});
