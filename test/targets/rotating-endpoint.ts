import { createHmac, createPublicKey, verify } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export const HMAC_KEY = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
/** RFC 8032 §7.1, test 1. */
export const ED25519_KEY = `whsk_${Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex').toString('base64')}`;
const ED25519_PUBLIC = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a';

export interface Call {
  readonly id: string;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/**
 * What a tenant would write to have a login of theirs rotated: checks signatures, and keeps which values log in.
 */
export class RotatingEndpoint {
  readonly calls: Call[] = [];
  /** Values that log in. */
  readonly accepted = new Set<string>();
  /** Of `create`: what it answers by the id of the call; undefined: nothing, so that Keyward makes the value. */
  made: ((id: string) => string) | undefined;
  /** Told of each call, before it has its effect and after that, before it is answered. */
  onCall: (type: string, when: 'before' | 'after') => void = () => undefined;
  /** Whoever logs in is refused. */
  rejects = false;
  /** Answered instead, as often as it says; of one type of call, or of all. */
  fails: { status: number; type?: string; headers?: Record<string, string> } | undefined;

  private constructor(private readonly server: Server) {}

  static async start(...accepted: readonly string[]): Promise<RotatingEndpoint> {
    const endpoint = new RotatingEndpoint(createServer((request, response) => void endpoint.#answer(request, response)));
    for (const value of accepted) endpoint.accepted.add(value);
    await new Promise<void>((resolve) => endpoint.server.listen(0, '127.0.0.1', resolve));
    return endpoint;
  }

  get origin(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get url(): string {
    return `http://${this.origin}/rotate`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request);
    if (!isSigned(request, body)) return void response.writeHead(401).end();
    const { type, data } = JSON.parse(body) as Pick<Call, 'type' | 'data'>;
    this.calls.push({ id: String(request.headers['webhook-id']), type, data });
    this.onCall(type, 'before');
    const { status, headers, type: only = type } = this.fails ?? {};
    if (status !== undefined && only === type) return void response.writeHead(status, headers).end();
    const [code, answer] = this.#take(type, data, String(request.headers['webhook-id']));
    this.onCall(type, 'after');
    response.writeHead(code).end(answer);
  }

  #take(type: string, { next, current, old, outcome }: Call['data'], id: string): [number, string?] {
    switch (type) {
      case 'keyward.rotation.create':
        return this.made === undefined ? [204] : [200, JSON.stringify({ value: this.made(id) })];
      case 'keyward.rotation.apply':
        this.accepted.add(String(next));
        return [204];
      case 'keyward.rotation.test':
        return [this.accepted.has(String(next)) && !this.rejects ? 204 : 403];
      case 'keyward.rotation.finish':
        this.accepted.delete(String(outcome === 'reverted' ? next : old));
        this.accepted.add(String(current));
        return [204];
      default:
        return [400];
    }
  }
}

function isSigned({ headers }: IncomingMessage, body: string): boolean {
  const content = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`;
  const [version, signature = ''] = String(headers['webhook-signature']).split(',');
  if (version === 'v1') return createHmac('sha256', Buffer.alloc(32, 7)).update(content).digest('base64') === signature;
  const x = Buffer.from(ED25519_PUBLIC, 'hex').toString('base64url');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  return version === 'v1a' && verify(null, Buffer.from(content), key, Buffer.from(signature, 'base64'));
}
