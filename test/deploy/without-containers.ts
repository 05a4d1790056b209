import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { checkoutRoot, freePort, softHsmModule } from '#runtime';
import { postgresUser } from '../../libs/runtime/embedded/as-user.js';
import { postgresBin } from '../../libs/runtime/embedded/postgres-binaries.js';
import { until } from '../../libs/runtime/embedded/spawn.js';
import { type RedisPrograms, redisPrograms } from '../queue/redis-server.js';
import type { Service } from './compose.js';

/** Folders of the containers: each service's own lie under a root of its own here. */
const INSIDE = /(?<![\w/])\/(?:etc\/keyward|run\/keyward|var\/lib\/(?:keyward|softhsm|postgresql)|operator|out|backups)\b/g;
const PORTS = ['5432', '6379', '7710', '7720', '7730', '7740'];
const HOSTS = /\b(?:postgres|redis|key-plane|0\.0\.0\.0)(?=:\d)/g;
const PATIENCE_MS = 60_000;

/**
 * The services of a compose file as processes of this host: their commands, environments, files, health checks and order, with
 * names, ports and folders of the containers exchanged for some of this host. What only Docker does (images, users, networks,
 * capabilities) is not here.
 */
export class WithoutContainers {
  readonly #folder = mkdtempSync(join(tmpdir(), 'kw-d-'));
  readonly #running = new Map<string, ChildProcess>();
  readonly #ports = new Map<string, number>();
  #module = '';
  #redis: RedisPrograms | undefined;

