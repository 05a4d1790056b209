import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSinkRequest, type RecordBody, type SinkAnswer, type SinkId, sinkAnswer, type TenantId, updateSinkRequest } from '#contract';
import type { KeywardError } from '../errors.js';
import type { Prepared } from '../handler.js';
import type { SinkChange } from '../ports/sinks.js';
import type { Writes } from '../ports/writes.js';
import { sinkHandlers } from './sinks.js';

const tls = (name: string) => readFileSync(`test/vectors/tls/${name}.pem`, 'utf8');
const TENANT = 'acme' as TenantId;
const SECRET = 'what-the-bucket-asks-for';
const S3 = { type: 's3', endpoint: 'https://s3.example', bucket: 'trail', accessKeyId: 'AKIA', secretAccessKey: SECRET } as const;
const WEBHOOK = { type: 'webhook', url: 'https://hook.example/' } as const;
const SYSLOG = { type: 'syslog', host: 'logs.example' } as const;

/** Sinks in memory; what is sealed is its length. */
class World {
  readonly sinks = new Map<SinkId, SinkAnswer>();
  readonly sealed: string[] = [];
  readonly changes: SinkChange[] = [];
  signed = 40;
  minIndex = 0;
  readonly handlers = sinkHandlers({
    reads: {
      sinks: () => Promise.resolve({ items: [...this.sinks.values()] }),
      sink: (_, id) => Promise.resolve(this.sinks.get(id)),
      deliverable: () => Promise.resolve({ minIndex: this.minIndex, size: this.signed }),
    },
    sealing: {
      seal: (_tenant, _sink, plain) => {
        this.sealed.push(Buffer.from(plain).toString('latin1'));
        return Promise.resolve(`sealed ${plain.length}`);
      },
    },
  });

  readonly writes = {
    insertSink: (sink: SinkAnswer) => Promise.resolve(void this.sinks.set(sink.sinkId, sink)),
    updateSink: (_: SinkId, change: SinkChange) => Promise.resolve(void this.changes.push(change)),
  } as unknown as Writes;

  async create(body: unknown) {
    return await this.run('CreateSink', createSinkRequest.parse(body));
  }
  async update(sinkId: SinkId, body: unknown) {
    return await this.run('UpdateSink', { ...updateSinkRequest.parse(body), sinkId });
  }

  async run(name: 'CreateSink' | 'UpdateSink' | 'TestSink', input: unknown): Promise<{ sink: SinkAnswer; change: Change }> {
    const step = { input, call: { tenant: TENANT }, principal: { name: 'anna' }, now: 1_800_000_000_000 };
    const handler = this.handlers[name] as unknown as (step: unknown) => Promise<Prepared<SinkAnswer>>;
    const { answer, details, apply } = await handler(step);
    await apply?.(this.writes);
    return { sink: answer, change: details.change };
  }
}
type Change = RecordBody['change'];

const problem = (code: string, field?: string) =>
  expect.objectContaining({ code, ...(field !== undefined && { fields: [expect.objectContaining({ field })] }) }) as KeywardError;

