import * as http from 'node:http';
import * as https from 'node:https';
import { errorOf, InvalidCall } from './errors.js';

export interface Connection {
  /** Base address of a plane, as `https://keyward.example:7720`. */
  readonly url: string;
  /** PEM of the authorities that may sign the plane's certificate; default: node's. */
  readonly ca?: string | undefined;
  /** Allow `http:` beyond loopback, where something else (a mesh, a proxy on the host) encrypts. */
  readonly allowPlainHttp?: boolean | undefined;
  readonly keepAlive: boolean;
}

export interface WireCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly token: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: Uint8Array | undefined;
  /** Media type of the body; default JSON. */
  readonly type?: string | undefined;
}

/** `body` is a copy of its own; whoever asked wipes it. */
export interface WireAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

const LOOPBACK = new Set(['127.0.0.1', '[::1]', 'localhost']);
/** Beyond every answer but a bundle, which is streamed. Keeps a hostile server from filling our memory. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;
const MAX_SOCKETS = 64;

/** Plain HTTP calls to one plane: no retries, no meaning. The bytes of bodies never become strings here. */
export class Transport {
  readonly #base: URL;
  readonly #agent: http.Agent;

  /** @throws InvalidCall for an address that would send the credential in the clear */
  constructor(connection: Connection) {
    this.#base = new URL(connection.url);
    const encrypted = this.#base.protocol === 'https:';
    if (!encrypted && !LOOPBACK.has(this.#base.hostname) && !connection.allowPlainHttp)
      throw new InvalidCall(`${this.#base.origin} would receive the credential unencrypted; use https.`, { code: 'invalid-request' });
    const { keepAlive, ca } = connection;
    this.#agent = encrypted
      ? new https.Agent({ keepAlive, maxSockets: MAX_SOCKETS, minVersion: 'TLSv1.3', ...(ca === undefined ? {} : { ca }) })
      : new http.Agent({ keepAlive, maxSockets: MAX_SOCKETS });
  }

  /** One exchange with the whole answer. @throws Unavailable when no complete answer came within `timeoutMs` */
  async exchange(call: WireCall, timeoutMs: number): Promise<WireAnswer> {
    const deadline = Date.now() + timeoutMs;
    const response = await this.open(call, timeoutMs);
    const body = await completed(response, Math.max(1, deadline - Date.now()));
    return { status: response.statusCode ?? 0, headers: response.headers, body };
  }

  /** One exchange whose body the caller reads. @throws Unavailable when no answer began within `timeoutMs` */
  open(call: WireCall, timeoutMs: number): Promise<http.IncomingMessage> {
    return new Promise((resolve, reject) => {
      const { method, path, token, headers, body, type = 'application/json' } = call;
      const send = this.#base.protocol === 'https:' ? https.request : http.request;
      const request = send(new URL(path, this.#base), {
        method,
        agent: this.#agent,
        headers: {
          ...headers,
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': type, 'content-length': body.length }),
        },
      });
      const timer = setTimeout(() => request.destroy(new Error('No answer in time.')), timeoutMs);
      request.once('response', resolve);
      request.on('error', (cause) => reject(unreachable(cause)));
      request.once('response', () => clearTimeout(timer)).once('close', () => clearTimeout(timer));
      request.end(body);
    });
  }

  /** Closes idle connections. */
  close(): void {
    this.#agent.destroy();
  }
}

async function completed(response: http.IncomingMessage, timeoutMs: number): Promise<Buffer> {
  const timer = setTimeout(() => response.destroy(new Error('No complete answer in time.')), timeoutMs);
  const chunks: Buffer[] = [];
  try {
    let length = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > MAX_ANSWER_BYTES) throw new Error('The answer is too long.');
    }
    return Buffer.concat(chunks);
  } catch (cause) {
    throw unreachable(cause);
  } finally {
    clearTimeout(timer);
    for (const chunk of chunks) chunk.fill(0);
  }
}

/** Only the driver's code goes into the message: its text may carry addresses that mean nothing to the caller. */
function unreachable(cause: unknown) {
  const reason = cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : 'no answer in time';
  return errorOf(`Keyward could not be reached (${reason}).`, { code: 'unavailable', retryable: true, cause });
}
