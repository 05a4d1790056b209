import { trace } from '@opentelemetry/api';
import { BasicTracerProvider, InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { KeywardClient } from './client.js';
import { Envelope } from './envelope.js';
import { FakeDataPlane } from './test/fake-data-plane.js';

const CANARY = 'CANARYofSecrets01';
const context = { [`purpose-${CANARY}`]: CANARY };
const scope = { tenant: 'acme', keyId: `alias/${CANARY}`, context };
const plaintext = Buffer.from(CANARY);

/** All that a span may tell. */
const TOLD = [
  ...['server.address', 'server.port', 'keyward.operation', 'keyward.tenant', 'keyward.batch.items', 'keyward.record'],
  ...['keyward.request_id', 'http.response.status_code', 'http.request.resend_count', 'error.type'],
];

describe('spans', () => {
  let fake: FakeDataPlane;
  let client: KeywardClient;
  const exporter = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  beforeEach(async () => {
    exporter.reset();
    fake = await FakeDataPlane.start();
    client = new KeywardClient({ apiKey: `kw_platform_crd_${CANARY}`, url: fake.url, backoffMs: 1, tracerProvider });
  });
  afterEach(async () => {
    client.close();
    await fake.close();
  });

  const spans = (): ReadableSpan[] => exporter.getFinishedSpans();
  const told = () => spans().map(({ name, attributes, status }) => [name, attributes['error.type'], status.code]);

  it('tell each call: which, of whom, and where its record is', async () => {
    const { ciphertext, record, requestId } = await client.encrypt({ ...scope, plaintext });
    await client.decryptBatch('acme', [{ ciphertext, context }]);
    const [sealed, opened] = spans();
    expect(sealed).toMatchObject({ name: 'keyward encrypt', kind: 2, status: { code: 0 }, instrumentationScope: { name: '@keyward/sdk' } });
    expect(sealed!.attributes).toEqual({
      'server.address': '127.0.0.1',
      'server.port': Number(new URL(fake.url).port),
      'keyward.operation': 'encrypt',
      'keyward.tenant': 'acme',
      'http.response.status_code': 200,
      'keyward.record': record,
      'keyward.request_id': requestId,
    });
    expect(opened).toMatchObject({ name: 'keyward decrypt/batch', attributes: { 'keyward.batch.items': 1 } });
  });

  it('tell no secret, whatever is called and however it ends', async () => {
    const { ciphertext } = await client.encrypt({ ...scope, plaintext });
    const dataKey = await client.generateDataKey(scope);
    const envelope = new Envelope(client);
    await envelope.decrypt(await envelope.encrypt(plaintext, scope), { tenant: 'acme', expectedContext: context });
    await client.decrypt({ tenant: 'acme', ciphertext, context });
    const calls = [
      ...[
        () => client.generateMac({ ...scope, message: plaintext }),
        () => client.reEncrypt({ ...scope, ciphertext, destinationKeyId: CANARY }),
      ],
      ...[() => client.decrypt({ tenant: 'acme', ciphertext, context: {} }), () => client.dryRun('encrypt', { ...scope, plaintext })],
      () => client.encrypt({ ...scope, plaintext, justification: { code: 'ISV_INCIDENT', ticket: CANARY } }),
    ];
    fake.script = (_, response) => fake.problem(response, 'unavailable', 503, { retryable: true, reason: CANARY });
    for (const call of calls) await call().catch(() => undefined);
    const everything = spans()
      .map(({ name, attributes, events, status, links }) => JSON.stringify({ name, attributes, events, status, links }))
      .join();
    expect(spans().length).toBeGreaterThan(8);
    for (const secret of [plaintext, Buffer.from(dataKey.plaintext), Buffer.from(ciphertext)])
      for (const form of ['latin1', 'base64', 'base64url', 'hex'] as const) expect(everything).not.toContain(secret.toString(form));
    // It would be found: what may be told is.
    expect(everything).toContain('acme');
    expect(
      spans()
        .flatMap(({ attributes }) => Object.keys(attributes))
        .filter((name) => !TOLD.includes(name)),
    ).toEqual([]);
    expect(spans().flatMap(({ events }) => events)).toEqual([]);
  });

  it('tell an error by its code alone, and how often it was tried again', async () => {
    fake.script = (_, response) => fake.problem(response, 'unavailable', 503, { retryable: true });
    await expect(client.encrypt({ ...scope, plaintext })).rejects.toThrow();
    expect(spans()[0]!.attributes).toMatchObject({
      'error.type': 'unavailable',
      'http.response.status_code': 503,
      'http.request.resend_count': 2,
    });
    fake.script = (_, response) => fake.problem(response, 'stopped', 403);
    await expect(client.encrypt({ ...scope, plaintext })).rejects.toThrow();
    await fake.close();
    await expect(client.encrypt({ ...scope, plaintext })).rejects.toThrow();
    expect(told()).toEqual(['unavailable', 'stopped', 'unavailable'].map((code) => ['keyward encrypt', code, 2]));
    expect(spans().map(({ status }) => status.message)).toEqual([undefined, undefined, undefined]);
  });

  it('go on at Keyward: the record has their trace', async () => {
    await client.encrypt({ ...scope, plaintext });
    const { traceId, spanId } = spans()[0]!.spanContext();
    expect(fake.asked[0]!.headers['traceparent']).toBe(`00-${traceId}-${spanId}-01`);
  });

  it.each([
    ['no provider', undefined],
    ['the API alone, without an SDK', trace],
  ])('are none with %s, and calls work', async (_, provider) => {
    const plain = new KeywardClient({ apiKey: 'kw_platform_crd_x', url: fake.url, tracerProvider: provider });
    await plain.encrypt({ ...scope, plaintext });
    expect(fake.asked[0]!.headers).not.toHaveProperty('traceparent');
    expect(spans()).toEqual([]);
    plain.close();
  });
});
