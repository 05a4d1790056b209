import { joinFrame, splitFrame } from '#contract';
import { FakePlane, KEYS } from './test/fake-plane.js';

const used = {
  ...{ keyId: 'key_01arz3ndektsv4rrffq69g5fav', keyVersionId: 'kver_01arz3ndektsv4rrffq69g5fav' },
  lease: { maxAgeSeconds: 60 },
};
const FRAME = { 'content-type': 'application/octet-stream' };
const asked = { keyId: 'alias/invoices', encryptionContext: { purpose: 'invoice' } };
const json = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const frame = (head: unknown, bytes: Uint8Array = Buffer.from('plain')) => joinFrame(json(head), bytes);

describe('a frame', () => {
  let plane: FakePlane;
  const seen: { text: string; bytes: Buffer }[] = [];
  beforeAll(async () => {
    plane = await FakePlane.start();
    plane.pipeline.answer = async (operation, input) => {
      const bytes = (input as { plaintext?: Buffer; ciphertext?: Buffer }).plaintext ?? (input as { ciphertext?: Buffer }).ciphertext;
      if (bytes !== undefined) seen.push({ text: bytes.toString(), bytes });
      const secret = operation === 'Encrypt' ? undefined : Buffer.from('data key');
      return { answer: { ...used, ciphertext: Buffer.from('KW'), plaintext: secret } as never, seq: 5n, secret };
    };
  });
  afterAll(() => plane.fastify.close());
  const post = (path: string, body: Buffer) => plane.ask('POST', `/v1/tenants/acme/${path}`, body, { as: 'service', headers: FRAME });
  const told = (answer: Awaited<ReturnType<typeof post>>) => {
    const { json: head, bytes } = splitFrame(answer.rawPayload)!;
    return { type: answer.headers['content-type'], head: JSON.parse(head.toString()), bytes: bytes.toString() };
  };

  it('carries a plaintext to Encrypt, which is wiped, and the ciphertext back', async () => {
    const answer = await post('encrypt', frame(asked));
    const { keyId, keyVersionId } = used;
    expect(told(answer)).toEqual({ type: FRAME['content-type'], head: { keyId, keyVersionId }, bytes: 'KW' });
    expect(answer.headers['keyward-record']).toBe('5');
    expect(plane.pipeline.ran.at(-1)).toMatchObject({ operation: 'Encrypt', input: asked });
    expect(seen.at(-1)!.text).toBe('plain');
    expect(seen.at(-1)!.bytes.every((byte) => byte === 0)).toBe(true);
  });

  it('carries a ciphertext to Decrypt, and the plaintext back', async () => {
    expect(told(await post('decrypt', frame({}, Buffer.alloc(60))))).toMatchObject({ head: used, bytes: 'data key' });
  });

  it('carries a data key: its ciphertext in the JSON, its plaintext behind it', async () => {
    expect(told(await post('data-keys', frame(asked, Buffer.alloc(0))))).toMatchObject({
      head: { ...used, ciphertext: Buffer.from('KW').toString('base64') },
      bytes: 'data key',
    });
  });

  it.each([
    ['decrypt', frame({}, Buffer.alloc(60)), used],
    ['data-keys', frame(asked, Buffer.alloc(0)), { ...used, ciphertext: Buffer.from('KW').toString('base64') }],
  ])('has no bytes where the plaintext of %s is sealed to a recipient', async (path, body, head) => {
    const { answer } = plane.pipeline;
    const sealed = { ...used, ciphertext: Buffer.from('KW'), ciphertextForRecipient: Buffer.from('sealed') };
    plane.pipeline.answer = async () => ({ answer: sealed as never, seq: 5n, secret: undefined });
    const answered = await post(path, body);
    const inJson = await plane.ask('POST', `/v1/tenants/acme/data-keys`, asked, { as: 'service' });
    plane.pipeline.answer = answer;
    const ciphertextForRecipient = Buffer.from('sealed').toString('base64');
    expect(told(answered)).toMatchObject({ head: { ...head, ciphertextForRecipient }, bytes: '' });
    expect(inJson.json()).toEqual({ ...used, ciphertext: Buffer.from('KW').toString('base64'), ciphertextForRecipient });
  });

  it.each<[string, string, Buffer, number, string | undefined]>([
    ['no length', 'encrypt', Buffer.alloc(3), 400, 'body'],
    ['a length beyond its end', 'encrypt', Buffer.from('000000ff7b7d', 'hex'), 400, 'body'],
    ['no JSON', 'encrypt', frame('{'), 400, 'body'],
    ['JSON that is no object', 'encrypt', frame('[]'), 400, 'keyId'],
    ['a member that stands twice', 'encrypt', frame('{"keyId":"alias/a","keyId":"alias/b"}'), 400, 'body'],
    ['the field that its bytes are', 'encrypt', frame({ ...asked, plaintext: 'AA==' }), 400, 'body'],
    ['no bytes', 'encrypt', frame(asked, Buffer.alloc(0)), 400, 'plaintext'],
    ['6145 bytes', 'encrypt', frame(asked, Buffer.alloc(6145)), 400, 'plaintext'],
    ['bytes where there are none', 'data-keys', frame(asked), 400, 'body'],
    ['more than a body may have', 'encrypt', frame(asked, Buffer.alloc(70_000)), 413, undefined],
  ])('is refused with %s', async (_, path, body, status, field) => {
    const answer = await post(path, body);
    expect([answer.statusCode, answer.json().errors?.[0].field]).toEqual([status, field]);
  });

  it('is wiped when it is refused, too', async () => {
    const made = jest.spyOn(Buffer, 'from');
    await post('encrypt', frame({ ...asked, keyId: 'no key' }, Buffer.from('not accepted')));
    const copies = made.mock.results.map(({ value }) => value as Buffer).filter((buffer) => buffer.length === 'not accepted'.length);
    made.mockRestore();
    expect(copies.length).toBeGreaterThan(1);
    expect(copies.slice(1).every((copy) => copy.every((byte) => byte === 0))).toBe(true);
  });

  it('that is too large is told so, also over a real connection', async () => {
    const url = await plane.fastify.listen({ port: 0, host: '127.0.0.1' });
    const headers = { ...FRAME, authorization: `Bearer ${KEYS.service}` };
    const body = frame(asked, Buffer.alloc(5_000_000));
    const sending = { method: 'POST', headers, body: new Blob([Uint8Array.from(body)]).stream(), duplex: 'half' } as RequestInit;
    const answer = await fetch(`${url}/v1/tenants/acme/encrypt`, sending);
    expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([413, 'payload-too-large']);
  });

  it('is not taken where JSON is meant', async () => {
    const answer = await plane.ask('PUT', '/v1/tenants/acme/policy', frame({}), { as: 'admin', headers: { ...FRAME, 'if-match': '"1"' } });
    expect(answer.statusCode).toBe(415);
  });
});
