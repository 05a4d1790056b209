import type { ChildProcess } from 'node:child_process';
import { chownSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { postgresUser, type SystemUser } from './as-user.js';
import { type DataDir, makeFolder } from './data-dir.js';
import { freePort } from './free-port.js';
import { postgresBin } from './postgres-binaries.js';
import { HOST_BASED_AUTHENTICATION, serverArguments } from './postgres-settings.js';
import { randomSecretFile } from './secret-files.js';
import { commandLine, ended, endProcess, hasEnded, isAlive, runOnce, seeLog, sleep, spawnService, until } from './spawn.js';

/** How long a start may take: after a kill -9 old backends may hold shared memory, and then the log is replayed. */
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 10_000;
const RETRY_MS = 100;

export interface EmbeddedPostgresOptions {
  readonly dataDir: DataDir;
  /** A free port by default; it stays the same over restarts. */
  readonly port?: number | undefined;
  /** Besides what the server needs: a test's clock. */
  readonly env?: Readonly<Record<string, string>> | undefined;
}

/**
 * PostgreSQL from the pinned npm package on loopback, for development, tests and single-host installations. Restarts
 * the server when it dies while it should run. Durable: see postgres-settings.ts.
 */
export class EmbeddedPostgres {
  private child: ChildProcess | undefined;
  private wanted = false;
  private starting: Promise<void> | undefined;
  private readonly bin = postgresBin();
  private readonly user: SystemUser | undefined = postgresUser();

  private constructor(
    private readonly dataDir: DataDir,
    /** Stays the same over restarts. */
    readonly port: number,
    private readonly password: string,
    private readonly env: Readonly<Record<string, string>> = {},
  ) {}

  /** Initialises the data directory where that has not been done, and starts the server. */
  static async start({ dataDir, port, env }: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
    const password = randomSecretFile(dataDir.file('superuser-password'));
    const server = new EmbeddedPostgres(dataDir, port ?? (await freePort()), password, env);
    if (!existsSync(dataDir.postgres)) await server.initialise();
    await server.start();
    return server;
  }

  /** The superuser's URL of the server that runs in a data directory, whoever started it; undefined where none does. */
  static urlOfRunning(dataDir: DataDir): string | undefined {
    const passwordFile = dataDir.file('superuser-password');
    if (!existsSync(passwordFile)) return undefined;
    const [pid, , , port] = pidFile(dataDir);
    const isThere = Number(pid) > 1 && isAlive(Number(pid)) && commandLine(Number(pid)).includes(dataDir.postgres);
    return isThere ? new EmbeddedPostgres(dataDir, Number(port), readFileSync(passwordFile, 'utf8')).superuserUrl() : undefined;
  }

  /** URL of the superuser in a database, `postgres` by default. Holds a password: never log it. */
  superuserUrl(database = 'postgres'): string {
    return this.urlFor('postgres', this.password, database);
  }

  /** URL for a role; passwords made by us need no escaping, but any is escaped. */
  urlFor(role: string, password: string, database: string): string {
    return `postgres://${role}:${encodeURIComponent(password)}@127.0.0.1:${this.port}/${database}`;
  }

  /** Process id of the running server, for fault tests. */
  get pid(): number | undefined {
    return this.child?.pid;
  }

  /** Resolves when the server accepts connections. @throws Error when it does not within a minute */
  async start(): Promise<void> {
    this.wanted = true;
    this.starting ??= this.startUntilReady().finally(() => {
      this.starting = undefined;
    });
    await this.starting;
  }

  /** Ends sessions and stops: `fast` writes a checkpoint, `immediate` leaves recovery to the next start. */
  async stop(mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    this.wanted = false;
    await this.starting?.catch(() => undefined);
    const { child } = this;
    if (child === undefined) return;
    await endProcess(child, mode === 'fast' ? 'SIGINT' : 'SIGQUIT', STOP_TIMEOUT_MS);
    this.child = undefined;
  }

  async restart(mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    await this.stop(mode);
    await this.start();
  }

  /** Sends a signal to the server's first process; while it should run it comes back by itself. For fault tests. */
  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.child?.kill(signal);
  }

  private async initialise(): Promise<void> {
    const unfinished = `${this.dataDir.postgres}.new`;
    const passwordFile = this.dataDir.file('initdb-password');
    rmSync(unfinished, { recursive: true, force: true });
    makeFolder(unfinished, 0o700);
    writeFileSync(passwordFile, this.password, { mode: 0o600 });
    if (this.user !== undefined) for (const path of [unfinished, passwordFile]) chownSync(path, this.user.uid, this.user.gid);
    const options = ['--username=postgres', '--auth=scram-sha-256', '--encoding=UTF8', '--locale=C', '--data-checksums'];
    const command = [join(this.bin, 'initdb'), `--pgdata=${unfinished}`, `--pwfile=${passwordFile}`, ...options];
    await runOnce('initdb', command, this.spawnOptions(unfinished));
    rmSync(passwordFile);
    writeFileSync(join(unfinished, 'pg_hba.conf'), HOST_BASED_AUTHENTICATION);
    renameSync(unfinished, this.dataDir.postgres);
  }

  private async startUntilReady(): Promise<void> {
    await this.stopOrphan();
    const deadline = performance.now() + START_TIMEOUT_MS;
    while (this.wanted && !(await this.startOnce())) {
      if (performance.now() > deadline) throw new Error(`PostgreSQL does not start; ${seeLog(this.logFile)}`);
      await sleep(RETRY_MS);
    }
  }

  /** @returns false when the server ended before it was ready: old backends still hold what it needs */
  private async startOnce(): Promise<boolean> {
    const command = [join(this.bin, 'postgres'), '-D', this.dataDir.postgres, ...serverArguments(this.port)];
    const child = spawnService(command, this.spawnOptions(this.dataDir.postgres));
    await until(() => hasEnded(child) || this.isReady(child), START_TIMEOUT_MS, 10);
    if (hasEnded(child)) return false;
    this.child = child;
    void ended(child).then(() => this.comeBack());
    return true;
  }

  private async comeBack(): Promise<void> {
    if (!this.wanted) return;
    // A failure is in the server's log; whoever needs the database sees it as unavailable and asks again.
    await this.start().catch(() => sleep(RETRY_MS).then(() => this.comeBack()));
  }

  /** The server writes `ready` into the eighth line of its pid file. */
  private isReady(child: ChildProcess): boolean {
    const lines = pidFile(this.dataDir);
    return Number(lines[0]) === child.pid && lines[7]?.trim() === 'ready';
  }

  /** A starter that was killed leaves its server behind; the data directory is locked by us, so that server is ours to stop. */
  private async stopOrphan(): Promise<void> {
    const pid = Number(pidFile(this.dataDir)[0]);
    const runs = () => isAlive(pid) && commandLine(pid).includes(this.dataDir.postgres);
    if (!(pid > 1) || !runs()) return;
    process.kill(pid, 'SIGINT');
    if (!(await until(() => !runs(), STOP_TIMEOUT_MS))) process.kill(pid, 'SIGKILL');
  }

  private get logFile(): string {
    return join(this.dataDir.logs, 'postgres.log');
  }

  private spawnOptions(cwd: string) {
    return { cwd, user: this.user, env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC', ...this.env }, logFile: this.logFile };
  }
}

/** Lines: process id, folder, start, port and, as the eighth, `ready`. */
function pidFile({ postgres }: DataDir): string[] {
  const file = join(postgres, 'postmaster.pid');
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
}
