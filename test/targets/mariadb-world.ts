import { checkoutPath } from '#runtime';
import { mariadb } from '../../apps/worker/targets/mariadb.js';
import { AUTHORITY } from '../receivers/tls.js';
import { MariadbServer } from './mariadb-server.js';
import { ReachedByRotator, ROTATOR } from './rotator.js';
import type { Example, TargetWorld } from './target-contract.js';

const SUPERUSER = 'superuser-password-of-a-test';

/** A MariaDB with TLS whose admin may change accounts and see no table. */
export class MariadbWorld extends ReachedByRotator implements TargetWorld {
  readonly target = mariadb as TargetWorld['target'];
  #accounts = 0;

  private constructor(readonly server: MariadbServer) {
    super();
  }

  static async start(): Promise<MariadbWorld> {
    const pem = (name: string) => checkoutPath('test', 'vectors', 'tls', `${name}.pem`);
    const tls = [`--ssl-cert=${pem('server')}`, `--ssl-key=${pem('server-key')}`, `--ssl-ca=${pem('ca')}`];
    const world = new MariadbWorld(await MariadbServer.start(SUPERUSER, [...tls, '--general-log=1', '--general-log-file=statements.log']));
    await world.sql(
      `CREATE USER rotator IDENTIFIED BY '${ROTATOR.password}'`,
      'GRANT CREATE USER ON *.* TO rotator',
      'CREATE DATABASE shop',
    );
    return world;
  }

  async account(double: boolean) {
    const username = `app_${++this.#accounts}`;
    const password = `first-password-of-${username}`;
    await this.sql(`CREATE USER ${username} IDENTIFIED BY '${password}'`);
    if (!double) return { username, password, host: '127.0.0.1' };
    await this.sql(`CREATE USER ${username}_b IDENTIFIED VIA mysql_native_password USING 'invalid'`);
    return { username, password, alternateUsername: `${username}_b` };
  }

  async letsIn({ username, password }: Record<string, unknown>): Promise<boolean> {
    const { ok, text } = await this.server.sql(username as string, password as string, 'SELECT 1');
    if (!ok && !text.includes('ERROR 1045')) throw new Error(text);
    return ok;
  }

  async prepare(commands: readonly string[], { connection, value }: Example) {
    await this.sql(...commands);
    const here = { host: '127.0.0.1', port: this.server.port, certificateAuthority: AUTHORITY };
    return { connection: { ...connection, ...here }, value };
  }

  heard(): string {
    return this.server.statements();
  }

  readonly confidential = ({ password }: Record<string, unknown>): string[] => [password as string];

  async sql(...statements: readonly string[]): Promise<void> {
    for (const statement of statements) {
      const { ok, text } = await this.server.sql('superuser', SUPERUSER, statement);
      if (!ok) throw new Error(text);
    }
  }

  async stop(): Promise<void> {
    await this.server.stop();
  }
}
