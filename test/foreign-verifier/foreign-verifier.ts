import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { checkoutPath } from '#runtime';

const DEBIAN_GOPATH = '/usr/share/gocode';
const LIBRARY = join(DEBIAN_GOPATH, 'src', 'golang.org', 'x', 'mod', 'sumdb', 'tlog', 'tlog.go');
const INSTALL = 'apt-get update && apt-get install -y --no-install-recommends golang-go golang-golang-x-mod-dev';

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

  /** @throws Error where Go or its library is missing and cannot be installed: a verifier that nobody ran would prove nothing */
  constructor() {
    requireGo();
    const env = {
      ...environment(),
      GO111MODULE: 'off',
      GOPATH: `${this.#folder}/go:${DEBIAN_GOPATH}`,
      GOCACHE: join(this.#folder, 'cache'),
    };
    const { status, stderr } = spawnSync('go', ['build', '-o', this.#program, checkoutPath('test', 'foreign-verifier', 'main.go')], {
      env,
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`The foreign verifier does not compile: ${stderr}`);
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

function requireGo(): void {
  if (isThere()) return;
  const canInstall = process.getuid?.() === 0 && answers('apt-get', '--version');
  if (canInstall)
    spawnSync('sh', ['-c', INSTALL], { stdio: ['ignore', 2, 2], env: { ...environment(), DEBIAN_FRONTEND: 'noninteractive' } });
  if (!isThere()) throw new Error(`Go and golang.org/x/mod are needed for the foreign verifier; as root on Debian: ${INSTALL}`);
}

const isThere = () => answers('go', 'version') && existsSync(LIBRARY);
const answers = (program: string, argument: string) => spawnSync(program, [argument], { stdio: 'ignore', env: environment() }).status === 0;
const environment = () => ({ PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/go/bin', HOME: tmpdir() });
