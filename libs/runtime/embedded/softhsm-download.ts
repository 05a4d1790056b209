import { execFile } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { inheritedEnvironment } from '../config.js';
import { runsAsRoot } from './as-user.js';
import { cacheDir, makeFolder } from './data-dir.js';

const run = promisify(execFile);
const PACKAGE = 'libsofthsm2';
const APT_TIMEOUT_MS = 180_000;

/**
 * Unpacks Debian's package into the cache, as root or not: nothing is installed into the system, and apt checks the
 * package's signature as ever. A second call finds the first one's result.
 * @returns path of libsofthsm2.so
 * @throws Error with the command to run, where apt is missing or fails
 */
export async function downloadSoftHsm(): Promise<string> {
  const cache = makeFolder(cacheDir('softhsm'), 0o755);
  const cached = findModule(cache);
  if (cached !== undefined) return cached;
  const workplace = mkdtempSync(join(cache, 'new-'));
  try {
    await fetchPackage(workplace);
    const unpacked = await unpack(workplace);
    const version = join(cache, unpacked.version);
    // Somebody else may have finished first; the content is the same.
    if (!existsSync(version)) renameSync(unpacked.folder, version);
  } catch (cause) {
    throw new Error(`SoftHSM is not installed and cannot be fetched; run as root: ${installCommand()}`, { cause });
  } finally {
    rmSync(workplace, { recursive: true, force: true });
  }
  const fetched = findModule(cache);
  if (fetched === undefined) throw new Error(`The package ${PACKAGE} holds no library; run as root: ${installCommand()}`);
  return fetched;
}

const installCommand = () => (process.platform === 'darwin' ? 'brew install softhsm (as yourself)' : 'apt-get install -y softhsm2');

function findModule(cache: string): string | undefined {
  return globSync('[0-9]*/usr/lib/**/libsofthsm2.so', { cwd: cache }).map((found) => join(cache, found))[0];
}

/** The system's package lists may be absent (a fresh container) or stale; then we fetch our own, which needs no root. */
async function fetchPackage(workplace: string): Promise<void> {
  try {
    await apt(workplace, ['download', PACKAGE]);
  } catch {
    const lists = runsAsRoot ? [] : privateLists(workplace);
    await apt(workplace, [...lists, 'update']);
    await apt(workplace, [...lists, 'download', PACKAGE]);
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

async function unpack(workplace: string): Promise<{ version: string; folder: string }> {
  const [archive] = globSync(`${PACKAGE}_*.deb`, { cwd: workplace });
  if (archive === undefined) throw new Error('apt-get left no package behind.');
  const folder = join(workplace, 'unpacked');
  await run('dpkg-deb', ['-x', archive, folder], { cwd: workplace });
  return { version: archive.split('_')[1] ?? '0', folder };
}
