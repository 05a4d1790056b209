import { lookup, Resolver } from 'node:dns/promises';
import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { isPublicAddress } from './public-addresses.js';

const PORTS = [443, 8443];
const TIME_LIMIT_MS = 3000;
const MAX_BODY_BYTES = 256 * 1024;

/** Why a URL of a tenant was not fetched: for the operator's log; it repeats nothing of the URL or the answer. */
export class EgressError extends Error {
  override readonly name = 'EgressError';

  constructor(
    readonly reason:
      | 'url'
      | 'port'
      | 'address'
      | 'name'
      | 'connection'
      | 'time-limit'
      | 'status'
      | 'media-type'
      | 'too-large'
      | 'not-json'
      | 'not-a-key-set',
    cause?: unknown,
  ) {
    super(reason, { cause });
  }
}

export interface EgressOptions {
  /** `host:port` of origins that the operator vouches for: they may be private, and plain http. */
  readonly allow?: readonly string[];
  readonly ports?: readonly number[];
  /** Every address of a name; the default asks DNS. For tests. */
  readonly resolve?: (hostname: string, signal: AbortSignal) => Promise<readonly string[]>;
  readonly timeLimitMs?: number;
}

interface Target {
  readonly url: URL;
  readonly addresses: readonly string[];
}

/**
 * The one way to fetch what a tenant named. A tenant's admin may be hostile: the URL may lead into our network, its name may resolve to
 * another address when asked again, its server may redirect, dawdle or never end. No proxy, no cookies, no connection that is kept.
 */
export class Egress {
  readonly #allowed: ReadonlySet<string>;
  readonly #ports: ReadonlySet<number>;
  readonly #resolve: NonNullable<EgressOptions['resolve']>;

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
    const limit = AbortSignal.timeout(this.options.timeLimitMs ?? TIME_LIMIT_MS);
    try {
      const target = await this.#target(text, limit);
      return parsed(await bodyOf(await this.#get(target, limit), limit));
    } catch (error) {
      if (limit.aborted) throw new EgressError('time-limit', error);
      throw error instanceof EgressError ? error : new EgressError('connection', error);
    }
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

  #get({ url, addresses }: Target, signal: AbortSignal): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const secure = url.protocol === 'https:';
    const [request, Agent] = secure ? ([httpsRequest, HttpsAgent] as const) : ([httpRequest, HttpAgent] as const);
    request(
      url,
      {
        // An agent of its own heeds no proxy variables, and keeps no connection that was checked under another name.
        agent: new Agent({ keepAlive: false }),
        lookup: answering(addresses),
        signal,
        headers: { accept: 'application/json', 'accept-encoding': 'identity' },
        ...(secure && { minVersion: 'TLSv1.2', rejectUnauthorized: true }),
      },
      resolve,
    )
      .on('error', reject)
      .end();
    return promise;
  }
}

const portOf = ({ port, protocol }: URL): number => (port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port));
const originOf = (url: URL): string => `${url.hostname}:${portOf(url)}`;

async function addressesOf(
  hostname: string,
  resolve: NonNullable<EgressOptions['resolve']>,
  limit: AbortSignal,
): Promise<readonly string[]> {
  // WHATWG URLs have already turned every other spelling of an address (octal, hexadecimal, one number) into this.
  if (isIP(hostname) !== 0) return [hostname];
  const addresses = await unlessAborted(resolve(hostname, limit), limit);
  if (addresses.length === 0) throw new EgressError('name');
  return addresses;
}

/** Not by getaddrinfo: its few threads are also the database's connections', and a hostile name server could hold them all. */
async function resolveByDns(hostname: string, limit: AbortSignal): Promise<string[]> {
  const resolver = new Resolver({ timeout: 1000, tries: 2 });
  const cancel = () => resolver.cancel();
  limit.addEventListener('abort', cancel, { once: true });
  try {
    const answers = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  } finally {
    limit.removeEventListener('abort', cancel);
  }
}

/** As the host itself would, its hosts file included. */
const resolveBySystem = async (hostname: string): Promise<string[]> =>
  (await lookup(hostname, { all: true })).map(({ address }) => address);

/** Stands where the connection would ask DNS again. */
const answering =
  (addresses: readonly string[]): LookupFunction =>
  (_hostname, { all }, done) => {
    const found = addresses.map((address) => ({ address, family: isIP(address) }));
    if (all === true) done(null, found);
    else done(null, found[0]!.address, found[0]!.family);
  };

async function bodyOf(answer: IncomingMessage, limit: AbortSignal): Promise<Buffer> {
  try {
    const { statusCode, headers } = answer;
    // A redirect is no answer: it could lead anywhere.
    if (statusCode !== 200) throw new EgressError('status');
    const { 'content-type': type = '', 'content-encoding': encoding = 'identity' } = headers;
    if (!/^application\/([\w.-]+\+)?json\s*(;|$)/i.test(type) || encoding !== 'identity') throw new EgressError('media-type');
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of answer.iterator({ destroyOnReturn: true }) as AsyncIterable<Buffer>) {
      limit.throwIfAborted();
      length += chunk.length;
      if (length > MAX_BODY_BYTES) throw new EgressError('too-large');
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } finally {
    answer.destroy();
  }
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    throw new EgressError('not-json', error);
  }
}

async function unlessAborted<Answer>(work: Promise<Answer>, signal: AbortSignal): Promise<Answer> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason as Error);
  signal.addEventListener('abort', abort, { once: true });
  try {
    signal.throwIfAborted();
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
