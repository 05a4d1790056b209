import { randomBytes } from 'node:crypto';
import { type Duplex, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { inspect } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { KeywardClient } from './client.js';
import { Envelope } from './envelope.js';
import { DecryptFailed, InvalidCall, KeyDestroyed, type KeywardError, Refused, ServerFault, Stopped, Unavailable } from './errors.js';
import { MessageKey } from './message-key.js';
import { FakeDataPlane, KEY_ID, VERSION_ID } from './test/fake-data-plane.js';

const FRAME = 64;
const context = { purpose: 'invoice', row: '17' };
const acme = { tenant: 'acme', keyId: 'alias/invoices', context };
const acmeOpens = { tenant: 'acme', expectedContext: context };
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

let fake: FakeDataPlane;
let client: KeywardClient;
let envelope: Envelope;
beforeEach(async () => {
  fake = await FakeDataPlane.start();
  client = new KeywardClient({ apiKey: 'kw_platform_crd_CANARY', url: fake.url, backoffMs: 1 });
  envelope = new Envelope(client, { frameBytes: FRAME });
});
afterEach(async () => {
  envelope.close();
  client.close();
  await fake.close();
});

const failure = (promise: Promise<unknown>): Promise<KeywardError> =>
  promise.then(
    () => Promise.reject(new Error('It should have failed.')),
    (error) => error,
  );
const chunked = (bytes: Uint8Array, size: number) =>
  Readable.from(Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => Buffer.from(bytes.subarray(i * size, (i + 1) * size))));
async function through(source: Readable, stream: NodeJS.ReadWriteStream): Promise<{ bytes: Buffer; error?: unknown }> {
  const chunks: Buffer[] = [];
  const collect = async (readable: AsyncIterable<Buffer>) => {
    for await (const chunk of readable) chunks.push(chunk);
  };
  return pipeline(source, stream, collect).then(
    () => ({ bytes: Buffer.concat(chunks) }),
    (error) => ({ bytes: Buffer.concat(chunks), error }),
  );
}

describe('what was sealed opens', () => {
  it.each([0, 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME, 1000])('for %d bytes, as a buffer and as a stream', async (length) => {
    const plaintext = randomBytes(length);
    const message = await envelope.encrypt(plaintext, acme);
    expect(Buffer.from(await envelope.decrypt(message, acmeOpens))).toEqual(plaintext);

    const streamed = await through(chunked(plaintext, 50), envelope.encryptStream(acme));
    expect(streamed.error).toBeUndefined();
    expect(await through(chunked(streamed.bytes, 33), envelope.decryptStream(acmeOpens))).toEqual({ bytes: plaintext });
  });

  it('under a data key that names tenant, key and version, bound to exactly the given context', async () => {
    const message = await envelope.encrypt(randomBytes(10), acme);
    expect(Buffer.from(message).includes(`acme/${KEY_ID}/${VERSION_ID}`)).toBe(true);
    await envelope.decrypt(message, acmeOpens);
    expect(fake.asked.map(({ operation, body }) => [operation, body.encryptionContext, body['keyId']])).toEqual([
      ['data-keys', context, 'alias/invoices'],
      ['decrypt', context, KEY_ID],
    ]);
  });

  it('in an empty context', async () => {
    const message = await envelope.encrypt(randomBytes(10), { ...acme, context: {} });
    expect(await envelope.decrypt(message, { tenant: 'acme', expectedContext: {} })).toHaveLength(10);
  });
});

describe('what was changed does not open', () => {
  it('wherever a bit was flipped', async () => {
    const message = await envelope.encrypt(randomBytes(2 * FRAME + 10), acme);
    for (let at = 0; at < message.length; at++) {
      const flipped = Uint8Array.from(message);
      flipped[at]! ^= 1;
      expect([at, (await failure(envelope.decrypt(flipped, acmeOpens))).name]).toEqual([at, 'DecryptFailed']);
    }
  });

  it('wherever it was cut; a stream releases whole, verified frames before it says so', async () => {
    const plaintext = randomBytes(2 * FRAME + 10);
    const message = await envelope.encrypt(plaintext, acme);
    for (let length = 0; length < message.length; length += 3) {
      const cut = message.subarray(0, length);
      expect(await failure(envelope.decrypt(cut, acmeOpens))).toBeInstanceOf(DecryptFailed);
      const { bytes, error } = await through(chunked(cut, 29), envelope.decryptStream(acmeOpens));
      expect(error).toBeInstanceOf(DecryptFailed);
      expect(plaintext.subarray(0, bytes.length)).toEqual(bytes);
      expect(bytes.length % FRAME).toBe(0);
    }
  });

  it.each([1, 16, 32, 40, FRAME + 32])('with %d bytes after its end', async (extra) => {
    for (const length of [0, 10, FRAME, 2 * FRAME + 10]) {
      const message = await envelope.encrypt(randomBytes(length), acme);
      expect(await failure(envelope.decrypt(Buffer.concat([message, randomBytes(extra)]), acmeOpens))).toBeInstanceOf(DecryptFailed);
    }
  });

  it('when its frames changed places', async () => {
    const message = Buffer.from(await envelope.encrypt(randomBytes(3 * FRAME), acme));
    const frame = FRAME + 32;
    const body = message.length - 3 * frame - 40;
    const swapped = Buffer.concat([
      message.subarray(0, body),
      message.subarray(body + frame, body + 2 * frame),
      message.subarray(body, body + frame),
      message.subarray(body + 2 * frame),
    ]);
    expect(await failure(envelope.decrypt(swapped, acmeOpens))).toBeInstanceOf(DecryptFailed);
  });
});

