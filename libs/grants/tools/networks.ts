import { isIP } from 'node:net';
import { BoundedMap } from '#core';

/** Addresses that share their first `prefix` bits. */
export interface Network {
  readonly family: 4 | 6;
  readonly first: bigint;
  readonly prefix: number;
  /** The address as written is not the first of its network. */
  readonly inside: boolean;
}

/**
 * An address, or a network in CIDR notation. undefined: neither. An IPv6 zone (`%eth0`) is none of a policy's business, and an
 * IPv4-mapped address is no caller's: those are IPv4.
 */
export function networkOf(text: string): Network | undefined {
  return (networks.get(text) ?? networks.set(text, { network: parsed(text) })).network;
}

/** Each rule is compared with all others. */
const networks = new BoundedMap<string, { readonly network: Network | undefined }>(4096);

function parsed(text: string): Network | undefined {
  const [address = '', length, ...more] = text.split('/');
  const family = isIP(address);
  if ((family !== 4 && family !== 6) || address.includes('%') || more.length > 0) return undefined;
  const bits = family === 4 ? 32 : 128;
  const prefix = length === undefined ? bits : Number(/^(0|[1-9][0-9]{0,2})$/.exec(length)?.[0] ?? Number.NaN);
  if (!(prefix <= bits)) return undefined;
  const number = family === 4 ? ipv4(address) : ipv6(address);
  if (family === 6 && number >> 32n === MAPPED) return undefined;
  const first = mask(number, bits, prefix);
  return { family, first, prefix, inside: first !== number };
}

/** Is every address of `inner` one of `outer`? */
export function networkWithin(inner: Network, outer: Network): boolean {
  const bits = outer.family === 4 ? 32 : 128;
  return inner.family === outer.family && inner.prefix >= outer.prefix && mask(inner.first, bits, outer.prefix) === outer.first;
}

/** The first 96 bits of ::ffff:0:0/96 (RFC 4291). */
const MAPPED = 0xffffn;

const mask = (number: bigint, bits: number, prefix: number) => (number >> BigInt(bits - prefix)) << BigInt(bits - prefix);

const ipv4 = (address: string) => address.split('.').reduce((number, part) => (number << 8n) | BigInt(part), 0n);

function ipv6(address: string): bigint {
  const dotted = /[0-9.]+$/.exec(address)?.[0] ?? '';
  const hex = dotted.includes('.') ? address.slice(0, -dotted.length) + ipv4Groups(dotted) : address;
  const [before = '', after] = hex.split('::');
  const [head, tail] = [groups(before), groups(after ?? '')];
  const zeros = Array.from({ length: after === undefined ? 0 : 8 - head.length - tail.length }, () => '0');
  return [...head, ...zeros, ...tail].reduce((number, group) => (number << 16n) | BigInt(`0x${group}`), 0n);
}

const groups = (text: string) => (text === '' ? [] : text.split(':'));
const ipv4Groups = (dotted: string) => `${(ipv4(dotted) >> 16n).toString(16)}:${(ipv4(dotted) & 0xffffn).toString(16)}`;
