import { createPublicKey, verify } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { SERVER } from './tls.js';

export interface Received {
  readonly id: string;
  readonly timestamp: string;
  readonly signature: string;
  readonly type: string;
  readonly body: Buffer;
}

/** How the receiver behaves from now on. */
export type Manner = 'takes' | 'hangs' | 'redirects' | number;

/** A receiver of Standard Webhooks over HTTPS. */
export class WebhookReceiver {
  readonly received: Received[] = [];
  manner: Manner = 'takes';
  asked = 0;
  readonly #held: ServerResponse[] = [];

  private constructor(private readonly server: Server) {}

  static async start(): Promise<WebhookReceiver> {
    const receiver = new WebhookReceiver(createServer(SERVER, (request, response) => void receiver.#answer(request, response)));
    await new Promise<void>((resolve) => receiver.server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  get origin(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get url(): string {
    return `https://${this.origin}/hook`;
  }

  /** Places in the log of all records that came, again where they came again; of CloudEvents. */
  get seqs(): number[] {
    const batches = this.received.filter(({ type }) => type === 'application/cloudevents-batch+json');
    return batches.flatMap(({ body }) => (JSON.parse(body.toString()) as { sequence: string }[]).map(({ sequence }) => Number(sequence)));
  }

  /** Answers at last what hung, as if it had been taken. */
  letGo(): void {
    for (const response of this.#held.splice(0)) response.writeHead(204).end();
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.asked++;
    const body = await buffer(request);
    if (this.manner === 'hangs') return void this.#held.push(response);
    if (this.manner === 'redirects') return void response.writeHead(307, { location: this.url }).end();
    if (typeof this.manner === 'number') return void response.writeHead(this.manner).end();
    const header = (name: string) => String(request.headers[name]);
    this.received.push({
      ...{ id: header('webhook-id'), timestamp: header('webhook-timestamp'), signature: header('webhook-signature') },
      ...{ type: header('content-type'), body },
    });
    response.writeHead(204).end();
  }
}

/** As a receiver checks it by the specification alone: `v1a`, Ed25519 over id, timestamp and body. */
export function isSigned({ id, timestamp, signature, body }: Received, publicKey: string): boolean {
  const raw = Buffer.from(publicKey.replace(/^whpk_/, ''), 'base64');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') }, format: 'jwk' });
  const content = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]);
  return signature.split(' ').some((one) => one.startsWith('v1a,') && verify(null, content, key, Buffer.from(one.slice(4), 'base64')));
}