describe('what belongs elsewhere does not open', () => {
  it.each([
    ['another value', { ...context, row: '18' }],
    ['a pair missing', { purpose: 'invoice' }],
    ['a pair more', { ...context, more: '1' }],
    ['nothing', {}],
  ])('in a context with %s, and Keyward is not asked', async (_, expectedContext) => {
    const message = await envelope.encrypt(randomBytes(10), acme);
    expect(await failure(envelope.decrypt(message, { tenant: 'acme', expectedContext }))).toBeInstanceOf(DecryptFailed);
    expect(fake.count('decrypt')).toBe(0);
  });

  it('for another tenant, as Keyward decides', async () => {
    const message = await envelope.encrypt(randomBytes(10), acme);
    await envelope.decrypt(message, acmeOpens);
    const error = await failure(envelope.decrypt(message, { ...acmeOpens, tenant: 'globex' }));
    expect(error).toMatchObject({ name: 'DecryptFailed', code: 'decrypt-failed', status: 400, requestId: 'req_x' });
    expect(fake.count('decrypt', 'globex')).toBe(1);
  });
});

describe('a spare key', () => {
  const withSpare = { ...acme, spareKeyId: 'alias/spare' };
  beforeEach(() => (envelope = new Envelope(client, { cache: false, frameBytes: FRAME })));

  it('opens when the first is gone, away or not granted any more', async () => {
    const message = await envelope.encrypt(Buffer.from('hello'), withSpare);
    expect(fake.asked.map(({ operation, body }) => [operation, body['keyId']])).toEqual([
      ['data-keys', 'alias/invoices'],
      ['encrypt', 'alias/spare'],
    ]);
    for (const [code, status] of [
      ['key-destroyed', 410],
      ['unavailable', 503],
      ['not-granted', 403],
    ] as const) {
      let asked = 0;
      fake.script = ({ operation }, response) =>
        operation === 'decrypt' && asked++ === 0 ? fake.problem(response, code, status) : undefined;
      expect(text(await envelope.decrypt(message, acmeOpens))).toBe('hello');
      expect(asked).toBe(2);
    }
  });

  it('or the first key says why not, when neither opens', async () => {
    const message = await envelope.encrypt(Buffer.from('hello'), withSpare);
    let asked = 0;
    fake.script = (_asked, response) => fake.problem(response, asked++ === 0 ? 'key-destroyed' : 'not-granted', 410);
    expect(await failure(envelope.decrypt(message, acmeOpens))).toBeInstanceOf(KeyDestroyed);
  });

  it('that refuses leaves no message, and no data key', async () => {
    fake.script = ({ operation }, response) => (operation === 'encrypt' ? fake.problem(response, 'not-granted', 403) : undefined);
    expect(await failure(envelope.encrypt(Buffer.from('hello'), withSpare))).toBeInstanceOf(Refused);
    const source = { generateDataKey: client.generateDataKey.bind(client), decrypt: client.decrypt.bind(client) };
    expect(await failure(new Envelope(source).encrypt(Buffer.from('hello'), withSpare))).toBeInstanceOf(InvalidCall);
  });
});

