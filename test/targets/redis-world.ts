import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { checkoutPath } from '#runtime';
import { redis } from '../../apps/worker/targets/redis.js';
import { freePort } from '../../libs/runtime/embedded/free-port.js';
import { RedisServer } from '../queue/redis-server.js';
import { AUTHORITY } from '../receivers/tls.js';
import type { Example, TargetWorld } from './target-contract.js';

const ADMIN = 'admin-password-of-a-test';

/** Two Redis servers with TLS and an ACL file each, as a primary and a replica would be, whose admin may do nothing but change users. */
export class RedisWorld implements TargetWorld {
  readonly target = redis as TargetWorld['target'];
  #accounts = 0;

  private constructor(
    private readonly folder: string,
    readonly nodes: readonly {
      readonly server: RedisServer;
      readonly tlsPort: number;
      readonly superuser: Redis;
      readonly aclFile: string;
    }[],
  ) {}

  static async start(): Promise<RedisWorld> {
    const folder = mkdtempSync(join(tmpdir(), 'keyward-target-'));
    const pem = (name: string) => checkoutPath('test', 'vectors', 'tls', `${name}.pem`);
    const tls = [
      '--tls-cert-file',
      pem('server'),
      '--tls-key-file',
      pem('server-key'),
      '--tls-ca-cert-file',
      pem('ca'),
      '--tls-auth-clients',
      'no',
    ];
    const nodes = await Promise.all(
      ['one', 'two'].map(async (name) => {
        const aclFile = join(folder, `${name}.acl`);
        const rights = '~* resetchannels -@all +acl|getuser +acl|setuser +acl|save';
        writeFileSync(aclFile, `user default on nopass ~* &* +@all\nuser rotator on >${ADMIN} ${rights}\n`);
        const tlsPort = await freePort();
        const server = await RedisServer.start(['--aclfile', aclFile, '--tls-port', String(tlsPort), ...tls]);
        return { server, tlsPort, superuser: new Redis(server.url), aclFile };
      }),
    );
    return new RedisWorld(folder, nodes);
  }

  get origins(): string[] {
    return this.nodes.flatMap(({ server, tlsPort }) => [`127.0.0.1:${server.port}`, `127.0.0.1:${tlsPort}`]);
  }

  get connection() {
    const nodes = this.nodes.map(({ server: { port } }) => ({ host: '127.0.0.1', port }));
    return { nodes, username: 'rotator', password: ADMIN, cleartext: true };
  }

  get secured() {
    const nodes = this.nodes.map(({ tlsPort: port }) => ({ host: '127.0.0.1', port }));
    return { ...this.connection, nodes, cleartext: false, certificateAuthority: AUTHORITY };
  }

  get wrong() {
    return { ...this.connection, password: 'not-the-password-of-the-admin' };
  }

  async account() {
    const username = `app_${++this.#accounts}`;
    const password = `first-password-of-${username}`;
    for (const { superuser } of this.nodes) await superuser.call('ACL', 'SETUSER', username, 'on', `>${password}`, '~*', '+get');
    return { username, password };
  }

  async letsIn({ username, password }: Record<string, unknown>): Promise<boolean> {
    const answers = await Promise.all(this.nodes.map(({ server }) => this.#letsIn(server, username as string, password as string)));
    expect(new Set(answers).size).toBe(1);
    return answers[0]!;
  }

  async prepare(commands: readonly string[], { connection, value }: Example) {
    const words = commands.map((command) => command.match(/"[^"]*"|\S+/g)!.map((word) => word.replaceAll('"', '')));
    for (const { superuser } of this.nodes) for (const [command = '', ...rest] of words) await superuser.call(command, ...rest);
    const { nodes, certificateAuthority } = this.secured;
    return { connection: { ...connection, nodes, certificateAuthority }, value };
  }

  readonly heard = () => undefined;

  readonly confidential = ({ password }: Record<string, unknown>): string[] => [password as string];

  /** What stands in the ACL files: users as they are after a restart. */
  kept(): string[] {
    return this.nodes.map(({ aclFile }) => readFileSync(aclFile, 'utf8'));
  }

  async stop(): Promise<void> {
    for (const { server, superuser } of this.nodes) {
      superuser.disconnect();
      await server.stop();
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #letsIn({ port }: RedisServer, username: string, password: string): Promise<boolean> {
    const client = new Redis({ host: '127.0.0.1', port, lazyConnect: true, retryStrategy: () => null, enableReadyCheck: false });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return await client.call('AUTH', username, password).then(
        () => true,
        (error: Error) => {
          if (error.message.startsWith('WRONGPASS')) return false;
          throw error;
        },
      );
    } finally {
      client.disconnect();
    }
  }
}
