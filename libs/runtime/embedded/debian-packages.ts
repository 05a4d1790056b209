import { execFile } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { inheritedEnvironment } from '../config.js';
import { runsAsRoot } from './as-user.js';
import { cacheDir, makeFolder } from './data-dir.js';

const run = promisify(execFile);
const APT_TIMEOUT_MS = 180_000;

export interface Packages {
  /** With whatever they depend on and the system lacks: names of libraries differ from one Debian to the next. */
  readonly withDependencies?: boolean;
}

/**
 * Unpacks Debian packages into one folder of the cache, as root or not: nothing is installed into the system, and apt checks the packages'
 * signatures as ever. A second call finds the first one's result.
 * @param name of the folder in the cache
 * @returns the folder that stands for `/`
 * @throws Error where apt is missing or fails
 */
export async function unpackedPackages(name: string, packages: readonly string[], options: Packages = {}): Promise<string> {
  const cache = makeFolder(cacheDir(name), 0o755);
  const [cached] = globSync('[0-9]*', { cwd: cache });
  if (cached !== undefined) return join(cache, cached);
  const workplace = mkdtempSync(join(cache, 'new-'));
  try {
    await fetchPackages(workplace, packages, options);
    const unpacked = await unpack(workplace, packages);
    const version = join(cache, unpacked.version);
    // Somebody else may have finished first; the content is the same.
    if (!existsSync(version)) renameSync(unpacked.folder, version);
    return version;
  } finally {
    rmSync(workplace, { recursive: true, force: true });
  }
}

/** The system's package lists may be absent (a fresh container) or stale; then we fetch our own, which needs no root. */
async function fetchPackages(workplace: string, packages: readonly string[], { withDependencies = false }: Packages): Promise<void> {
  const download = async (lists: readonly string[]) => {
    const missing = withDependencies ? await missingPackages(workplace, lists, packages) : [];
    await apt(workplace, [...lists, 'download', ...new Set([...packages, ...missing])]);
  };
  try {
    await download([]);
  } catch {
    const lists = runsAsRoot ? [] : privateLists(workplace);
    await apt(workplace, [...lists, 'update']);
    await download(lists);
  }
}

/** What apt would install, by its simulation, which needs no root. */
async function missingPackages(workplace: string, lists: readonly string[], packages: readonly string[]): Promise<string[]> {
  const said = await apt(workplace, [...lists, '--simulate', '--no-install-recommends', 'install', ...packages]);
  return [...said.matchAll(/^Inst (\S+)/gm)].map(([, name]) => name!);
}

function privateLists(workplace: string): string[] {
  const state = makeFolder(join(workplace, 'state'), 0o700);
  const cache = makeFolder(join(workplace, 'cache'), 0o700);
  makeFolder(join(state, 'lists', 'partial'), 0o700);
  makeFolder(join(cache, 'archives', 'partial'), 0o700);
  return ['-o', `Dir::State=${state}`, '-o', 'Dir::State::status=/var/lib/dpkg/status', '-o', `Dir::Cache=${cache}`];
}

/** What it says. */
async function apt(cwd: string, args: readonly string[]): Promise<string> {
  const { stdout } = await run('apt-get', ['-q', ...args], {
    cwd,
    env: { ...inheritedEnvironment(), LC_ALL: 'C' },
    timeout: APT_TIMEOUT_MS,
  });
  return stdout;
}

/** `version`: of the first package. */
async function unpack(workplace: string, packages: readonly string[]): Promise<{ version: string; folder: string }> {
  const folder = join(workplace, 'unpacked');
  const archives = packages.map((name) => globSync(`${name}_*.deb`, { cwd: workplace })[0]);
  if (archives.includes(undefined)) throw new Error('apt-get left a package out.');
  for (const archive of globSync('*.deb', { cwd: workplace })) await run('dpkg-deb', ['-x', archive, folder], { cwd: workplace });
  return { version: basename(archives[0]!).split('_')[1] ?? '0', folder };
}