describe("Keyward's errors come through", () => {
  it.each(['encrypt', 'encryptStream'] as const)('from %s', async (how) => {
    fake.script = (_asked, response) => fake.problem(response, 'stopped', 403);
    const error =
      how === 'encrypt'
        ? await failure(envelope.encrypt(randomBytes(10), acme))
        : (await through(chunked(randomBytes(500_000), 9_000), envelope.encryptStream(acme))).error;
    expect(error).toBeInstanceOf(Stopped);
    expect(error).toMatchObject({ record: 1 });
  });

  it.each(['decrypt', 'decryptStream'] as const)('from %s', async (how) => {
    const message = await envelope.encrypt(randomBytes(500_000), acme);
    await fake.close();
    const error =
      how === 'decrypt'
        ? await failure(envelope.decrypt(message, acmeOpens))
        : (await through(chunked(message, 9_000), envelope.decryptStream(acmeOpens))).error;
    expect(error).toBeInstanceOf(Unavailable);
    expect(inspect(error, { depth: 9 })).not.toMatch(/CANARY/);
    fake = await FakeDataPlane.start();
  });

  it.each([(key: Buffer) => key.fill(0), (key: Buffer) => key.subarray(16)])(
    'and a data key that must not be used is not used',
    async (spoil) => {
      const message = await envelope.encrypt(randomBytes(10), acme);
      envelope.wipe();
      fake.spoilDataKey = spoil;
      expect(await failure(envelope.encrypt(randomBytes(10), acme))).toBeInstanceOf(ServerFault);
      expect(await failure(envelope.decrypt(message, acmeOpens))).toBeInstanceOf(ServerFault);
    },
  );

  it('and a context that Keyward would refuse is refused here, cached data key or not', async () => {
    await envelope.encrypt(randomBytes(10), { ...acme, context: { a: '\ufffd' } });
    expect(await failure(envelope.encrypt(randomBytes(10), { ...acme, context: { a: '\ud800' } }))).toBeInstanceOf(InvalidCall);
    expect(await failure(envelope.encrypt(randomBytes(10), { ...acme, context: { 'aws-crypto-public-key': 'x' } }))).toBeInstanceOf(
      InvalidCall,
    );
  });
});

describe('the cache of data keys', () => {
  const seal = (scope: Partial<typeof acme> = {}) => envelope.encrypt(Buffer.from('hello'), { ...acme, ...scope });

  it('asks once for many messages of one tenant, key and context', async () => {
    const messages = [await seal(), await seal(), await seal()];
    expect(fake.count('data-keys')).toBe(1);
    for (const message of messages) expect(text(await envelope.decrypt(message, acmeOpens))).toBe('hello');
    expect(fake.count('decrypt')).toBe(1);
  });

  it('never shares a data key between tenants, keys or contexts', async () => {
    const scopes = [{}, { tenant: 'globex' }, { keyId: KEY_ID }, { context: { ...context, row: '18' } }, { tenant: 'acme","x' }];
    for (let round = 0; round < 2; round++) for (const scope of scopes) await seal(scope);
    expect(fake.count('data-keys')).toBe(scopes.length);

    const globexs = await seal({ tenant: 'globex' });
    await envelope.decrypt(globexs, { ...acmeOpens, tenant: 'globex' });
    expect(await failure(envelope.decrypt(globexs, acmeOpens))).toBeInstanceOf(DecryptFailed);
  });

  it('ends with its age, and wipes what it held', async () => {
    envelope = new Envelope(client, { cache: { maxAgeMs: 40 } });
    const message = await seal();
    await envelope.decrypt(message, acmeOpens);
    fake.script = (_asked, response) => fake.problem(response, 'stopped', 403);
    await sleep(60);
    expect(await failure(seal())).toBeInstanceOf(Stopped);
    expect(await failure(envelope.decrypt(message, acmeOpens))).toBeInstanceOf(Stopped);
  });

  it.each([{ maxMessages: 2 }, { maxBytes: 10 }, { capacity: 1 }])('keeps to %j', async (cache) => {
    envelope = new Envelope(client, { cache });
    for (const tenant of ['acme', 'acme', 'acme', 'globex', 'acme']) await seal({ tenant });
    expect(fake.count('data-keys')).toBe(3);
  });

  it.each([
    ['uses', { maxAgeSeconds: 60, maxUses: 2 }, 2, 2],
    ['bytes', { maxAgeSeconds: 60, maxBytes: 11 }, 2, 2],
    ['age', { maxAgeSeconds: 60 }, 1, 1],
  ])('obeys the %s of the lease', async (_, lease, sealing, opening) => {
    fake.lease = lease;
    const messages = [];
    for (let i = 0; i < 4; i++) messages.push(await envelope.encrypt(Buffer.from('four'), acme));
    for (let i = 0; i < 4; i++) expect(text(await envelope.decrypt(messages[0]!, acmeOpens))).toBe('four');
    expect([fake.count('data-keys'), fake.count('decrypt')]).toEqual([sealing, opening]);
  });

  it('ends with the age of the lease', async () => {
    fake.lease = { maxAgeSeconds: 1 };
    const message = await envelope.encrypt(Buffer.from('x'), acme);
    await envelope.decrypt(message, acmeOpens);
    await sleep(1_200);
    await envelope.decrypt(message, acmeOpens);
    await envelope.encrypt(Buffer.from('x'), acme);
    expect([fake.count('data-keys'), fake.count('decrypt')]).toEqual([2, 2]);
  });

  it('is empty after wipe, and refuses after close', async () => {
    await seal();
    envelope.wipe();
    await seal();
    expect(fake.count('data-keys')).toBe(2);
    envelope.close();
    expect(await failure(seal())).toBeInstanceOf(InvalidCall);
  });

  it('holds no data key that arrives after close', async () => {
    const underWay = failure(seal());
    envelope.close();
    expect(await underWay).toBeInstanceOf(InvalidCall);
  });

  it('can be switched off, and streams do not seal with it', async () => {
    await through(chunked(randomBytes(10), 10), envelope.encryptStream(acme));
    await through(chunked(randomBytes(10), 10), envelope.encryptStream(acme));
    expect(fake.count('data-keys')).toBe(2);
    envelope = new Envelope(client, { cache: false });
    await seal();
    await seal();
    expect(fake.count('data-keys')).toBe(4);
  });
});

