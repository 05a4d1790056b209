import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { ServerTls } from '#runtime';
import type { KeptHeads } from './kept-heads.js';
import type { Witness } from './witness.js';

/** A note of 16 signatures and 63 hashes is far smaller. */
const MAX_REQUEST_BYTES = 65_536;
const REQUEST_TIMEOUT_MS = 10_000;

export interface WitnessServerOptions {
  readonly host: string;
  readonly port: number;
  readonly tls?: ServerTls | undefined;
  /** Told of what should never happen: a disk that does not keep. */
  readonly onError: (error: unknown) => void;
}

/** `POST /add-checkpoint`, `POST /add-keys`, and `GET /<hex SHA-256 of the origin>/checkpoint` for whoever compares. */
export class WitnessServer {
  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async start(witness: Witness, heads: KeptHeads, { host, port, tls, onError }: WitnessServerOptions): Promise<WitnessServer> {
    const listener: RequestListener = (request, response) =>
      void answer(witness, heads, request, response).catch((error: unknown) => {
        onError(error);
        send(response, 500, 'It could not be kept; nothing was cosigned.\n');
      });
    const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
    server.requestTimeout = REQUEST_TIMEOUT_MS;
    await new Promise<void>((ready, failed) => server.once('error', failed).listen(port, host, ready));
    const { port: bound } = server.address() as AddressInfo;
    const name = host.includes(':') ? `[${host}]` : host;
    return new WitnessServer(server, `${tls === undefined ? 'http' : 'https'}://${name}:${bound}`);
  }

  /** Answers what it has begun. */
  async close(): Promise<void> {
    const closed = new Promise((done) => this.server.close(done));
    this.server.closeIdleConnections();
    await closed;
  }
}

async function answer(witness: Witness, heads: KeptHeads, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const hash = /^\/([0-9a-f]{64})\/checkpoint$/.exec(request.url ?? '')?.[1];
  if (request.method === 'GET' && hash !== undefined) {
    const note = heads.note(hash);
    return note === undefined ? send(response, 404, 'This witness has seen no such log.\n') : send(response, 200, note);
  }
  if (request.url !== '/add-checkpoint' && request.url !== '/add-keys')
    return send(response, 404, 'There is /add-checkpoint, /add-keys and /<hash of an origin>/checkpoint.\n');
  if (request.method !== 'POST') return send(response, 405, 'Only POST.\n');
  const text = await textOf(request);
  if (text === undefined) return send(response, 400, `A request is UTF-8 of at most ${MAX_REQUEST_BYTES} bytes.\n`);
  const { status, body, type } = await (request.url === '/add-keys' ? witness.addKeys(text) : witness.addCheckpoint(text));
  send(response, status, body, type);
}

async function textOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= MAX_REQUEST_BYTES) chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  const text = bytes.toString('utf8');
  return length <= MAX_REQUEST_BYTES && Buffer.from(text).equals(bytes) ? text : undefined;
}

function send(response: ServerResponse, status: number, body: string, type = 'text/plain; charset=utf-8'): void {
  if (response.headersSent) return;
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}
