import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort } from '../../libs/runtime/embedded/free-port.js';
import { missing, type Programs, programs } from './debian-programs.js';

const PATHS = ['/usr/sbin/mariadbd', '/usr/bin/mariadb'];
export const mariadbIsMissing = missing(PATHS);

const START_MS = 60_000;

export interface Answer {
  readonly ok: boolean;
  readonly text: string;
}

/** A MariaDB on loopback in a folder of its own; its user `superuser` may do everything. */
export class MariadbServer {
  private constructor(
    private readonly installed: Programs,
    private readonly folder: string,
    private readonly child: ChildProcess,
    readonly port: number,
  ) {}

  /** @param more settings, as on its command line */
  static async start(superuserPassword: string, more: readonly string[] = []): Promise<MariadbServer> {
    const installed = await programs(PATHS, ['mariadb-server-core', 'mariadb-client-core']);
    const folder = mkdtempSync(join(tmpdir(), 'keyward-mariadb-'));
    mkdirSync(join(folder, 'data'));
    const [tables = ''] = globSync('usr/share/{mysql,mariadb}/{mysql,mariadb}_system_tables.sql', { cwd: installed.root });
    const [contents = ''] = globSync('usr/share/{mysql,mariadb}/{mysql,mariadb}_system_tables_data.sql', { cwd: installed.root });
    const share = join(installed.root, tables, '..');
    const settings = [
      '--no-defaults',
      `--user=${userInfo().username}`,
      `--datadir=${join(folder, 'data')}`,
      `--lc-messages-dir=${share}`,
      `--character-sets-dir=${join(share, 'charsets')}`,
      '--innodb-log-file-size=4M',
      '--innodb-buffer-pool-size=8M',
      '--innodb-data-file-path=ibdata1:4M:autoextend',
      '--innodb-temp-data-file-path=ibtmp1:1M:autoextend',
      '--innodb-use-native-aio=0',
      '--innodb-flush-log-at-trx-commit=0',
    ];
    const mariadbd = join(installed.root, 'usr/sbin/mariadbd');
    const log = openSync(join(folder, 'log'), 'a');
    const bootstrap = spawn(mariadbd, [...settings, '--bootstrap'], { env: installed.env, stdio: ['pipe', log, log] });
    const sql = [tables, contents].map((file) => readFileSync(join(installed.root, file), 'utf8'));
    bootstrap.stdin!.end(['CREATE DATABASE mysql;', 'USE mysql;', ...sql].join('\n'));
    const [code] = (await once(bootstrap, 'exit')) as [number | null];
    if (code !== 0) throw new Error(`MariaDB was not set up: ${readFileSync(join(folder, 'log'), 'utf8').slice(-2000)}`);
    const first = join(folder, 'first.sql');
    writeFileSync(first, `CREATE USER superuser IDENTIFIED BY '${superuserPassword}';\nGRANT ALL ON *.* TO superuser WITH GRANT OPTION;\n`);
    const port = await freePort();
    const network = [`--port=${port}`, '--bind-address=127.0.0.1', `--socket=${join(folder, 'socket')}`, '--skip-name-resolve'];
    const child = spawn(mariadbd, [...settings, ...network, `--init-file=${first}`, ...more], {
      env: installed.env,
      stdio: ['ignore', log, log],
    });
    const deadline = performance.now() + START_MS;
    const server = new MariadbServer(installed, folder, child, port);
    while (!(await server.sql('superuser', superuserPassword, 'SELECT 1')).ok) {
      if (child.exitCode !== null || performance.now() > deadline)
        throw new Error(`MariaDB does not start: ${readFileSync(join(folder, 'log'), 'utf8').slice(-2000)}`);
      await setTimeout(20);
    }
    return server;
  }

  /** By MariaDB's own client. */
  async sql(user: string, password: string, statement: string): Promise<Answer> {
    const client = join(this.installed.root, 'usr/bin/mariadb');
    const args = ['--no-defaults', '--host=127.0.0.1', `--port=${this.port}`, `--user=${user}`, '--batch', `--execute=${statement}`];
    const env = { ...this.installed.env, MYSQL_PWD: password };
    return await promisify(execFile)(client, args, { env }).then(
      ({ stdout }) => ({ ok: true, text: stdout }),
      (error: { stderr: string }) => ({ ok: false, text: error.stderr }),
    );
  }

  async stop(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const ended = once(this.child, 'exit');
      this.child.kill('SIGKILL');
      await ended;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** What was logged of statements, where `--general-log` asks for it. */
  statements(): string {
    return readFileSync(join(this.folder, 'data', 'statements.log'), 'utf8');
  }
}