describe('a stream that is given up half-way', () => {
  const given = async (stream: Duplex, bytes: Uint8Array) => {
    stream.write(bytes);
    await new Promise((readable) => stream.once('readable', readable));
    const closed = new Promise((resolve) => stream.once('close', resolve));
    stream.destroy();
    await closed;
    await sleep(20); // an error thrown out of an event would end the process, here the test
  };

  it.each(['encryptStream', 'decryptStream'] as const)('from %s, closes quietly', async (how) => {
    const plaintext = randomBytes(500_000);
    if (how === 'encryptStream') await given(envelope.encryptStream(acme), plaintext);
    else await given(envelope.decryptStream(acmeOpens), (await envelope.encrypt(plaintext, acme)).subarray(0, 300_000));
  });

  it('and one that is given up before its data key came, too', async () => {
    const stream = envelope.encryptStream(acme);
    stream.write(randomBytes(1000));
    stream.destroy();
    await sleep(50);
    expect(fake.count('data-keys')).toBe(1);
  });

  it('because its source failed, passes that error on', async () => {
    const source = Readable.from(
      (async function* () {
        yield randomBytes(90_000);
        throw new Error('disk');
      })(),
    );
    expect((await through(source, envelope.encryptStream(acme))).error).toMatchObject({ message: 'disk' });
    await sleep(20);
  });
});

describe('the data key of a message', () => {
  /** What the client answered, to look at afterwards. */
  const handedOut: Uint8Array[] = [];
  const kept = <Answer extends { readonly plaintext: Uint8Array }>(answer: Answer) => {
    handedOut.push(answer.plaintext);
    return answer;
  };
  let wiped: jest.SpyInstance;
  beforeEach(() => {
    handedOut.length = 0;
    const source = {
      generateDataKey: async (call: Parameters<KeywardClient['generateDataKey']>[0]) => kept(await client.generateDataKey(call)),
      decrypt: async (call: Parameters<KeywardClient['decrypt']>[0]) => kept(await client.decrypt(call)),
      encrypt: client.encrypt.bind(client),
    };
    envelope = new Envelope(source, { cache: false, frameBytes: 4096 });
    wiped = jest.spyOn(MessageKey.prototype, 'wipe');
  });
  afterEach(() => jest.restoreAllMocks());

  const plaintext = randomBytes(100_000);
  const giveUp = async (stream: Duplex, bytes: Uint8Array, when: 'at once' | 'half-way') => {
    stream.on('error', () => undefined).write(bytes);
    if (when === 'half-way') await new Promise((readable) => stream.once('readable', readable));
    stream.destroy();
    await sleep(50);
  };

  it.each([
    ['sealing', async () => void (await envelope.encrypt(plaintext, acme))],
    ['sealing a stream', async () => void (await through(chunked(plaintext, 5_000), envelope.encryptStream(acme)))],
    ['opening', async () => void (await envelope.decrypt(await envelope.encrypt(plaintext, acme), acmeOpens))],
    [
      'opening what was cut',
      async () => void (await failure(envelope.decrypt((await envelope.encrypt(plaintext, acme)).subarray(0, 50_000), acmeOpens))),
    ],
    ['giving up sealing half-way', () => giveUp(envelope.encryptStream(acme), plaintext, 'half-way')],
    ['giving up sealing at once', () => giveUp(envelope.encryptStream(acme), plaintext, 'at once')],
    [
      'giving up opening half-way',
      async () => giveUp(envelope.decryptStream(acmeOpens), (await envelope.encrypt(plaintext, acme)).subarray(0, 50_000), 'half-way'),
    ],
    [
      'giving up opening at once',
      async () => giveUp(envelope.decryptStream(acmeOpens), (await envelope.encrypt(plaintext, acme)).subarray(0, 50_000), 'at once'),
    ],
  ])('is wiped after %s', async (_, work) => {
    await work();
    expect(handedOut.length).toBeGreaterThan(0);
    for (const dataKey of handedOut) expect(dataKey.every((byte) => byte === 0)).toBe(true);
    expect(wiped.mock.calls.length).toBeGreaterThanOrEqual(handedOut.length);
  });
});
