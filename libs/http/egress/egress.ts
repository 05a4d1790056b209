import { constants } from 'node:crypto';
import { once } from 'node:events';
import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, DEFAULT_CIPHERS, type TLSSocket } from 'node:tls';
import { addressesOf, answering, type Resolve, resolveByDns, resolveBySystem, unlessAborted } from './egress-addresses.js';
import { EgressError } from './egress-error.js';
import { isPublicAddress } from './public-addresses.js';

const PORTS = [443, 8443];
const TIME_LIMIT_MS = 3000;
const MAX_BODY_BYTES = 256 * 1024;
/**
 * A server's certificate and parameters are its own: over finite fields it could have us compute for seconds a handshake, while this
 * process does nothing else; and once more as often as it asks for another handshake.
 */
export const TLS_SETTINGS = {
  minVersion: 'TLSv1.2',
  rejectUnauthorized: true,
  ciphers: `${DEFAULT_CIPHERS}:!kDHE`,
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
} as const;

export interface EgressOptions {
  /** `host:port` of origins that the operator vouches for: they may be private, and plain http. */
  readonly allow?: readonly string[];
  readonly ports?: readonly number[];
  /** The default asks DNS. For tests. */
  readonly resolve?: Resolve;
  readonly timeLimitMs?: number;
}

export interface EgressRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** PEM: trusted instead of the public authorities. */
  readonly certificateAuthority?: string | undefined;
  /** For everything: the look-up, the connection, and the answer to its last byte. */
  readonly timeLimitMs: number;
}

export interface EgressAnswer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export interface EgressConnection {
  readonly host: string;
  readonly port: number;
  readonly certificateAuthority?: string | undefined;
  readonly clientCertificate?: string | undefined;
  readonly clientKey?: string | undefined;
}

export interface EgressDial extends Pick<EgressConnection, 'host' | 'port'> {
  /** What is said on it may be read and changed on the way: only to origins that the operator vouches for. */
  readonly cleartext?: boolean;
}

interface Target {
  readonly url: URL;
  readonly addresses: readonly string[];
}

/**
 * The one way to what a tenant named. A tenant's admin may be hostile: the URL may lead into our network, its name may resolve to
 * another address when asked again, its server may redirect, dawdle or never end. No proxy, no cookies, no connection that is kept.
 */
export class Egress {
  readonly #allowed: ReadonlySet<string>;
  readonly #ports: ReadonlySet<number>;
  readonly #resolve: Resolve;

  constructor(private readonly options: EgressOptions = {}) {
    this.#allowed = new Set((options.allow ?? []).map((origin) => originOf(new URL(`http://${origin}`))));
    this.#ports = new Set(options.ports ?? PORTS);
    this.#resolve = options.resolve ?? resolveByDns;
  }

  /**
   * The JSON at this URL: status 200, application/json or `+json`, at most 256 KiB, within 3 s in all.
   * @throws EgressError
   */
  async json(text: string): Promise<unknown> {
    const headers = { accept: 'application/json', 'accept-encoding': 'identity' };
    const timeLimitMs = this.options.timeLimitMs ?? TIME_LIMIT_MS;
    return parsed(await this.#exchange(text, { method: 'GET', headers, timeLimitMs }, refuseUnlessJson));
  }

  /**
   * Any answer, a redirect too, which is not followed. At most 256 KiB.
   * @throws EgressError
   */
  async exchange(text: string, request: EgressRequest): Promise<EgressAnswer> {
    return await this.#exchange(text, request, () => undefined);
  }

  /**
   * A TLS connection to a host that is none of HTTP; whoever gets it ends it. `signal` ends it too.
   * @throws EgressError
   */
  async connect({ host, port, ...tls }: EgressConnection, signal: AbortSignal): Promise<TLSSocket> {
    return await this.#open({ host, port }, signal, 'secureConnect', (target) => openTls(target, tls));
  }

  /**
   * A TCP connection, for protocols that protect themselves; whoever gets it ends it. `signal` ends it too.
   * @throws EgressError
   */
  async dial({ cleartext = false, ...to }: EgressDial, signal: AbortSignal): Promise<Socket> {
    return await this.#open(to, signal, 'connect', openTcp, cleartext ? 'http' : 'https');
  }

  async #open<Opened extends Socket>(
    { host, port }: Pick<EgressConnection, 'host' | 'port'>,
    signal: AbortSignal,
    ready: 'connect' | 'secureConnect',
    open: (target: Target) => Opened,
    scheme: 'http' | 'https' = 'https',
  ): Promise<Opened> {
    return await within(signal, async () => {
      const socket = open(await this.#target(`${scheme}://${isIP(host) === 6 ? `[${host}]` : host}:${port}`, signal));
      const abort = () => socket.destroy(signal.reason as Error);
      signal.addEventListener('abort', abort, { once: true });
      socket.once('close', () => signal.removeEventListener('abort', abort));
      // Stays: an error later is heard by whoever writes, and must not end the process.
      socket.on('error', () => undefined);
      await once(socket, ready, { signal });
      return socket;
    });
  }

  async #exchange(text: string, request: EgressRequest, refuse: (answer: IncomingMessage) => void): Promise<EgressAnswer> {
    const limit = AbortSignal.timeout(request.timeLimitMs);
    return await within(limit, async () => {
      const answer = await this.#send(await this.#target(text, limit), request, limit);
      try {
        refuse(answer);
        return { status: answer.statusCode ?? 0, headers: answer.headers, body: await bodyOf(answer, limit) };
      } finally {
        // The socket, too: one whose end does not read would wait for ever to be rid of the request's body.
        answer.destroy();
        answer.socket.destroy();
      }
    });
  }

