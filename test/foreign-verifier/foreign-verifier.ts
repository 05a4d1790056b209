import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { checkoutPath, unpackedPackages } from '#runtime';

const LIBRARY = join('src', 'golang.org', 'x', 'mod', 'sumdb', 'tlog', 'tlog.go');
const INSTALL = 'apt-get update && apt-get install -y --no-install-recommends golang-go golang-golang-x-mod-dev';
/** Debian 12's, for who may not install: what `golang-go` stands for there, and the library. */
const PACKAGES = ['golang-1.19-go', 'golang-1.19-src', 'golang-golang-x-mod-dev'];

/** Where the compiler and golang.org/x/mod are. */
interface Go {
  readonly program: string;
  readonly path: string;
  readonly root?: string;
}

/** A log as files by their path: `checkpoint`, `tile/…`. */
export type LogFiles = ReadonlyMap<string, Uint8Array>;

export interface Verdict {
  /** 0: it stands; 6: it does not. */
  readonly exit: number;
  readonly said: string;
}

/** The verifier in Go (main.go), compiled once. */
export class ForeignVerifier {
  readonly #folder = mkdtempSync(join(tmpdir(), 'kw-go-'));
  readonly #program = join(this.#folder, 'foreign-verifier');

  private constructor(go: Go) {
    const env = {
      ...environment(),
      ...(go.root !== undefined && { GOROOT: go.root }),
      GO111MODULE: 'off',
      GOPATH: `${this.#folder}/go:${go.path}`,
      GOCACHE: join(this.#folder, 'cache'),
    };
    const build = ['build', '-o', this.#program, checkoutPath('test', 'foreign-verifier', 'main.go')];
    const { status, stderr } = spawnSync(go.program, build, { env, encoding: 'utf8' });
    if (status !== 0) throw new Error(`The foreign verifier does not compile: ${stderr}`);
  }

  /** @throws Error where Go or its library cannot be had: a verifier that nobody ran would prove nothing */
  static async compiled(): Promise<ForeignVerifier> {
    return new ForeignVerifier(installed() ?? (await fetched()));
  }

  /** Writes the files to a folder and has them verified; `kept` is a checkpoint from earlier. */
  verify(vkey: string, files: LogFiles, kept?: string): Verdict {
    const folder = mkdtempSync(join(this.#folder, 'log-'));
    for (const [path, bytes] of files) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), bytes);
    }
    if (kept !== undefined) writeFileSync(join(folder, 'kept'), kept);
    const verdict = this.verifyFolder(vkey, folder, ...(kept === undefined ? [] : [join(folder, 'kept')]));
    rmSync(folder, { recursive: true });
    return verdict;
  }

  verifyFolder(vkey: string, folder: string, ...kept: readonly string[]): Verdict {
    const { status, stdout } = spawnSync(this.#program, [vkey, folder, ...kept], { encoding: 'utf8' });
    return { exit: status ?? -1, said: stdout.trim() };
  }

  remove(): void {
    // Go writes its module and build caches read-only.
    spawnSync('chmod', ['-R', 'u+w', this.#folder]);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

const SYSTEM: Go = { program: 'go', path: '/usr/share/gocode' };
const installed = (): Go | undefined => (answers('go', 'version') && existsSync(join(SYSTEM.path, LIBRARY)) ? SYSTEM : undefined);

/** As root it is installed, for all; else it is unpacked into the cache. */
async function fetched(): Promise<Go> {
  const env = { ...environment(), DEBIAN_FRONTEND: 'noninteractive' };
  if (process.getuid?.() === 0) spawnSync('sh', ['-c', INSTALL], { stdio: ['ignore', 2, 2], env });
  const found = installed();
  if (found !== undefined) return found;
  const folder = await unpackedPackages('go', PACKAGES).catch((cause: unknown) => {
    throw new Error(`Go and golang.org/x/mod are needed for the foreign verifier; as root on Debian: ${INSTALL}`, { cause });
  });
  const root = join(folder, 'usr', 'lib', 'go-1.19');
  return { program: join(root, 'bin', 'go'), path: join(folder, 'usr', 'share', 'gocode'), root };
}

const answers = (program: string, argument: string) => spawnSync(program, [argument], { stdio: 'ignore', env: environment() }).status === 0;
const environment = () => ({ PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/go/bin', HOME: tmpdir() });
