import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import { FRAME_TYPE, joinFrame, joinItems, type ProblemCode, splitFrame, splitItems, type Lease } from '#contract';

export const KEY_ID = 'key_01jb000000e008000000000000';
export const VERSION_ID = 'kver_01jb000000e008000000000000';

/** As every ciphertext v1 of a data key begins. */
const EDK_START = Buffer.concat([Buffer.from('4b57010201', 'hex'), Buffer.alloc(16, 7)]);

/** Every field of the four requests; whatever else is sent is kept for the test to see. */
const askedBody = z.looseObject({
  ciphertext: z.string().default(''),
  plaintext: z.string().default(''),
  encryptionContext: z.record(z.string(), z.string()).default({}),
  keySpec: z.string().optional(),
  numberOfBytes: z.number().optional(),
});

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly tenant: string;
  readonly operation: string;
  readonly authorization: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: z.infer<typeof askedBody>;
}

/** What comes of one call, and which field of it a frame carries as bytes. */
type Worked = { readonly refused: ProblemCode } | { readonly answer: Record<string, unknown>; readonly bytes?: 'plaintext' | 'ciphertext' };

/** Answers instead of the fake's own work; `undefined` lets it work. */
export type Script = (asked: Asked, response: ServerResponse) => undefined | 'answered';

/** The data plane's four routes over node:crypto: one key a tenant, AES-256-GCM, tenant and context bound. */
export class FakeDataPlane {
  readonly asked: Asked[] = [];
  /** Changes a data key just before it is answered. */
  spoilDataKey: (key: Buffer) => Buffer = (key) => key;
  script: Script = () => undefined;
  /** Refuses an item of a batch. */
  refuses: (tenant: string, item: Asked['body']) => ProblemCode | undefined = () => undefined;
  /** What answers say of one; undefined: nothing, as older planes. */
  lease: Lease | undefined;
  readonly #keys = new Map<string, ReturnType<typeof createSecretKey>>();
  readonly #server: Server;
  #record = 0;

  private constructor() {
    this.#server = createServer((request, response) => void this.#handle(request, response));
  }

