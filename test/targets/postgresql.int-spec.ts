import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { postgresql } from '../../apps/worker/targets/postgresql.js';
import { PostgresqlWorld } from './postgresql-world.js';
import { reasonOf, TestReach } from './test-reach.js';
import { targetContract } from './target-contract.js';

targetContract('postgresql', { accounts: ['single', 'double'], gap: true, startsTls: true }, () => PostgresqlWorld.start());

const rotation = { tenant: 'acme', secretId: 'sec_00000000000000000000000000', versionId: 'v1' };
const login = { username: 'app', password: 'a-password-that-stays-here' };

/** A message of the server's: type, length, body. */
const message = (type: string, ...parts: readonly (number | string)[]): Buffer => {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'number' ? int32(part) : Buffer.from(part))));
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body]);
};
const int32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const READY = Buffer.concat([message('R', 0), message('Z', 'I')]);

describe('who poses as a PostgreSQL', () => {
  let server: Server;
  let heard: string;
  afterEach(() => new Promise((resolve) => server.close(resolve)));

  async function tested(talk: (socket: Socket) => Promise<void>): Promise<string> {
    heard = '';
    server = createServer((socket) => {
      socket.on('error', () => undefined).on('data', (chunk: Buffer) => (heard += chunk.toString('latin1')));
      void talk(socket).catch(() => socket.destroy());
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const connection = postgresql.connection.parse({ host: '127.0.0.1', port, ...login, cleartext: true });
    const reach = new TestReach([`127.0.0.1:${port}`]);
    const parts = { reach, rotation, connection, options: postgresql.options.parse({}), current: login, next: login, previous: undefined };
    return await reasonOf(postgresql.test(parts)).finally(() => reach.close());
  }

  it.each([
    ['the password', [message('R', 3)]],
    ['a hash of it by MD5', [message('R', 5, 'salt')]],
    ['nothing, and lets everybody in', [READY]],
  ])('and asks for %s is refused, and told nothing', async (_, answers) => {
    const talk = async (socket: Socket) => {
      await once(socket, 'data');
      for (const answer of answers) socket.write(answer);
    };
    expect(await tested(talk)).toBe('refused');
    expect(heard).toContain('app');
    expect(heard).not.toMatch(/a-password|md5[0-9a-f]{32}/);
  });

  it('and does not know the password is refused, though it says that all is well', async () => {
    const talk = async (socket: Socket) => {
      await once(socket, 'data');
      socket.write(message('R', 10, 'SCRAM-SHA-256\0\0'));
      const [first] = (await once(socket, 'data')) as [Buffer];
      const nonce = /r=(.+)$/.exec(first.toString('latin1'))![1]!;
      socket.write(message('R', 11, `r=${nonce}more,s=${Buffer.from('salt').toString('base64')},i=4096`));
      await once(socket, 'data');
      socket.write(READY);
    };
    expect(await tested(talk)).toBe('refused');
  });
});