describe('a new sink', () => {
  it('shows where it leads and nothing confidential, in its answer and in the record', async () => {
    const world = new World();
    const { sink, change } = await world.create({ target: S3 });
    expect(sinkAnswer.parse(sink)).toMatchObject({
      state: 'Active',
      createdBy: 'anna',
      delivery: { nextSeq: 0, pending: 40, failures: 0 },
    });
    expect(JSON.stringify([sink, change])).not.toContain(SECRET);
    expect(change).toEqual({ sinkId: sink.sinkId, nextSeq: 0, type: 's3', endpoint: 'https://s3.example', bucket: 'trail' });
    expect(world.sealed).toEqual([SECRET]);
  });

  it('has a signing key of its own where it is a webhook', async () => {
    const world = new World();
    const [one, other] = [await world.create({ target: WEBHOOK }), await world.create({ target: WEBHOOK, from: 'now' })];
    expect(one.sink.publicKey).toMatch(/^whpk_[A-Za-z0-9+/]{43}=$/);
    expect(one.sink.publicKey).not.toBe(other.sink.publicKey);
    expect(world.sealed.map(({ length }) => length)).toEqual([32, 32]);
    expect(other.sink.delivery).toMatchObject({ nextSeq: 40, pending: 0 });
  });

  it('has no query of its URL in the log', async () => {
    const { change } = await new World().create({ target: { ...WEBHOOK, url: 'https://hook.example/a@b?token=x#y' } });
    expect(change).toMatchObject({ url: 'https://hook.example/a@b' });
  });

  it.each(['?token=x#y', '?token=\u2028x', '#\u2029x'])('has no query of its URL in the log, whatever is in it: %j', async (query) => {
    const { change } = await new World().create({ target: { ...WEBHOOK, url: `https://hook.example/${query}` } });
    expect(change).toMatchObject({ url: 'https://hook.example/' });
  });

  it('is refused with a key that is slow to sign with, and taken with an ordinary one', async () => {
    const keyOf = (modulusLength: number) =>
      generateKeyPairSync('rsa', { modulusLength }).privateKey.export({ format: 'pem', type: 'pkcs8' });
    const target = (bits: number) => ({ ...SYSLOG, clientCertificate: tls('client'), clientKey: keyOf(bits) });
    await new World().create({ target: target(2048) });
    await expect(new World().create({ target: target(4104) })).rejects.toEqual(problem('invalid-request', 'target.clientKey'));
  });

  it.each([
    ['certificateAuthority', { ...WEBHOOK, certificateAuthority: `-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n` }],
    [
      'clientKey',
      { ...SYSLOG, clientCertificate: tls('client'), clientKey: '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n' },
    ],
  ])('is refused where %s cannot be read', async (field, target) => {
    await expect(new World().create({ target })).rejects.toEqual(problem('invalid-request', `target.${field}`));
  });

  it('takes what can be read', async () => {
    const { privateKey } = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      privateKeyEncoding: { type: 'sec1', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    for (const clientKey of [tls('client-key'), privateKey])
      await new World().create({ target: { ...SYSLOG, certificateAuthority: tls('ca'), clientCertificate: tls('client'), clientKey } });
  });

  it.each([
    ['target.url', { target: { ...WEBHOOK, url: 'ftp://hook.example/' } }],
    ['target.url', { target: { ...WEBHOOK, url: 'https://ann:pass@hook.example/' } }],
    ['target.endpoint', { target: { ...S3, endpoint: 'https://ann@s3.example' } }],
    ['target.endpoint', { target: { ...S3, endpoint: 'https://s3.example/?token=x' } }],
    ['target.clientKey', { target: { ...SYSLOG, clientCertificate: tls('client') } }],
    ['target.secretAccessKey', { target: { ...S3, secretAccessKey: 'new\nline' } }],
    ['target.bucket', { target: { ...S3, bucket: 'trail/../other' } }],
    ['from', { target: S3, from: 'now' }],
  ])('is refused for its %s', (field, body) => {
    expect(createSinkRequest.safeParse(body).error?.issues.map(({ path }) => path.join('.'))).toEqual([field]);
  });
});

describe('a changed sink', () => {
  it('keeps its key where it is a webhook, and needs another secret where it has one', async () => {
    const world = new World();
    const { sink: webhook } = await world.create({ target: WEBHOOK });
    const { sink: bucket } = await world.create({ target: S3 });
    await world.update(webhook.sinkId, { target: { ...WEBHOOK, url: 'https://other.example/' } });
    await world.update(bucket.sinkId, { target: { ...S3, secretAccessKey: 'another-secret' } });
    expect(world.changes).toEqual([
      { target: expect.objectContaining({ url: 'https://other.example/' }) as object },
      { target: expect.not.objectContaining({ secretAccessKey: expect.anything() as unknown }) as object, sealed: 'sealed 14' },
    ]);
    expect(updateSinkRequest.safeParse({ target: { ...S3, secretAccessKey: undefined } }).success).toBe(false);
  });

  it('begins where the log begins since it was pruned; a bucket with the hashes before that', async () => {
    const world = new World();
    const { sink: early } = await world.create({ target: WEBHOOK });
    world.minIndex = 10;
    expect((await world.create({ target: WEBHOOK })).sink.delivery).toMatchObject({ nextSeq: 10, pending: 30 });
    const { sink: bucket } = await world.create({ target: S3 });
    expect(bucket.delivery).toMatchObject({ nextSeq: 0, pending: 40 });
    expect((await world.update(bucket.sinkId, { nextSeq: 0 })).change).toMatchObject({ nextSeq: 0 });
    await expect(world.update(early.sinkId, { nextSeq: 9 })).rejects.toEqual(problem('invalid-request', 'nextSeq'));
    expect((await world.update(early.sinkId, { nextSeq: 10 })).change).toEqual({ sinkId: early.sinkId, nextSeq: 10 });
  });

  it('stays of its type, goes no further than the signed log, and leaves nothing out of a bucket', async () => {
    const world = new World();
    const { sink: webhook } = await world.create({ target: WEBHOOK });
    const { sink: bucket } = await world.create({ target: S3 });
    await expect(world.update(webhook.sinkId, { target: SYSLOG })).rejects.toEqual(problem('invalid-request', 'target.type'));
    await expect(world.update(webhook.sinkId, { nextSeq: 41 })).rejects.toEqual(problem('invalid-request', 'nextSeq'));
    await expect(world.update(bucket.sinkId, { nextSeq: 1 })).rejects.toEqual(problem('invalid-request', 'nextSeq'));
    expect((await world.update(webhook.sinkId, { nextSeq: 40, state: 'Paused' })).change).toEqual({
      ...{ sinkId: webhook.sinkId, nextSeq: 40, state: 'Paused' },
    });
    await expect(world.update('sink_01jdsz0000e008000000000001' as SinkId, { nextSeq: 0 })).rejects.toEqual(problem('not-found'));
  });

  it('is only asked to be tried', async () => {
    const world = new World();
    const { sink } = await world.create({ target: WEBHOOK });
    const asked = await world.run('TestSink', { sinkId: sink.sinkId });
    expect([asked.sink.test, world.changes]).toEqual([
      { requestedAt: '2027-01-15T08:00:00.000Z' },
      [{ testRequestedAt: new Date(1_800_000_000_000) }],
    ]);
  });
});
