import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type NetConnectOpts, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { builtProgram, type Platform } from '#runtime';
import { freePort } from '../../libs/runtime/embedded/free-port.js';
import { answersReady } from '../../libs/runtime/embedded/readiness.js';
import { childrenOf } from '../faults/children-of.js';
import type { Answer } from '../stories/api.js';
import { asSuperuser } from '../stories/signed.js';

/** Who dies, at which of the pieces that pass between the key plane and the database or the custodian; for the custodian its own count. */
export interface Kill {
  readonly victim: 'key-plane' | 'custodian';
  readonly piece: number;
}

/** Passes pieces on; at the one that is waited for, `onPiece` says that it does not arrive. */
class Relay {
  /** Of the connections that it made, if these are over TCP. */
  ports = new Set<number>();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(to: NetConnectOpts, onPiece: () => boolean) {
    this.#server = createServer((near) => {
      const far = connect(to, () => this.ports.add(far.localPort ?? 0));
      const pass = (from: Socket, into: Socket) => {
        this.#sockets.add(from);
        from.on('data', (piece) => void (onPiece() && into.write(piece)));
        from.on('error', () => undefined);
        from.on('close', () => {
          this.#sockets.delete(from);
          into.destroy();
        });
      };
      pass(near, far);
      pass(far, near);
    });
  }

  async listen(at: { readonly port: number; readonly host: string } | { readonly path: string }): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(at, resolve));
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

/** One more key plane of a platform, started as its own is, which dies where it is told and comes back by itself. */
class Replica {
  #child: ChildProcess | undefined;
  #kill: (Kill & { left: number }) | undefined;
  #wanted = true;
  readonly #folder = mkdtempSync(join(tmpdir(), 'kw-kill-'));
  readonly #relays: Relay[] = [];

  private constructor(
    private readonly platform: Platform,
    private readonly port: number,
  ) {}

  static async start(platform: Platform): Promise<Replica> {
    const replica = new Replica(platform, await freePort());
    await replica.#start();
    return replica;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async ready(): Promise<void> {
    while (!(await answersReady(this.url))) await sleep(20);
  }

  arm(kill: Kill | undefined): void {
    this.#kill = kill && { ...kill, left: kill.piece };
  }

  get hasKilled(): boolean {
    return this.#kill !== undefined && this.#kill.left < 0;
  }

  /** What was sent to the database before it died has had its effect, or will have none. */
  async settled(): Promise<void> {
    this.#child?.kill('SIGKILL');
    const ports = this.#relays.flatMap((relay) => [...relay.ports]);
    for (const relay of this.#relays) relay.ports = new Set();
    const text = 'SELECT count(*)::int AS left FROM pg_stat_activity WHERE client_port = ANY($1)';
    await asSuperuser(this.platform.superuserUrl, async (client) => {
      while ((await client.query<{ left: number }>(text, [ports])).rows[0]?.left !== 0) await sleep(5);
    });
  }

  stop(): void {
    this.#wanted = false;
    this.#child?.kill('SIGKILL');
    for (const relay of this.#relays) relay.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #start(): Promise<void> {
    const env = environmentOf(this.platform.processes.get('key-plane')!.pid!);
    const [database, databasePort] = [new URL(env['KEYWARD_DATABASE_URL']!), await freePort()];
    const own = { host: '127.0.0.1', port: databasePort };
    await this.#relay({ host: database.hostname, port: Number(database.port) }, 'key-plane', own);
    mkdirSync(join(this.#folder, 'key'), { mode: 0o700 });
    const socket = join('key', 'key.sock');
    await this.#relay({ path: join(env['KEYWARD_SOCKET_DIR']!, socket) }, 'custodian', { path: join(this.#folder, socket) });
    Object.assign(database, { hostname: own.host, port: String(databasePort) });
    this.#spawn({
      ...env,
      KEYWARD_LISTEN: `127.0.0.1:${this.port}`,
      KEYWARD_DATABASE_URL: database.href,
      KEYWARD_SOCKET_DIR: this.#folder,
    });
  }

  async #relay(to: NetConnectOpts, between: Kill['victim'], at: Parameters<Relay['listen']>[0]): Promise<void> {
    const relay = new Relay(to, () => this.#passes(between));
    this.#relays.push(relay);
    await relay.listen(at);
  }

  #spawn(env: NodeJS.ProcessEnv): void {
    if (!this.#wanted) return;
    this.#child = spawn(process.execPath, ['--disable-sigusr1', builtProgram('key-plane', 'main.js')], { env, stdio: 'ignore' });
    this.#child.once('close', () => this.#spawn(env));
  }

  /** Every second piece that kills still arrives: its effect is there, and what would have been told of it is lost. */
  #passes(between: Kill['victim']): boolean {
    const kill = this.#kill;
    if (kill === undefined || (kill.victim === 'custodian' && between === 'key-plane')) return true;
    if (kill.left < 0) return kill.victim === 'custodian';
    kill.left -= 1;
    if (kill.left >= 0) return true;
    if (kill.victim === 'key-plane') this.#child?.kill('SIGKILL');
    else killCustodian(this.platform);
    return kill.piece % 2 === 0;
  }
}

/** Key planes that are killed between any two steps of a call. */
export class KilledPlanes {
  #next = 0;
  private constructor(private readonly replicas: readonly Replica[]) {}

  static async start(platform: Platform, replicas = 2): Promise<KilledPlanes> {
    return new KilledPlanes(await Promise.all(Array.from({ length: replicas }, () => Replica.start(platform))));
  }

  /** Calls, while somebody is killed; undefined where the caller never heard. */
  async dying(kill: Kill | undefined, call: (url: string) => Promise<Answer>): Promise<{ answer: Answer | undefined; killed: boolean }> {
    const replica = this.replicas[this.#next++ % this.replicas.length]!;
    await replica.ready();
    replica.arm(kill);
    try {
      const answer = await call(replica.url).catch((error: unknown) => {
        if (!isUnheard(error)) throw error;
        return undefined;
      });
      if (answer === undefined) await replica.settled();
      return { answer, killed: replica.hasKilled };
    } finally {
      replica.arm(undefined);
    }
  }

  stop(): void {
    for (const replica of this.replicas) replica.stop();
  }
}

/** No answer came: it died, or a busy machine was too slow. By name: Jest's TypeError is another one than fetch's. */
export const isUnheard = (error: unknown): boolean => ['TypeError', 'TimeoutError'].includes((error as Error).name);

/** The process that holds the HSM; its parent brings it back. */
export function killCustodian(platform: Platform): void {
  for (const pid of childrenOf(platform.processes.get('custodian')?.pid)) process.kill(pid, 'SIGKILL');
}

function environmentOf(pid: number): NodeJS.ProcessEnv {
  const pairs = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').filter(Boolean);
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
}
