import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server as TcpServer, type Socket } from 'node:net';
import { Egress, type EgressOptions } from './egress.js';

const json = { 'content-type': 'application/json' };

/** What hostile providers answer. */
const ANSWERS: Readonly<Record<string, RequestListener>> = {
  '/keys': (_, response) => response.writeHead(200, json).end('{"keys":[]}'),
  '/suffix': (_, response) => response.writeHead(200, { 'content-type': 'application/jwk-set+json; charset=utf-8' }).end('{"keys":[]}'),
  '/redirect': (_, response) => response.writeHead(302, { ...json, location: '/keys' }).end('{"keys":[]}'),
  '/gone': (_, response) => response.writeHead(410, json).end('{}'),
  '/html': (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('{"keys":[]}'),
  '/untyped': (_, response) => response.writeHead(200).end('{"keys":[]}'),
  '/compressed': (_, response) => response.writeHead(200, { ...json, 'content-encoding': 'gzip' }).end('x'),
  '/broken': (_, response) => response.writeHead(200, json).end('{"keys":'),
  '/latin1': (_, response) => response.writeHead(200, json).end(Buffer.from('{"k":"\xff"}', 'latin1')),
  '/huge': (_, response) => response.writeHead(200, json).end(`"${'a'.repeat(256 * 1024)}"`),
  '/endless': (request, response) => {
    response.writeHead(200, json);
    const more = () => {
      while (!request.socket.destroyed && response.write(' '.repeat(16_384)));
    };
    response.on('drain', more);
    more();
  },
  '/silent': () => undefined,
  '/slow-headers': (request) => void request.socket.write('HTTP/1.1 200 OK\r\n'),
  '/slow-body': (_, response) => {
    response.writeHead(200, json);
    const drip = setInterval(() => response.write(' '), 20);
    response.on('close', () => clearInterval(drip));
  },
  '/hangs-up': (request) => void request.socket.destroy(),
};

describe('what a tenant names is fetched', () => {
  let server: Server;
  let origin: string;
  let asked: string[];
  beforeAll(async () => {
    server = createServer((request, response) => {
      asked.push(request.url!);
      ANSWERS[request.url!]!(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    origin = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  beforeEach(() => void (asked = []));

  const vouched = (options: EgressOptions = {}) => new Egress({ allow: [origin], timeLimitMs: 300, ...options });

  it.each(['/keys', '/suffix'])('as JSON from an origin that the operator vouches for: %s', async (path) => {
    expect(await vouched().json(`http://${origin}${path}`)).toEqual({ keys: [] });
  });

  it.each([
    ['a redirect, which could lead anywhere', '/redirect', 'status'],
    ['another status', '/gone', 'status'],
    ['what is not said to be JSON', '/html', 'media-type'],
    ['what is not said to be anything', '/untyped', 'media-type'],
    ['what would grow when unpacked', '/compressed', 'media-type'],
    ['half of JSON', '/broken', 'not-json'],
    ['what is not UTF-8', '/latin1', 'not-json'],
    ['more than 256 KiB', '/huge', 'too-large'],
    ['what never ends', '/endless', 'too-large'],
    ['no answer', '/silent', 'time-limit'],
    ['headers that do not end', '/slow-headers', 'time-limit'],
    ['a body that drips', '/slow-body', 'time-limit'],
    ['a connection that ends', '/hangs-up', 'connection'],
  ])('not for %s', async (_, path, reason) => {
    await expect(vouched().json(`http://${origin}${path}`)).rejects.toMatchObject({ name: 'EgressError', reason });
    expect(asked).toEqual([path]);
  });

  it.each([
    ['plain http', 'http://idp.example/keys', 'url'],
    ['another scheme', 'file:///etc/passwd', 'url'],
    ['no URL', 'idp.example', 'url'],
    ['a name and password', 'https://ann:x@idp.example/keys', 'url'],
    ['a port of other services', 'https://idp.example:22/', 'port'],
    ['loopback', 'https://127.0.0.1/', 'address'],
    ['loopback as one number', 'https://2130706433/', 'address'],
    ['loopback in octal', 'https://0177.0.0.1/', 'address'],
    ['loopback in hexadecimal', 'https://0x7f.1/', 'address'],
    ['loopback of IPv6', 'https://[::1]/', 'address'],
    ['loopback as IPv4 in IPv6', 'https://[::ffff:127.0.0.1]/', 'address'],
    ['loopback as IPv4 in IPv6, in hexadecimal', 'https://[::ffff:7f00:1]/', 'address'],
    ['loopback by NAT64', 'https://[64:ff9b::7f00:1]/', 'address'],
    ['this host', 'https://0.0.0.0/', 'address'],
    ['metadata of a cloud', 'https://169.254.169.254/latest/meta-data/', 'address'],
    ['metadata by 6to4', 'https://[2002:a9fe:a9fe::]/', 'address'],
    ['a private network', 'https://10.0.0.1/', 'address'],
    ['a unique local address', 'https://[fd00::1]/', 'address'],
    ['a link-local address', 'https://[fe80::1]/', 'address'],
  ])('not from %s', async (_, url, reason) => {
    const egress = new Egress({ resolve: async () => ['192.0.2.1'], timeLimitMs: 300 });
    await expect(egress.json(url)).rejects.toMatchObject({ name: 'EgressError', reason });
  });

  it.each([
    ['our network', ['10.1.2.3'], 'address'],
    ['a public and a private address', ['93.184.216.34', '127.0.0.1'], 'address'],
    ['IPv4 of ours in an IPv6 coat', ['::ffff:10.1.2.3'], 'address'],
    ['nothing', [], 'name'],
  ])('not from a name that leads to %s', async (_, addresses, reason) => {
    const egress = new Egress({ resolve: async () => addresses });
    await expect(egress.json('https://idp.example/')).rejects.toMatchObject({ name: 'EgressError', reason });
  });

  it.each([
    ['JSON', (egress: Egress) => egress.json('https://rebinding.example/keys')],
    [
      'any answer',
      (egress: Egress) => egress.exchange('https://rebinding.example/keys', { method: 'POST', headers: {}, timeLimitMs: 100 }),
    ],
    ['a connection', (egress: Egress) => egress.connect({ host: 'rebinding.example', port: 443 }, AbortSignal.timeout(100))],
  ])('from the address that was checked: a name is looked up once for %s', async (_, ask) => {
    const answers = [['192.88.100.1'], ['127.0.0.1']];
    let lookUps = 0;
    const resolve = async () => answers[lookUps++]!;
    const egress = new Egress({ resolve, timeLimitMs: 100 });
    await expect(ask(egress)).rejects.toMatchObject({ name: 'EgressError' });
    expect([lookUps, asked]).toEqual([1, []]);
  });

  it.each([
    ['a redirect, which is not followed', '/redirect', { status: 302 }],
    ['a refusal', '/gone', { status: 410 }],
    ['no JSON', '/html', { status: 200, body: Buffer.from('{"keys":[]}') }],
  ])('with any answer, if any answer is wanted: %s', async (_, path, answer) => {
    const request = { method: 'POST', headers: {}, body: Buffer.from('x'), timeLimitMs: 1000 } as const;
    expect(await vouched().exchange(`http://${origin}${path}`, request)).toMatchObject(answer);
    expect(asked).toEqual([path]);
  });

  it.each([
    ['/endless', 'too-large'],
    ['/silent', 'time-limit'],
    ['/slow-body', 'time-limit'],
  ])('but not endlessly: %s', async (path, reason) => {
    const request = { method: 'GET', headers: {}, timeLimitMs: 300 } as const;
    await expect(vouched().exchange(`http://${origin}${path}`, request)).rejects.toMatchObject({ reason });
  });

  it('with no connection that has no end: a host that is silent about TLS', async () => {
    const [host, port] = origin.split(':');
    await expect(vouched().connect({ host: host!, port: Number(port) }, AbortSignal.timeout(200))).rejects.toMatchObject({
      name: 'EgressError',
    });
  });

  it('as bytes, from an address that it may reach and no other', async () => {
    const [host, port] = origin.split(':');
    const to = { host: host!, port: Number(port) };
    const socket = await vouched().dial(to, AbortSignal.timeout(2000));
    socket.write('GET /keys HTTP/1.0\r\n\r\n');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    expect(answer.toString()).toMatch(/^HTTP\/1.1 200/);
    const others = new Egress({ ports: [to.port] });
    await expect(others.dial(to, AbortSignal.timeout(2000))).rejects.toMatchObject({ reason: 'address' });
  });

  it('as bytes in clear text only from an origin that the operator vouches for', async () => {
    const [host, port] = origin.split(':');
    const socket = await vouched().dial({ host: host!, port: Number(port), cleartext: true }, AbortSignal.timeout(2000));
    socket.destroy();
    const others = new Egress({ resolve: async () => ['192.88.100.1'] });
    const to = { host: 'database.example', port: 443, cleartext: true };
    await expect(others.dial(to, AbortSignal.timeout(2000))).rejects.toMatchObject({ reason: 'url' });
  });

  it('as bytes, from a name that is looked up once', async () => {
    let lookUps = 0;
    const egress = new Egress({ resolve: async () => [['127.0.0.1'], ['192.88.100.1']][lookUps++]! });
    await expect(egress.dial({ host: 'rebinding.example', port: 443 }, AbortSignal.timeout(2000))).rejects.toMatchObject({
      reason: 'address',
    });
    expect(lookUps).toBe(1);
  });

  it('not for longer than its limit, however long a name is looked up', async () => {
    const egress = new Egress({ resolve: () => new Promise<never>(() => undefined), timeLimitMs: 50 });
    await expect(egress.json('https://idp.example/')).rejects.toMatchObject({ reason: 'time-limit' });
  });

  it('from no other port of a host that the operator vouches for', async () => {
    const other = new Egress({ allow: ['127.0.0.1:1'] });
    await expect(other.json(`http://${origin}/keys`)).rejects.toMatchObject({ reason: 'url' });
    await expect(other.json(`https://${origin}/keys`)).rejects.toMatchObject({ reason: 'port' });
    expect(asked).toEqual([]);
  });
});

describe('a hostile server', () => {
  let server: TcpServer;
  let origin: string;
  const listening = async (started: TcpServer) => {
    server = started;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    origin = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  afterEach(() => new Promise((resolve) => server.close(resolve)));

  it('keeps no connection by answering without having read what it was sent', async () => {
    const sockets: Socket[] = [];
    await listening(
      createTcpServer((socket) => {
        sockets.push(socket.pause());
        socket.on('error', () => undefined).write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
      }),
    );
    const body = Buffer.alloc(32 * 1024 * 1024);
    const request = { method: 'PUT', headers: {}, body, timeLimitMs: 5000 } as const;
    await new Egress({ allow: [origin] }).exchange(`http://${origin}/`, request);
    let read = 0;
    const [socket] = sockets;
    await new Promise<void>((resolve) => {
      socket!
        .on('close', resolve)
        .on('data', (chunk: Buffer) => (read += chunk.length))
        .resume();
    });
    expect(read).toBeLessThan(body.length);
  });

  it('does not choose how much we compute: no Diffie-Hellman over finite fields is offered, whose size would be up to it', async () => {
    const hello = Promise.withResolvers<Buffer>();
    await listening(createTcpServer((socket) => socket.once('data', (first: Buffer) => (hello.resolve(first), socket.destroy()))));
    const [, port] = origin.split(':');
    await expect(
      new Egress({ allow: [origin] }).connect({ host: '127.0.0.1', port: Number(port) }, AbortSignal.timeout(2000)),
    ).rejects.toMatchObject({ reason: 'connection' });
    const suites = cipherSuites(await hello.promise);
    expect(suites).toContain(0xc02f);
    // TLS_DHE_RSA_*: RFC 5246 §A.5, RFC 5288, RFC 6655, RFC 7905.
    expect(suites.filter((suite) => [0x33, 0x39, 0x67, 0x6b, 0x9e, 0x9f, 0xc09e, 0xc09f, 0xc0a2, 0xc0a3, 0xccaa].includes(suite))).toEqual(
      [],
    );
  });
});

/** Of a ClientHello (RFC 8446 §4.1.2) in its record. */
function cipherSuites(hello: Buffer): number[] {
  const session = 5 + 4 + 2 + 32;
  const at = session + 1 + hello[session]!;
  return Array.from({ length: hello.readUInt16BE(at) / 2 }, (_, index) => hello.readUInt16BE(at + 2 + 2 * index));
}