  static async start(): Promise<FakeDataPlane> {
    const fake = new FakeDataPlane();
    await new Promise<void>((ready) => fake.#server.listen(0, '127.0.0.1', ready));
    return fake;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  count(operation: string, tenant?: string): number {
    return this.asked.filter((call) => call.operation === operation && (tenant === undefined || call.tenant === tenant)).length;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((closed) => this.#server.close(closed));
  }

  problem(
    response: ServerResponse,
    code: ProblemCode,
    status: number,
    more: { retryable?: boolean; reason?: string; headers?: Record<string, string> } = {},
  ): 'answered' {
    const { retryable = false, reason, headers = {} } = more;
    response.writeHead(status, {
      'content-type': 'application/problem+json',
      'x-request-id': 'req_x',
      'keyward-record': String(++this.#record),
      ...headers,
    });
    response.end(
      JSON.stringify({
        type: `urn:keyward:problem:${code}`,
        title: `Title of ${code}.`,
        status,
        code,
        requestId: 'req_x',
        retryable,
        reason,
      }),
    );
    return 'answered';
  }

  json(response: ServerResponse, body: object): 'answered' {
    response.writeHead(200, { 'content-type': 'application/json', 'x-request-id': 'req_x', 'keyward-record': String(++this.#record) });
    response.end(JSON.stringify(body));
    return 'answered';
  }

  /** As a real plane answers a frame: `bytes` is the field that stands behind the JSON. */
  framed(response: ServerResponse, fields: Record<string, unknown>, field: string): 'answered' {
    const { [field]: bytes, ...body } = fields;
    response.writeHead(200, { 'content-type': FRAME_TYPE, 'x-request-id': 'req_x', 'keyward-record': String(++this.#record) });
    response.end(joinFrame(Buffer.from(JSON.stringify(body)), Buffer.from(z.string().default('').parse(bytes), 'base64')));
    return 'answered';
  }

  /** The same of a batch: of each item, the field's base64 stands behind the JSON. */
  framedItems(response: ServerResponse, items: readonly Record<string, unknown>[], field: string): 'answered' {
    const bytes = items.map((item) => Buffer.from(z.string().default('').parse(item[field]), 'base64'));
    const body = { items: items.map(({ [field]: _bytes, ...item }) => item) };
    response.writeHead(200, { 'content-type': FRAME_TYPE, 'x-request-id': 'req_x', 'keyward-record': String(++this.#record) });
    response.end(joinFrame(Buffer.from(JSON.stringify(body)), joinItems(bytes)));
    return 'answered';
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const received = Buffer.concat(await request.toArray());
    const framed = request.headers['content-type'] === FRAME_TYPE ? splitFrame(received) : undefined;
    const text = (framed?.json ?? received).toString();
    const path = request.url ?? '';
    const [, , , tenant = '', ...operation] = path.split('/');
    const { method = '', headers } = request;
    const body = askedBody.parse(withBytes(JSON.parse(text || '{}'), framed?.bytes));
    const asked: Asked = { method, path, tenant, operation: operation.join('/'), authorization: headers.authorization, headers, body };
    this.asked.push(asked);
    if (this.script(asked, response) === undefined) this.#work(asked, response);
  }

  #work({ tenant, operation, headers, body }: Asked, response: ServerResponse): void {
    const [single, batched] = operation.split('/batch');
    if (batched !== undefined) {
      const items = z.array(askedBody).parse(body['items']);
      const answers = items.map((item) => ({ ...this.#itemOf(tenant, single!, item), record: ++this.#record }));
      if (headers['content-type'] !== FRAME_TYPE) this.json(response, { items: answers });
      else this.framedItems(response, answers, single === 'encrypt' ? 'ciphertext' : 'plaintext');
      return;
    }
    const worked = this.#answer(tenant, operation, body);
    if ('refused' in worked) this.problem(response, worked.refused, 400);
    else if (worked.bytes !== undefined && headers['content-type'] === FRAME_TYPE) this.framed(response, worked.answer, worked.bytes);
    else this.json(response, worked.answer);
  }

  #itemOf(tenant: string, operation: string, item: Asked['body']): object {
    const refused = this.refuses(tenant, item);
    const worked = refused === undefined ? this.#answer(tenant, operation, item) : { refused };
    if ('answer' in worked) return worked.answer;
    const code = worked.refused;
    const facts = { type: `urn:keyward:problem:${code}`, title: 'No.', status: 400, code, requestId: 'req_x' };
    return { problem: { ...facts, retryable: code === 'unavailable' } };
  }

  #answer(tenant: string, operation: string, body: Asked['body']): Worked {
    const used = { keyId: KEY_ID, keyVersionId: VERSION_ID };
    const aad = contextBytes(tenant, body.encryptionContext);
    const held = { ...used, lease: this.lease };
    if (operation === 'decrypt') {
      try {
        const plaintext = this.spoilDataKey(this.#open(tenant, Buffer.from(body.ciphertext, 'base64'), aad)).toString('base64');
        return { answer: { ...held, plaintext }, bytes: 'plaintext' };
      } catch {
        return { refused: 'decrypt-failed' };
      }
    }
    if (operation === 'encrypt') {
      const ciphertext = this.#seal(tenant, Buffer.from(body.plaintext, 'base64'), aad).toString('base64');
      return { answer: { ...used, ciphertext }, bytes: 'ciphertext' };
    }
    const key = this.spoilDataKey(randomBytes(body.numberOfBytes ?? (body.keySpec === 'AES_128' ? 16 : 32)));
    const ciphertext = this.#seal(tenant, key, aad).toString('base64');
    if (operation !== 'data-keys') return { answer: { ...used, ciphertext } };
    return { answer: { ...held, ciphertext, plaintext: key.toString('base64') }, bytes: 'plaintext' };
  }

  #keyOf(tenant: string) {
    const key = this.#keys.get(tenant) ?? createSecretKey(randomBytes(32));
    this.#keys.set(tenant, key);
    return key;
  }

  #seal(tenant: string, plaintext: Buffer, aad: Buffer): Buffer {
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.#keyOf(tenant), iv).setAAD(aad);
    return Buffer.concat([EDK_START, iv, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  }

  #open(tenant: string, ciphertext: Buffer, aad: Buffer): Buffer {
    const decipher = createDecipheriv('aes-256-gcm', this.#keyOf(tenant), ciphertext.subarray(21, 33))
      .setAAD(aad)
      .setAuthTag(ciphertext.subarray(-16));
    return Buffer.concat([decipher.update(ciphertext.subarray(33, -16)), decipher.final()]);
  }
}

/** What a frame had behind its JSON, in both fields that it may be. */
function withBytes(json: Record<string, unknown>, bytes: Buffer | undefined): object {
  const asFields = (one: Buffer) => ({ plaintext: one.toString('base64'), ciphertext: one.toString('base64') });
  if (bytes === undefined) return json;
  if (!Array.isArray(json['items'])) return { ...json, ...asFields(bytes) };
  const items: object[] = json['items'];
  const each = bytes.length === 0 ? [] : splitItems(bytes, items.length)!;
  return { ...json, items: items.map((item, index) => ({ ...item, ...(each[index] && asFields(each[index])) })) };
}

const contextBytes = (tenant: string, context: Record<string, string>) =>
  Buffer.from(JSON.stringify([tenant, Object.entries(context).sort()]));
