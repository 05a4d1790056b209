import { DecryptFailed, KeywardClient, Refused } from '#sdk';
import { api, must } from './api.js';
import { INVOICE_POLICY, type Onboarded, onboarded } from './onboarded.js';

const context = { purpose: 'invoice' };
const keyId = 'alias/invoices';
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

describe('batches', () => {
  let world: Onboarded;
  let client: KeywardClient;

  beforeAll(async () => {
    world = await onboarded();
    client = new KeywardClient({ apiKey: world.billing, url: world.platform.urls.dataPlanes[0]! });
  }, 180_000);
  afterAll(async () => {
    client?.close();
    await world?.stop();
  }, 60_000);

  const admin = (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
    must(world.platform.urls.keyPlane, world.acme.admin, method, `/v1/tenants/acme${path}`, body, headers);
  const records = async (requestId: string): Promise<Record<string, unknown>[]> => {
    const path = `/v1/tenants/acme/records?requestId=${requestId}&limit=100`;
    return (await must(world.platform.urls.auditor, world.acme.auditor, 'GET', path)).body['items'] as Record<string, unknown>[];
  };
  const seal = async (count: number) => {
    const items = Array.from({ length: count }, (_, i) => ({ keyId, context, plaintext: Buffer.from(`item ${i}`) }));
    return (await client.encryptBatch('acme', items)).map((one) => {
      if ('error' in one) throw one.error;
      return one;
    });
  };

  it('encrypt and decrypt 500 items in order, and one record counts them', async () => {
    const sealed = await seal(500);
    const opened = await client.decryptBatch(
      'acme',
      sealed.map(({ ciphertext }) => ({ ciphertext, context })),
    );
    expect(opened.map((one) => ('error' in one ? one.error : text(one.plaintext)))).toEqual(sealed.map((_, i) => `item ${i}`));
    const told = await records(opened.map((one) => ('error' in one ? '' : one.requestId))[0]!);
    expect(told).toMatchObject([{ op: 'Decrypt', outcome: 'succeeded', count: 500, authz: { ruleId: 'billing-invoices' } }]);
  });

  it('make data keys that Decrypt opens one by one', async () => {
    for (const made of await client.generateDataKeyBatch('acme', [
      { keyId, context },
      { keyId, context, numberOfBytes: 64 },
    ])) {
      if ('error' in made) throw made.error;
      expect((await client.decrypt({ tenant: 'acme', context, ciphertext: made.ciphertext })).plaintext).toEqual(made.plaintext);
    }
  });

  it('fail item by item, each failure recorded as it would be alone', async () => {
    const [one, other] = await seal(2);
    const flipped = Uint8Array.from(other!.ciphertext, (byte, at) => (at === 40 ? byte ^ 1 : byte));
    const results = await client.decryptBatch('acme', [
      { ciphertext: one!.ciphertext, context },
      { ciphertext: flipped, context },
      { ciphertext: one!.ciphertext, context: { purpose: 'payroll' } },
      { ciphertext: new Uint8Array(60), context },
      { ciphertext: one!.ciphertext, context },
    ]);
    expect(results.map((it) => ('error' in it ? it.error.constructor : text(it.plaintext)))).toEqual([
      'item 0',
      DecryptFailed,
      Refused,
      DecryptFailed,
      'item 0',
    ]);
    const [first] = results;
    const told = await records('error' in first! ? '' : first!.requestId);
    expect(told.map(({ outcome, count, error }) => [outcome, count ?? 1, (error as { reason: string } | undefined)?.reason])).toEqual(
      expect.arrayContaining([
        ['succeeded', 2, undefined],
        ['failed', 1, 'wrong-tag-or-context'],
        ['refused', 1, 'no-grant'],
        ['failed', 1, 'not-a-ciphertext'],
      ]),
    );
    expect(told).toHaveLength(4);
  });

  it('say stopped in every item from the very next call on', async () => {
    const stop = await admin('POST', '/stops', { target: { scope: 'everything' } });
    const results = await client.generateDataKeyBatch('acme', [
      { keyId, context },
      { keyId, context },
    ]);
    expect(results).toMatchObject([{ error: { code: 'stopped' } }, { error: { code: 'stopped' } }]);
    await admin('DELETE', `/stops/${String(stop.body['stopId'])}`);
  });

  it('count every item against the limit of a grant, exactly, from several requests at once', async () => {
    const [grant] = INVOICE_POLICY.grants;
    const { headers } = await admin('GET', '/policy');
    const limited = { ...INVOICE_POLICY, grants: [{ ...grant, id: 'counted', limits: { perDay: 250 } }] };
    await admin('PUT', '/policy', limited, { 'if-match': headers.get('etag')! });
    const asked = Array.from({ length: 6 }, () => client.generateDataKeyBatch('acme', Array(60).fill({ keyId, context })));
    const results = (await Promise.all(asked)).flat();
    expect(results.filter((one) => !('error' in one))).toHaveLength(250);
    expect(results.filter((one) => 'error' in one && one.error.code === 'too-many-requests')).toHaveLength(110);
    const single = await api(world.platform.urls.dataPlanes[0]!, world.billing, 'POST', '/v1/tenants/acme/data-keys', {
      ...{ keyId, encryptionContext: context },
    });
    expect(single).toMatchObject({ status: 429, body: { reason: 'limit-reached' } });
  });
});
