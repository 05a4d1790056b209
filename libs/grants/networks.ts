import { BlockList, isIP, SocketAddress } from 'node:net';
import { BoundedMap } from '#core';
import { type Condition, unknown } from './truth.js';

type Family = 'ipv4' | 'ipv6';
interface Source {
  /** undefined: the text is no address. */
  readonly address: SocketAddress | undefined;
}

const ADDRESSES_KEPT = 1024;
const MAPPED = '::ffff:';
const sources = new BoundedMap<string, Source>(ADDRESSES_KEPT);

/**
 * The caller's address is in one of these, by Node's BlockList: Casbin's ipMatch takes /33 and throws on bad input.
 * One list a family: a BlockList finds every IPv4 address in `::/8`.
 */
export function fromNetworks(networks: readonly string[]): Condition {
  const lists = new Map<Family, BlockList>();
  for (const network of networks) {
    const [text = '', prefix] = network.split('/');
    const family = isIP(text) === 4 ? 'ipv4' : 'ipv6';
    const { address } = new SocketAddress({ address: text, family });
    // No caller is ever in it, and whoever wrote it meant IPv4: say neither yes nor no.
    if (isMapped(address)) return unknown;
    const list = lists.get(family) ?? new BlockList();
    lists.set(family, list);
    list.addSubnet(address, prefix === undefined ? (family === 'ipv4' ? 32 : 128) : Number(prefix), family);
  }
  return ({ sourceAddress }) => {
    const caller = sourceAddress === undefined ? undefined : addressOf(sourceAddress);
    return caller === undefined ? 'unknown' : lists.get(caller.family)?.check(caller) === true;
  };
}

function addressOf(text: string): SocketAddress | undefined {
  return (sources.get(text) ?? sources.set(text, { address: parsed(text) })).address;
}

/** An IPv4 address that came over an IPv6 socket is an IPv4 address. */
function parsed(text: string): SocketAddress | undefined {
  const version = isIP(text);
  if (version === 0) return undefined;
  if (version === 4) return new SocketAddress({ address: text, family: 'ipv4' });
  const inSix = new SocketAddress({ address: text, family: 'ipv6' });
  return isMapped(inSix.address) ? new SocketAddress({ address: inSix.address.slice(MAPPED.length), family: 'ipv4' }) : inSix;
}

/** SocketAddress writes the canonical form, so `0:0:0:0:0:ffff:a14:5` is `::ffff:10.20.0.5`. */
const isMapped = (canonical: string): boolean => canonical.startsWith(MAPPED) && canonical.includes('.');
