import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { mariadb } from '../../apps/worker/targets/mariadb.js';
import { nativeHash } from '../../apps/worker/targets/mariadb-session.js';
import { mariadbIsMissing } from './mariadb-server.js';
import { MariadbWorld } from './mariadb-world.js';
import { targetContract } from './target-contract.js';
import { reasonOf, TestReach } from './test-reach.js';

if (mariadbIsMissing === undefined)
  targetContract('mariadb', { accounts: ['single', 'double'], gap: true, startsTls: true }, () => MariadbWorld.start());
else it.skip(`mariadb: ${mariadbIsMissing}`, () => undefined);

it('keeps of a password what PASSWORD() of MariaDB makes of it', () => {
  // MariaDB's documentation of PASSWORD().
  expect(nativeHash('notagoodpwd')).toBe('*3A70EE9FC6594F88CE9E959CD51C5A1C002DC937');
});

const rotation = { tenant: 'acme', secretId: 'sec_00000000000000000000000000', versionId: 'v1' };
const login = { username: 'app', password: 'a-password-that-stays-here' };

const packet = (sequence: number, ...parts: readonly (Buffer | string)[]): Buffer => {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  return Buffer.concat([Buffer.of(body.length, 0, 0, sequence), body]);
};
/** Version 10, without TLS. */
const GREETING = packet(
  0,
  Buffer.of(10),
  '10.11.1-MariaDB\0',
  Buffer.of(1, 0, 0, 0),
  'saltsalt\0',
  Buffer.of(0x01, 0x82, 45, 2, 0, 0x08, 0, 21),
  Buffer.alloc(10),
  'saltsaltsalt\0',
  'mysql_native_password\0',
);
const OK = Buffer.of(0, 0, 0, 2, 0, 0, 0);

describe('who poses as a MariaDB', () => {
  let server: Server;
  let heard: string;
  afterEach(() => new Promise((resolve) => server.close(resolve)));

  async function applied(answers: readonly Buffer[], cleartext = true): Promise<string> {
    heard = '';
    const talk = async (socket: Socket) => {
      socket.write(GREETING);
      for (const answer of answers) {
        await once(socket, 'data');
        socket.write(answer);
      }
    };
    server = createServer((socket) => {
      socket.on('error', () => undefined).on('data', (chunk: Buffer) => (heard += chunk.toString('latin1')));
      void talk(socket).catch(() => socket.destroy());
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const connection = mariadb.connection.parse({ host: '127.0.0.1', port, ...login, cleartext });
    const reach = new TestReach([`127.0.0.1:${port}`]);
    const parts = { reach, rotation, connection, options: mariadb.options.parse({}), current: login, next: login, previous: undefined };
    return await reasonOf(mariadb.apply(parts)).finally(() => reach.close());
  }

  it.each([
    ['the password', [packet(2, Buffer.of(0xfe), 'mysql_clear_password\0')]],
    ['the password under a key', [packet(2, Buffer.of(0xfe), 'sha256_password\0', Buffer.alloc(21))]],
    ["a file, as a statement's answer", [packet(2, OK), packet(1, Buffer.of(0xfb), '/etc/passwd')]],
  ])('and asks for %s is refused, and told nothing', async (_, answers) => {
    expect(await applied(answers)).toBe('refused');
    expect(heard).toContain('app');
    expect(heard).not.toContain('a-password');
    expect(heard).not.toContain('root:');
  });

  it('and has no TLS is refused where TLS is wanted, and told not even who asks', async () => {
    expect(await applied([packet(2, OK)], false)).toBe('refused');
    expect(heard).toBe('');
  });

  it('and answers as a MariaDB would is what these refusals are judged beside', async () => {
    expect(await applied([packet(2, OK), packet(1, OK), packet(1, OK)])).toBe('done');
  });
});
