import { execFile } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { inheritedEnvironment } from '../config.js';
import { runsAsRoot } from './as-user.js';
import { cacheDir, makeFolder } from './data-dir.js';

const run = promisify(execFile);
const APT_TIMEOUT_MS = 180_000;

/**
 * Unpacks Debian packages into one folder of the cache, as root or not: nothing is installed into the system, and apt checks the packages'
 * signatures as ever. A second call finds the first one's result.
 * @param name of the folder in the cache
 * @returns the folder that stands for `/`
 * @throws Error where apt is missing or fails
 */
export async function unpackedPackages(name: string, packages: readonly string[]): Promise<string> {
  const cache = makeFolder(cacheDir(name), 0o755);
  const [cached] = globSync('[0-9]*', { cwd: cache });
  if (cached !== undefined) return join(cache, cached);
  const workplace = mkdtempSync(join(cache, 'new-'));
  try {
    await fetchPackages(workplace, packages);
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
async function fetchPackages(workplace: string, packages: readonly string[]): Promise<void> {
  try {
    await apt(workplace, ['download', ...packages]);
  } catch {
    const lists = runsAsRoot ? [] : privateLists(workplace);
    await apt(workplace, [...lists, 'update']);
    await apt(workplace, [...lists, 'download', ...packages]);
  }
}

function privateLists(workplace: string): string[] {
  const state = makeFolder(join(workplace, 'state'), 0o700);
  const cache = makeFolder(join(workplace, 'cache'), 0o700);
  makeFolder(join(state, 'lists', 'partial'), 0o700);
  makeFolder(join(cache, 'archives', 'partial'), 0o700);
  return ['-o', `Dir::State=${state}`, '-o', 'Dir::State::status=/var/lib/dpkg/status', '-o', `Dir::Cache=${cache}`];
}

async function apt(cwd: string, args: readonly string[]): Promise<void> {
  await run('apt-get', ['-q', ...args], { cwd, env: inheritedEnvironment(), timeout: APT_TIMEOUT_MS });
}

/** `version`: of the first package. */
async function unpack(workplace: string, packages: readonly string[]): Promise<{ version: string; folder: string }> {
  const folder = join(workplace, 'unpacked');
  const archives = packages.map((name) => globSync(`${name}_*.deb`, { cwd: workplace })[0]);
  for (const archive of archives) {
    if (archive === undefined) throw new Error('apt-get left a package out.');
    await run('dpkg-deb', ['-x', archive, folder], { cwd: workplace });
  }
  return { version: basename(archives[0]!).split('_')[1] ?? '0', folder };
}
