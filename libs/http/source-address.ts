import { BlockList, isIP } from 'node:net';
import type { IncomingMessage } from 'node:http';
import { plainAddress } from './egress/public-addresses.js';

/** Whose address a request comes from; undefined where a trusted proxy told nonsense: a guess could fit a grant. */
export type SourceAddress = (request: Pick<IncomingMessage, 'socket' | 'headers'>) => string | undefined;

/**
 * Believes `X-Forwarded-For` only of proxies in these networks (CIDR or single addresses), from the right: each proxy appends whom it
 * heard, so the first that is none of ours is the caller, and whatever stands left of it the caller may have written itself.
 */
export function sourceAddressBehind(trustedProxies: readonly string[]): SourceAddress {
  if (trustedProxies.length === 0) return ({ socket }) => ofSocket(socket.remoteAddress);
  const trusted = networks(trustedProxies);
  return ({ socket, headers }) => {
    const forwarded = headers['x-forwarded-for'];
    const hops = forwarded === undefined ? [] : String(forwarded).split(',');
    let address = ofSocket(socket.remoteAddress);
    while (hops.length > 0 && address !== undefined && trusted.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4'))
      address = plainAddress(hops.pop()!.trim());
    return address;
  };
}

/** A connection of this host's own network may have a zone (`fe80::1%eth0`). */
const ofSocket = (address: string | undefined): string | undefined => address && plainAddress(address.replace(/%.*$/, ''));

function networks(texts: readonly string[]): BlockList {
  const list = new BlockList();
  for (const text of texts) {
    const [network = '', bits] = text.split('/');
    const family = isIP(network) === 6 ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(network, family);
    else list.addSubnet(network, Number(bits), family);
  }
  return list;
}
