import { chownSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { postgresql } from '../../apps/worker/targets/postgresql.js';
import { postgresUser } from '../../libs/runtime/embedded/as-user.js';
import { openDataDir, removeDataDir } from '../../libs/runtime/embedded/data-dir.js';
import { EmbeddedPostgres } from '../../libs/runtime/embedded/postgres.js';
import { AUTHORITY, SERVER } from '../receivers/tls.js';
import { ReachedByRotator, ROTATOR } from './rotator.js';
import type { Example, TargetWorld } from './target-contract.js';

/** A PostgreSQL with TLS whose admin may change accounts and is no superuser. */
export class PostgresqlWorld extends ReachedByRotator implements TargetWorld {
  readonly target = postgresql as TargetWorld['target'];
  #accounts = 0;

  private constructor(
    private readonly path: string,
    readonly server: EmbeddedPostgres,
    private readonly superuser: pg.Client,
    private readonly log: string,
  ) {
    super();
  }

  static async start(): Promise<PostgresqlWorld> {
    const path = mkdtempSync(join(tmpdir(), 'keyward-target-'));
    const dataDir = openDataDir(path);
    const server = await EmbeddedPostgres.start({ dataDir });
    const user = postgresUser();
    for (const [name, pem] of [['server.crt', SERVER.cert] as const, ['server.key', SERVER.key] as const]) {
      const file = join(dataDir.postgres, name);
      writeFileSync(file, pem, { mode: 0o600 });
      if (user !== undefined) chownSync(file, user.uid, user.gid);
    }
    const superuser = new pg.Client({ connectionString: server.superuserUrl() });
    superuser.on('error', () => undefined);
    await superuser.connect();
    for (const statement of [
      `CREATE ROLE rotator LOGIN CREATEROLE PASSWORD '${ROTATOR.password}'`,
      'ALTER SYSTEM SET ssl = on',
      "ALTER SYSTEM SET log_statement = 'ddl'",
      'SELECT pg_reload_conf()',
    ])
      await superuser.query(statement);
    return new PostgresqlWorld(path, server, superuser, join(dataDir.logs, 'postgres.log'));
  }

  async account(double: boolean) {
    const username = `app_${++this.#accounts}`;
    const password = `first-password-of-${username}`;
    await this.sql(`CREATE ROLE ${username} LOGIN PASSWORD '${password}'`, `GRANT ${username} TO rotator WITH ADMIN OPTION`);
    if (!double) return { username, password, host: '127.0.0.1' };
    await this.sql(`CREATE ROLE ${username}_b LOGIN`, `GRANT ${username}_b TO rotator WITH ADMIN OPTION`);
    return { username, password, alternateUsername: `${username}_b` };
  }

  async letsIn({ username, password }: Record<string, unknown>): Promise<boolean> {
    const client = new pg.Client({
      ...{ host: '127.0.0.1', port: this.server.port, database: 'postgres' },
      ...{ user: username as string, password: password as string },
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return true;
    } catch (error) {
      if ((error as { code?: string }).code === '28P01') return false;
      throw error;
    } finally {
      await client.end();
    }
  }

  async prepare(commands: readonly string[], { connection, value }: Example) {
    await this.sql(...commands);
    const here = { host: '127.0.0.1', port: this.server.port, certificateAuthority: AUTHORITY };
    return { connection: { ...connection, ...here }, value };
  }

  heard(): string {
    return readFileSync(this.log, 'utf8');
  }

  readonly confidential = ({ password }: Record<string, unknown>): string[] => [password as string];

  async sql(...statements: readonly string[]): Promise<pg.QueryResult> {
    let last: pg.QueryResult | undefined;
    for (const statement of statements) last = await this.superuser.query(statement);
    return last!;
  }

  async stop(): Promise<void> {
    await this.superuser.end();
    await this.server.stop('immediate');
    removeDataDir(this.path);
  }
}
