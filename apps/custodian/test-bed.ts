/** A custodian on SoftHSM for tests: real processes, a token of its own, everything in a temporary folder. */
import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SocketCustody } from '#custody/socket';
import type { Plane } from '#custody/socket';

/** What SoftHSM 2.6.1 says to what it cannot do: it makes such a pair, and does not wrap it. */
export const SOFTHSM_LACKS = { ED25519: 'C_WrapKey: CKR_KEY_NOT_WRAPPABLE (0x69)' } as const;

const INSTALLED = ['/usr/lib/softhsm/libsofthsm2.so', '/usr/local/lib/softhsm/libsofthsm2.so', '/opt/homebrew/lib/softhsm/libsofthsm2.so'];
/** Fewer mechanisms are a smaller attack surface, and 15 % faster: SoftHSM copies the list at each operation. */
export const MECHANISMS = [
  ...['CKM_AES_KEY_GEN', 'CKM_AES_GCM', 'CKM_AES_KEY_WRAP', 'CKM_AES_KEY_WRAP_PAD', 'CKM_GENERIC_SECRET_KEY_GEN', 'CKM_SHA256_HMAC'],
  ...['CKM_SHA384_HMAC', 'CKM_SHA512_HMAC'],
  ...['CKM_EC_EDWARDS_KEY_PAIR_GEN', 'CKM_EDDSA', 'CKM_EC_KEY_PAIR_GEN', 'CKM_ECDSA'],
  ...['CKM_RSA_PKCS_KEY_PAIR_GEN', 'CKM_RSA_PKCS', 'CKM_RSA_PKCS_PSS', 'CKM_RSA_PKCS_OAEP', 'CKM_RSA_X_509', 'CKM_AES_CMAC'],
];
const PATIENCE_MS = 15_000;

/** SoftHSM's module: named by KEYWARD_TEST_SOFTHSM, installed, or unpacked from Debian's package into the temporary folder. */
export function softhsmModule(): string {
  const known = [process.env.KEYWARD_TEST_SOFTHSM ?? '', ...INSTALLED].find((path) => path !== '' && existsSync(path));
  return known ?? unpackedModule(join(tmpdir(), 'keyward-softhsm'));
}

function unpackedModule(folder: string): string {
  const path = join(folder, 'usr/lib/softhsm/libsofthsm2.so');
  if (existsSync(path)) return path;
  const download = mkdtempSync(join(tmpdir(), 'keyward-deb-'));
  execFileSync('apt-get', ['download', 'libsofthsm2'], { cwd: download, stdio: 'ignore' });
  const deb = readdirSync(download).find((name) => name.endsWith('.deb')) ?? '';
  execFileSync('dpkg', ['-x', join(download, deb), folder], { stdio: 'ignore' });
  rmSync(download, { recursive: true });
  return path;
}

/** A folder with a fresh token. */
export class TestToken {
  readonly folder = mkdtempSync(join(tmpdir(), 'kw-'));
  readonly env: NodeJS.ProcessEnv;

  constructor(settings: NodeJS.ProcessEnv = {}, mechanisms: readonly string[] = MECHANISMS) {
    mkdirSync(join(this.folder, 'tokens'));
    const lines = [
      `directories.tokendir = ${this.path('tokens')}`,
      'objectstore.backend = file',
      'log.level = ERROR',
      `slots.mechanisms = ${mechanisms.join(',')}`,
    ];
    writeFileSync(this.path('softhsm2.conf'), `${lines.join('\n')}\n`);
    this.env = {
      ...process.env,
      SOFTHSM2_CONF: this.path('softhsm2.conf'),
      KEYWARD_HSM_MODULE: softhsmModule(),
      KEYWARD_HSM_TOKEN: 'keyward-test',
      KEYWARD_HSM_PIN_FILE: this.path('pin'),
      KEYWARD_HSM_SO_PIN_FILE: this.path('so-pin'),
      KEYWARD_SOCKET_DIR: this.path('s'),
      KEYWARD_CUSTODIAN_STATE_DIR: this.path('state'),
      ...settings,
    };
    this.initialise();
  }

  /** Runs init-token; may be repeated. Answers its log. */
  initialise(): string {
    return execFileSync(process.execPath, [program('init-token')], { env: this.env, encoding: 'utf8' });
  }

  /** The same token for a second custodian, with sockets and files of its own. */
  elsewhere(): TestToken {
    const env = { ...this.env, KEYWARD_SOCKET_DIR: this.path('e'), KEYWARD_CUSTODIAN_STATE_DIR: this.path('elsewhere') };
    return Object.assign(Object.create(TestToken.prototype) as TestToken, { folder: this.folder, env });
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  socket(plane: Plane): string {
    return join(this.env['KEYWARD_SOCKET_DIR'] ?? '', `${plane}/${plane}.sock`);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The custodian's two processes. */
export class TestCustodian {
  log = '';
  readonly #parent: ChildProcess;
  readonly #clients: SocketCustody[] = [];
  readonly ended: Promise<number | null>;

  constructor(readonly token: TestToken) {
    this.#parent = spawn(process.execPath, ['--disable-sigusr1', program('main')], {
      env: token.env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#parent.stdout?.on('data', (chunk: Buffer) => {
      this.log += chunk.toString();
    });
    this.ended = new Promise((resolve) => this.#parent.once('close', (code) => resolve(code)));
  }

  /** Starts one and waits until it serves. */
  static async started(token: TestToken): Promise<TestCustodian> {
    const custodian = new TestCustodian(token);
    await custodian.logs((line) => line.name === 'custodian-parent' && line.msg === 'ready');
    return custodian;
  }

  async connect(plane: Plane, timeoutMs = 2000): Promise<SocketCustody> {
    const client = new SocketCustody({ socketPath: this.token.socket(plane), timeoutMs });
    this.#clients.push(client);
    await client.connect();
    return client;
  }

  /** The process with the PKCS#11 module. */
  get childPid(): number {
    const pid = readFileSync(`/proc/${this.#parent.pid}/task/${this.#parent.pid}/children`, 'utf8').trim();
    return Number(pid);
  }

  /** Waits for a log line. */
  async logs(wanted: (line: Record<string, unknown>) => boolean): Promise<void> {
    await eventually(async () => this.lines().some(wanted));
  }

  lines(): readonly Record<string, unknown>[] {
    return this.log
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  }

  /** Kills the parent alone. */
  kill(): void {
    this.#parent.kill('SIGKILL');
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) await client.close();
    this.#parent.kill('SIGTERM');
    await this.ended;
  }
}

/** Tries until it is true. @throws Error after 15 s. */
export async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await sleep(20)) if (await isSo()) return;
  throw new Error('It did not happen in 15 seconds.');
}

/** Built programs: the child must be a process of its own, and start as it does in production. */
function program(name: string): string {
  const path = join(process.cwd(), 'dist/apps/custodian', `${name}.js`);
  if (!existsSync(path)) throw new Error(`${path} is missing: build first.`);
  return path;
}
