import { BlockList, isIP, SocketAddress } from 'node:net';

/** What no tenant may have us connect to (IANA's special-purpose registries, RFC 6890), and what clouds put elsewhere. */
const FORBIDDEN_V4 = [
  ['0.0.0.0', 8], // this network
  ['10.0.0.0', 8],
  ['100.64.0.0', 10], // carrier-grade NAT; Alibaba's metadata
  ['127.0.0.0', 8],
  ['168.63.129.16', 32], // Azure's metadata
  ['169.254.0.0', 16], // link-local; metadata of most clouds
  ['172.16.0.0', 12],
  ['192.0.0.0', 24], // protocol assignments; Oracle's metadata
  ['192.0.2.0', 24], // documentation
  ['192.88.99.0', 24], // 6to4 relays
  ['192.168.0.0', 16],
  ['198.18.0.0', 15], // benchmarks
  ['198.51.100.0', 24], // documentation
  ['203.0.113.0', 24], // documentation
  ['224.0.0.0', 4], // multicast
  ['240.0.0.0', 4], // reserved, broadcast
] as const;

/** Of global unicast; everything outside of it (loopback, link-local, unique local, multicast, mapped) is not public anyway. */
const FORBIDDEN_V6 = [
  ['2001::', 23], // protocol assignments: Teredo, benchmarks, ORCHID
  ['2001:db8::', 32], // documentation
  ['2002::', 16], // 6to4: IPv4 addresses in disguise
  ['3fff::', 20], // documentation
] as const;

const blockList = (family: 'ipv4' | 'ipv6', networks: readonly (readonly [string, number])[]): BlockList => {
  const list = new BlockList();
  for (const [network, bits] of networks) list.addSubnet(network, bits, family);
  return list;
};

const forbiddenV4 = blockList('ipv4', FORBIDDEN_V4);
const forbiddenV6 = blockList('ipv6', FORBIDDEN_V6);
const globalUnicast = blockList('ipv6', [['2000::', 3]]);
/** RFC 6052: where there is no IPv4, resolvers answer public IPv4 addresses in this form. */
const nat64 = blockList('ipv6', [['64:ff9b::', 96]]);

/** True for an address that everybody can reach: neither ours, nor our network's, nor IPv4 of these in an IPv6 coat. */
export function isPublicAddress(address: string): boolean {
  const bare = plainAddress(address);
  if (bare === undefined) return false;
  if (isIP(bare) === 4) return !forbiddenV4.check(bare, 'ipv4');
  if (nat64.check(bare, 'ipv6')) return isPublicAddress(lastFourBytes(bare));
  return globalUnicast.check(bare, 'ipv6') && !forbiddenV6.check(bare, 'ipv6');
}

/**
 * An address in the one spelling that is compared and recorded: IPv4-mapped IPv6 as IPv4, IPv6 in lower case and shortest form.
 * Undefined for what is no address.
 */
export function plainAddress(text: string): string | undefined {
  const kind = isIP(text);
  if (kind !== 6) return kind === 4 ? text : undefined;
  const { address } = new SocketAddress({ address: text, family: 'ipv6' });
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1];
  return mapped ?? address;
}

/** Of an IPv6 address whose low 32 bits are an IPv4 address. */
function lastFourBytes(address: string): string {
  const groups = address.split(':').slice(-2);
  const [high = 0, low = 0] = groups.map((group) => Number.parseInt(group || '0', 16));
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}
