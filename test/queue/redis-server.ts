import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { inheritedEnvironment } from '#runtime';
import { freePort } from '../../libs/runtime/embedded/free-port.js';
import { unpackedPackages } from '../../libs/runtime/embedded/debian-packages.js';

const INSTALLED = ['/usr/bin/redis-server', '/usr/local/bin/redis-server', '/opt/homebrew/bin/redis-server'];
const PACKAGES = ['redis-server', 'redis-tools', 'libjemalloc2', 'liblzf1', 'libatomic1'];

/** Why there is no Redis on this machine; undefined where there is, or Debian has it. */
export const redisIsMissing: string | undefined =
  INSTALLED.some((path) => existsSync(path)) || existsSync('/usr/bin/dpkg-deb')
    ? undefined
    : 'redis-server is not installed, and this is no Debian';

/** Where Redis's programs are, and the environment that they need. */
export interface RedisPrograms {
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Installed, or unpacked from Debian's packages. */
export async function redisPrograms(): Promise<RedisPrograms> {
  const installed = INSTALLED.find((path) => existsSync(path));
  if (installed !== undefined) return { folder: dirname(installed), env: inheritedEnvironment() };
  const root = await unpackedPackages('redis', PACKAGES);
  const [library = ''] = globSync(join(root, 'usr/lib/*/liblzf.so.1'));
  return { folder: join(root, 'usr/bin'), env: { ...inheritedEnvironment(), LD_LIBRARY_PATH: dirname(library) } };
}

/** A Redis that keeps nothing on disk: restarted, it is empty. */
export class RedisServer {
  #child: ChildProcess | undefined;
  readonly #folder = mkdtempSync(join(tmpdir(), 'keyward-redis-'));

  private constructor(
    private readonly programs: RedisPrograms,
    readonly port: number,
    private readonly more: readonly string[],
  ) {}

  /** @param more settings, as on its command line */
  static async start(more: readonly string[] = []): Promise<RedisServer> {
    const server = new RedisServer(await redisPrograms(), await freePort(), more);
    await server.up();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}/0`;
  }

  async up(): Promise<void> {
    const settings = [
      '--port',
      String(this.port),
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--rdbcompression',
      'no',
      '--appendonly',
      'no',
      '--maxmemory-policy',
      'noeviction',
      ...this.more,
    ];
    this.#child = spawn(join(this.programs.folder, 'redis-server'), settings, {
      cwd: this.#folder,
      env: this.programs.env,
      stdio: 'ignore',
    });
    while (!(await this.#answers())) if (this.#child.exitCode !== null) throw new Error('Redis ended before it answered.');
  }

  async flush(): Promise<void> {
    await this.#cli('FLUSHALL');
  }

  /** All that it holds, as it would write it to its disk. */
  async dump(): Promise<Buffer> {
    await this.#cli('SAVE');
    return readFileSync(join(this.#folder, 'dump.rdb'));
  }

  async put(name: string, value: string): Promise<void> {
    await this.#cli('SET', name, value);
  }

  /** As by kill -9. */
  async down(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  async stop(): Promise<void> {
    await this.down();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #answers(): Promise<boolean> {
    return await this.#cli('PING').then(
      (answer) => answer.trim() === 'PONG',
      () => false,
    );
  }

  async #cli(...command: readonly string[]): Promise<string> {
    const answered = await promisify(execFile)(join(this.programs.folder, 'redis-cli'), ['-p', String(this.port), ...command], {
      env: this.programs.env,
    });
    return answered.stdout;
  }
}
