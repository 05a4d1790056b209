import { sourceAddressBehind } from './source-address.js';

const from = (trusted: readonly string[], remoteAddress: string | undefined, forwarded?: string) =>
  sourceAddressBehind(trusted)({
    socket: { remoteAddress } as never,
    headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
  });
const PROXIES = ['10.0.0.0/8', '2001:db8:f::1'];

describe('the address of a caller', () => {
  it.each<[string, readonly string[], string | undefined, string | undefined, string | undefined]>([
    ['is that of its connection', [], '198.51.100.7', undefined, '198.51.100.7'],
    ['is never what it says itself', [], '198.51.100.7', '10.20.0.5', '198.51.100.7'],
    ['is never what it says itself, where there are proxies', PROXIES, '198.51.100.7', '10.20.0.5', '198.51.100.7'],
    ['is what a proxy heard', PROXIES, '10.0.0.1', '198.51.100.7', '198.51.100.7'],
    ['is what the nearest untrusted hop is, not what that hop says', PROXIES, '10.0.0.1', '10.20.0.5, 198.51.100.7', '198.51.100.7'],
    ['is found behind several proxies', PROXIES, '10.0.0.1', '192.0.2.66, 198.51.100.7, 10.9.9.9', '198.51.100.7'],
    ['is found behind a proxy of IPv6', PROXIES, '2001:db8:f::1', '198.51.100.7', '198.51.100.7'],
    ['is IPv4 where it came over IPv6', PROXIES, '::ffff:10.0.0.1', '::ffff:198.51.100.7', '198.51.100.7'],
    ['is in its shortest form', PROXIES, '10.0.0.1', '2001:DB8:0:0:0::7', '2001:db8::7'],
    ['has no zone', [], 'fe80::1%eth0', undefined, 'fe80::1'],
    ['is unknown when a proxy tells nonsense', PROXIES, '10.0.0.1', '198.51.100.7, unknown', undefined],
    ['is unknown when a proxy tells a port too', PROXIES, '10.0.0.1', '198.51.100.7:4711', undefined],
    ['is unknown when a proxy tells nothing', PROXIES, '10.0.0.1', '', undefined],
    ['is unknown when the connection is gone', PROXIES, undefined, '198.51.100.7', undefined],
  ])('%s', (_, trusted, remote, forwarded, want) => {
    expect(from(trusted, remote, forwarded)).toBe(want);
  });
});