  constructor(private readonly services: Readonly<Record<string, Service>>) {
    chmodSync(this.#folder, 0o711);
    mkdirSync(join(this.#folder, 'files'), { mode: 0o711 });
  }

  /** Starts everything as Compose would: what a service waits for comes before it. */
  async up(): Promise<void> {
    this.#module = await softHsmModule();
    this.#redis = await redisPrograms();
    for (const port of PORTS) this.#ports.set(port, await freePort());
    for (const name of Object.keys(this.services)) this.#mount(name);
    for (const name of this.inOrder()) await this.#start(name);
  }

  /** Runs a service to its end with further arguments, as `docker compose run` does. */
  run(name: string, ...args: readonly string[]): { readonly exit: number | null; readonly out: string; readonly err: string } {
    const [program, ...rest] = this.#translated(name, [...this.services[name]!.entrypoint, ...this.services[name]!.command, ...args]);
    const cwd = name === 'cli' ? join(this.#root(name), 'operator') : checkoutRoot;
    const { status, stdout, stderr } = spawnSync(program!, rest, { cwd, env: this.#environment(name), encoding: 'utf8' });
    return { exit: status, out: stdout, err: stderr };
  }

  /** Whether a service's own health check passes. */
  isHealthy(name: string): boolean {
    const [by, ...test] = this.services[name]!.healthcheck!.test;
    if (test[0] === 'pg_isready') return this.#postgresAnswers();
    const command = by === 'CMD-SHELL' ? ['/bin/sh', '-c', test[0]!.replaceAll('$$', '$')] : test;
    const [program, ...args] = this.#translated(name, command);
    return spawnSync(program!, args, { cwd: checkoutRoot, env: this.#environment(name) }).status === 0;
  }

  /** What Redis answers to its health check's user. */
  askRedis(...command: readonly string[]): string {
    const [, check] = this.services['redis']!.healthcheck!.test;
    const [shell] = this.#translated('redis', [check!.replaceAll('$$', '$').replace('ping | grep PONG', '"$@"')]);
    const asked = spawnSync('/bin/sh', ['-c', shell!, 'sh', ...command], { env: this.#environment('redis'), encoding: 'utf8' });
    return asked.stdout;
  }

  /** The status of a service's metrics on its port, with the token of a file or with none, over TLS that it trusts; and their text. */
  metrics(name: string, port: string, tokenFile: string | undefined): { readonly status: string; readonly text: string } {
    const token = tokenFile === undefined ? '' : readFileSync(this.file(tokenFile), 'utf8').trim();
    const script = `const answer = await fetch(process.argv[1], { headers: { authorization: 'Bearer ' + process.argv[2] } });
      process.stdout.write(answer.status + ' ' + (await answer.text()));`;
    const url = `https://localhost:${this.#ports.get(port)}/metrics`;
    const asked = spawnSync(process.execPath, ['--input-type=module', '-e', script, url, token], {
      env: this.#environment(name),
      encoding: 'utf8',
    });
    const [, status = asked.stderr, text = ''] = /^(\d+) ([^]*)$/.exec(asked.stdout) ?? [];
    return { status, text };
  }

  /** A file of those that the set-up made, or a folder of a volume. */
  file(path: string): string {
    return join(this.#folder, 'files', path);
  }

  /** Kills a service; whoever would restart it is not here. */
  async kill(name: string): Promise<void> {
    const child = this.#running.get(name)!;
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }

  /** Whether a text holds one of the passwords or PINs that the set-up made. */
  secretsIn(text: string): boolean {
    const named = ['(', '-name', '*p*', '-o', '-name', '*token', ')'];
    const files = execFileSync('find', [join(this.#folder, 'files'), '-type', 'f', ...named], { encoding: 'utf8' })
      .trim()
      .split('\n');
    const secrets = files.map((file) => readFileSync(file, 'latin1').trim()).filter((content) => /^[0-9a-f]{48}$/.test(content));
    if (secrets.length < 5) throw new Error('There are no secrets to look for.');
    return secrets.some((secret) => text.includes(secret));
  }

  async down(): Promise<void> {
    for (const [name, child] of [...this.#running].reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill(name === 'postgres' ? 'SIGQUIT' : 'SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
      await once(child, 'exit');
      clearTimeout(timer);
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Names, so that each comes after those that it depends on. */
  inOrder(): string[] {
    const order: string[] = [];
    const visit = (name: string) => {
      if (order.includes(name)) return;
      Object.keys(this.services[name]!.depends_on).forEach(visit);
      order.push(name);
    };
    Object.keys(this.services).forEach(visit);
    return order.filter((name) => this.services[name]!.entrypoint.length === 0);
  }

  async #start(name: string): Promise<void> {
    if (name === 'postgres') this.#initialisePostgres();
    const isAlways = this.services[name]!.healthcheck !== undefined;
    if (!isAlways) {
      const { exit, out, err } = this.run(name);
      if (exit !== 0) throw new Error(`${name} ended with ${exit}: ${out}${err}`);
      return;
    }
    this.#running.set(name, this.#spawn(name));
    if (!(await until(() => this.isHealthy(name), PATIENCE_MS, 100))) throw new Error(`${name} is not healthy: ${this.log(name)}`);
  }

  log(name: string): string {
    return readFileSync(join(this.#folder, `${name}.log`), 'utf8');
  }

  #spawn(name: string): ChildProcess {
    const [program, ...args] = this.#translated(name, this.services[name]!.command);
    const isPostgres = name === 'postgres';
    const data = ['-D', this.#data, '-cunix_socket_directories=', '-clisten_addresses=127.0.0.1', `-cport=${this.#ports.get('5432')}`];
    const loopback = name === 'redis' ? ['--bind', '127.0.0.1'] : [];
    const command = isPostgres ? [join(postgresBin(), 'postgres'), ...args, ...data] : [program!, ...args, ...loopback];
    const user = isPostgres ? postgresUser() : undefined;
    const identity = user === undefined ? {} : { uid: user.uid, gid: user.gid };
    const child = spawn(command[0]!, command.slice(1), {
      cwd: isPostgres ? this.#data : checkoutRoot,
      env: this.#environment(name),
      stdio: ['ignore', 'pipe', 'pipe'],
      ...identity,
    });
    const log = join(this.#folder, `${name}.log`);
    writeFileSync(log, '', { mode: 0o600 });
    const keep = (chunk: Buffer) => appendFileSync(log, chunk);
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    return child;
  }

  get #data(): string {
    return join(this.#root('postgres'), 'var', 'lib', 'postgresql', '18');
  }

  /** What the image of PostgreSQL does before its first start. */
  #initialisePostgres(): void {
    const env = this.#environment('postgres');
    const user = postgresUser();
    mkdirSync(this.#data, { mode: 0o700 });
    if (user !== undefined) chownSync(this.#data, user.uid, user.gid);
    const options = [...env['POSTGRES_INITDB_ARGS']!.split(' '), `--pgdata=${this.#data}`, `--pwfile=${env['POSTGRES_PASSWORD_FILE']}`];
    const identity = user === undefined ? {} : { uid: user.uid, gid: user.gid };
    execFileSync(join(postgresBin(), 'initdb'), [...options, '--username=postgres'], { env, cwd: this.#data, stdio: 'pipe', ...identity });
  }

  #postgresAnswers(): boolean {
    return /database system is ready to accept connections/.test(this.log('postgres'));
  }

  #root(name: string): string {
    return join(this.#folder, 'root', name);
  }

  /** Volumes lie where the set-up makes them; everything else comes from the folder of files. */
  #mount(name: string): void {
    for (const volume of this.services[name]!.volumes) {
      const [source, target] = volume.split(':') as [string, string];
      const isNested = name === 'set-up' && target.startsWith('/out/');
      if (isNested) continue;
      const link = join(this.#root(name), target);
      mkdirSync(dirname(link), { recursive: true, mode: 0o711 });
      symlinkSync(this.#sourceOf(source), link);
    }
  }

  #sourceOf(source: string): string {
    if (source.startsWith('/')) return join(this.#folder, 'files', source.split('/deploy/files')[1]!);
    const path = join(this.#folder, 'files', source);
    if (source === 'postgres') return this.#postgresVolume();
    return path;
  }

  #postgresVolume(): string {
    const path = join(this.#folder, 'postgres-data');
    mkdirSync(path, { mode: 0o711 });
    return path;
  }

  #environment(name: string): Record<string, string> {
    const own = Object.entries(this.services[name]!.environment).flatMap(([key, value]) =>
      value === null ? [] : [[key, this.#translated(name, [value])[0]!] as const],
    );
    const [uid, user] = [String(process.getuid!()), postgresUser()];
    return {
      ...(name === 'redis' && this.#redis!.env),
      PATH: `${dirname(process.execPath)}:${this.#redis!.folder}:/usr/bin:/bin`,
      ...(name === 'set-up' && { KEYWARD_UID: uid, REDIS_UID: uid, POSTGRES_UID: String(user?.uid ?? uid) }),
      ...Object.fromEntries(own),
    };
  }

  #translated(name: string, texts: readonly string[]): string[] {
    return texts.map((text) => {
      if (text === '/keyward/deploy/softhsm2.conf') return this.#softHsmConfig(name);
      if (text.endsWith('/libsofthsm2.so')) return this.#module;
      const here = text
        .replace(/^\/keyward(?=\/)/, checkoutRoot)
        .replaceAll(INSIDE, (path) => join(this.#root(name), path))
        .replaceAll(HOSTS, (host) => (host === '0.0.0.0' ? '127.0.0.1' : 'localhost'));
      return PORTS.reduce((so, port) => so.replaceAll(new RegExp(`(?<![\\w.])${port}\\b`, 'g'), String(this.#ports.get(port))), here);
    });
  }

  #softHsmConfig(name: string): string {
    const file = join(this.#folder, `softhsm2-${name}.conf`);
    const [text] = this.#translated(name, [readFileSync(join(checkoutRoot, 'deploy', 'softhsm2.conf'), 'utf8')]);
    writeFileSync(file, text!, { mode: 0o600 });
    return file;
  }
}
