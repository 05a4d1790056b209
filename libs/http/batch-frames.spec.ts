import * as fc from 'fast-check';
import { joinFrame, joinItems, MAX_BATCH_ITEMS, splitFrame, splitItems } from '#contract';
import { KeywardError } from '#core';
import { FakePlane } from './test/fake-plane.js';

const FRAME = { 'content-type': 'application/octet-stream' };
const used = { keyId: 'key_01arz3ndektsv4rrffq69g5fav', keyVersionId: 'kver_01arz3ndektsv4rrffq69g5fav' };
const lease = { maxAgeSeconds: 60 };
const json = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const batch = (items: readonly unknown[], bytes: readonly Uint8Array[]) => joinFrame(json({ items }), joinItems(bytes));
const sealed = (fill: number) => Buffer.alloc(60, fill);

describe('a frame of many', () => {
  let plane: FakePlane;
  const secrets: Uint8Array[] = [];
  const received: Buffer[] = [];
  beforeAll(async () => {
    plane = await FakePlane.start();
    plane.pipeline.answer = async (operation, input) => {
      const { plaintext, ciphertext } = input as { plaintext?: Buffer; ciphertext?: Buffer };
      if (plaintext !== undefined) received.push(plaintext);
      if (ciphertext?.[0] === 9) throw Object.assign(new KeywardError('decrypt-failed'), { record: 9n });
      if (operation === 'Encrypt')
        return { answer: { ...used, ciphertext: Buffer.from(plaintext!).reverse() } as never, seq: 4n, secret: undefined };
      const secret = operation === 'Decrypt' ? Buffer.from(ciphertext!).reverse() : Buffer.from('a data key');
      secrets.push(secret);
      return { answer: { ...used, lease, ciphertext: Buffer.from('KW'), plaintext: secret } as never, seq: 5n, secret };
    };
  });
  afterAll(() => plane.fastify.close());
  const post = (operation: string, body: Buffer) =>
    plane.ask('POST', `/v1/tenants/acme/${operation}/batch`, body, { as: 'service', headers: FRAME });
  const told = (answer: Awaited<ReturnType<typeof post>>) => {
    expect([answer.statusCode, answer.headers['content-type']]).toEqual([200, FRAME['content-type']]);
    const { json: head, bytes } = splitFrame(answer.rawPayload)!;
    const { items } = JSON.parse(head.toString()) as { items: Record<string, unknown>[] };
    return { items, bytes: splitItems(bytes, items.length)!.map(String) };
  };

  it('brings ciphertexts to Decrypt, and plaintexts and problems back, in order', async () => {
    const { items, bytes } = told(
      await post('decrypt', batch([{}, {}, { encryptionContext: 1 }, {}], [sealed(1), sealed(9), sealed(2), Buffer.alloc(7)])),
    );
    const invalid = (field: string) => ({ problem: expect.objectContaining({ errors: [expect.objectContaining({ field })] }) });
    expect(items).toEqual([
      { ...used, lease, record: 5 },
      { problem: expect.objectContaining({ code: 'decrypt-failed' }), record: 9 },
      invalid('encryptionContext'),
      invalid('ciphertext'),
    ]);
    expect(bytes).toEqual([sealed(1).toString(), '', '', '']);
    expect(secrets.every((secret) => secret.every((byte) => byte === 0))).toBe(true);
  });

  it('brings plaintexts to Encrypt, which are wiped, and data keys back', async () => {
    const asked = { keyId: 'alias/invoices' };
    expect(told(await post('encrypt', batch([asked, asked], [Buffer.from('ab'), Buffer.from('cde')])))).toEqual({
      items: Array(2).fill({ ...used, record: 4 }),
      bytes: ['ba', 'edc'],
    });
    expect(received.map((bytes) => [bytes.length, bytes.every((byte) => byte === 0)])).toEqual([
      [2, true],
      [3, true],
    ]);
    expect(told(await post('data-keys', batch([asked, { ...asked, dryRun: 0 }], [])))).toMatchObject({
      items: [{ ...used, lease, ciphertext: Buffer.from('KW').toString('base64') }, { problem: { code: 'invalid-request' } }],
      bytes: ['a data key', ''],
    });
  });

  it.each<[string, string, Buffer, number, string | undefined]>([
    ['no items', 'decrypt', batch([], []), 400, 'items'],
    ['items that are none', 'decrypt', joinFrame(json({ items: 1 }), Buffer.alloc(0)), 400, 'body'],
    ['no object', 'decrypt', joinFrame(json('[]'), Buffer.alloc(0)), 400, 'body'],
    ['something besides', 'decrypt', joinFrame(json({ items: [{}], more: 1 }), joinItems([sealed(1)])), 400, 'more'],
    ['an item that is no object', 'decrypt', batch([1], [sealed(1)]), 400, 'body'],
    ['an item with the field that its bytes are', 'decrypt', batch([{ ciphertext: 'AA==' }], [sealed(1)]), 400, 'body'],
    ['fewer bytes than items', 'decrypt', batch([{}, {}], [sealed(1)]), 400, 'body'],
    ['more bytes than items', 'decrypt', batch([{}], [sealed(1), sealed(1)]), 400, 'body'],
    ['a length beyond the end', 'decrypt', batch([{}], [sealed(1)]).subarray(0, -1), 400, 'body'],
    ['a byte behind the end', 'decrypt', Buffer.concat([batch([{}], [sealed(1)]), Buffer.alloc(1)]), 400, 'body'],
    ['__proto__ in a context', 'decrypt', batch([JSON.parse('{"encryptionContext":{"__proto__":""}}')], [sealed(1)]), 400, 'body'],
    ['half a length', 'decrypt', Buffer.concat([batch([{}], [sealed(1)]), Buffer.alloc(3)]), 400, 'body'],
    ['bytes where there are none', 'data-keys', batch([{ keyId: 'alias/a' }], [Buffer.alloc(0)]), 400, 'body'],
    ['one item too many', 'decrypt', batch(...many(MAX_BATCH_ITEMS + 1)), 400, 'items'],
    ['more than 1 MiB', 'decrypt', batch([{}], [Buffer.alloc(1024 * 1024)]), 413, undefined],
  ])('is refused as a whole with %s', async (_, operation, body, status, field) => {
    const answer = await post(operation, body);
    expect([answer.statusCode, answer.json().errors?.[0].field]).toEqual([status, field]);
  });

  it('answers the same as JSON does, whatever is asked', async () => {
    const label = fc.string().filter((name) => name !== '__proto__');
    const item = fc.record({
      encryptionContext: fc.option(fc.dictionary(label, fc.string(), { maxKeys: 2 }), { nil: undefined }),
      keyId: fc.constantFrom(undefined, 'alias/a', 'nothing'),
    });
    const one = fc.tuple(item, fc.uint8Array({ maxLength: 80 }));
    await fc.assert(
      fc.asyncProperty(fc.array(one, { minLength: 1, maxLength: 6 }), async (asked) => {
        const framed = told(
          await post(
            'decrypt',
            batch(
              asked.map(([head]) => head),
              asked.map(([, bytes]) => bytes),
            ),
          ),
        );
        const items = asked.map(([head, bytes]) => ({ ...head, ciphertext: Buffer.from(bytes).toString('base64') }));
        const plain = await plane.ask('POST', '/v1/tenants/acme/decrypt/batch', { items }, { as: 'service' });
        const same = (answers: Record<string, unknown>[]) =>
          answers.map(({ problem, plaintext: _bytes, ...told }) =>
            problem === undefined ? told : new Set((problem as { errors?: unknown[] }).errors),
          );
        const answers = plain.json<{ items: (Record<string, unknown> & { plaintext?: string })[] }>().items;
        expect(same(framed.items)).toEqual(same(answers));
        expect(framed.bytes).toEqual(answers.map(({ plaintext }) => Buffer.from(plaintext ?? '', 'base64').toString()));
      }),
      { numRuns: 60 },
    );
  });

  it('is a clear 400 when it is anything else', async () => {
    const good = batch([{}, {}], [sealed(1), sealed(2)]);
    const spoilt = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc
        .tuple(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }))
        .map(([at, by]) => good.map((byte, place) => (place === at ? byte ^ by : byte))),
      fc.nat(good.length - 1).map((length) => good.subarray(0, length)),
    );
    await fc.assert(
      fc.asyncProperty(spoilt, async (body) => {
        const answer = await post('decrypt', Buffer.from(body));
        // A flipped byte of a ciphertext is that item's own affair.
        if (answer.statusCode === 200) return told(answer).items.length === 2;
        return answer.statusCode === 400 && answer.json<{ errors: unknown[] }>().errors.length > 0;
      }),
      { numRuns: 200 },
    );
  });
});

it('the items of a frame come back as they were put in', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 9 }), fc.nat(9), (items, count) => {
      const split = splitItems(joinItems(items), count);
      expect(split?.map((one) => new Uint8Array(one))).toEqual(count === items.length ? items : undefined);
    }),
  );
});

function many(count: number): [object[], Buffer[]] {
  return [Array(count).fill({}), Array(count).fill(sealed(1))];
}
