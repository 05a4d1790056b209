import { lookup, Resolver } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { EgressError } from './egress-error.js';

/** Every address of a name. */
export type Resolve = (hostname: string, signal: AbortSignal) => Promise<readonly string[]>;

/** @throws EgressError `name` for one that leads nowhere */
export async function addressesOf(hostname: string, resolve: Resolve, limit: AbortSignal): Promise<readonly string[]> {
  // WHATWG URLs have already turned every other spelling of an address (octal, hexadecimal, one number) into this.
  if (isIP(hostname) !== 0) return [hostname];
  const addresses = await unlessAborted(resolve(hostname, limit), limit);
  if (addresses.length === 0) throw new EgressError('name');
  return addresses;
}

/** Not by getaddrinfo: its few threads are also the database's connections', and a hostile name server could hold them all. */
export async function resolveByDns(hostname: string, limit: AbortSignal): Promise<string[]> {
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
export const resolveBySystem: Resolve = async (hostname) => (await lookup(hostname, { all: true })).map(({ address }) => address);

/** Stands where the connection would ask DNS again. */
export const answering =
  (addresses: readonly string[]): LookupFunction =>
  (_hostname, { all }, done) => {
    const found = addresses.map((address) => ({ address, family: isIP(address) }));
    if (all === true) done(null, found);
    else done(null, found[0]!.address, found[0]!.family);
  };

/** The work's answer, or the signal's reason, whichever is first. */
export async function unlessAborted<Answer>(work: Promise<Answer>, signal: AbortSignal): Promise<Answer> {
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