  /** Its addresses are looked up once: what is checked is what is connected to. */
  async #target(text: string, limit: AbortSignal): Promise<Target> {
    const url = URL.parse(text);
    if (url === null || url.username !== '' || url.password !== '') throw new EgressError('url');
    const hostname = url.hostname.replace(/^\[|\]$/g, '');
    if ((url.protocol === 'http:' || url.protocol === 'https:') && this.#allowed.has(originOf(url)))
      return { url, addresses: await addressesOf(hostname, resolveBySystem, limit) };
    if (url.protocol !== 'https:') throw new EgressError('url');
    if (!this.#ports.has(portOf(url))) throw new EgressError('port');
    const addresses = await addressesOf(hostname, this.#resolve, limit);
    // One forbidden address is enough: whoever mixes them hopes that another one is taken next time.
    if (!addresses.every(isPublicAddress)) throw new EgressError('address');
    return { url, addresses };
  }

  #send({ url, addresses }: Target, { method, headers, body, certificateAuthority }: EgressRequest, signal: AbortSignal) {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const secure = url.protocol === 'https:';
    const [request, Agent] = secure ? ([httpsRequest, HttpsAgent] as const) : ([httpRequest, HttpAgent] as const);
    request(
      url,
      {
        // An agent of its own heeds no proxy variables, and keeps no connection that was checked under another name.
        agent: new Agent({ keepAlive: false }),
        lookup: answering(addresses),
        ...{ signal, method, headers },
        ...(secure && TLS_SETTINGS),
        ...(certificateAuthority !== undefined && { ca: certificateAuthority }),
      },
      resolve,
    )
      .on('error', reject)
      .end(body);
    return promise;
  }
}

function openTcp({ url, addresses }: Target): Socket {
  return connectTcp({ host: url.hostname.replace(/^\[|\]$/g, ''), port: portOf(url), lookup: answering(addresses) });
}

function openTls(
  { url, addresses }: Target,
  { certificateAuthority, clientCertificate, clientKey }: Omit<EgressConnection, 'host' | 'port'>,
): TLSSocket {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return connectTls({
    ...{ host, port: portOf(url), lookup: answering(addresses), ...TLS_SETTINGS },
    ...(isIP(host) === 0 && { servername: host }),
    ...(certificateAuthority !== undefined && { ca: certificateAuthority }),
    ...(clientCertificate !== undefined && { cert: clientCertificate, key: clientKey }),
  });
}

const portOf = ({ port, protocol }: URL): number => (port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port));
const originOf = (url: URL): string => `${url.hostname}:${portOf(url)}`;

/** @throws EgressError for whatever goes wrong */
async function within<Answer>(limit: AbortSignal, work: () => Promise<Answer>): Promise<Answer> {
  try {
    return await unlessAborted(work(), limit);
  } catch (error) {
    if (limit.aborted) throw new EgressError('time-limit', error);
    throw error instanceof EgressError ? error : new EgressError('connection', error);
  }
}

function refuseUnlessJson({ statusCode, headers }: IncomingMessage): void {
  // A redirect is no answer: it could lead anywhere.
  if (statusCode !== 200) throw new EgressError('status');
  const { 'content-type': type = '', 'content-encoding': encoding = 'identity' } = headers;
  if (!/^application\/([\w.-]+\+)?json\s*(;|$)/i.test(type) || encoding !== 'identity') throw new EgressError('media-type');
}

async function bodyOf(answer: IncomingMessage, limit: AbortSignal): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of answer.iterator({ destroyOnReturn: true }) as AsyncIterable<Buffer>) {
    limit.throwIfAborted();
    length += chunk.length;
    if (length > MAX_BODY_BYTES) throw new EgressError('too-large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parsed({ body }: EgressAnswer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    throw new EgressError('not-json', error);
  }
}
