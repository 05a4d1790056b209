import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, existsSync, lstatSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { ConfigurationError } from '../config.js';
import { checkoutRoot } from '../paths.js';
import { runsAsRoot } from './as-user.js';

/** Folders of one embedded platform. Absolute paths; they exist once `openDataDir` has returned. */
export interface DataDir {
  readonly root: string;
  readonly postgres: string;
  readonly hsm: string;
  readonly custodian: string;
  readonly logs: string;
  /** Holds one folder per plane with its socket; elsewhere when `root` is too long for a Unix socket path. */
  readonly sockets: string;
  readonly file: (name: string) => string;
}

/** sun_path is 108 bytes on Linux and 104 on macOS with its closing zero; `/9/worker/worker.sock` follows the directory. */
const SOCKET_DIR_LIMIT = 78;

/** Where embedded platforms of this checkout live: beside the code, or under /var/lib as root where the code's folder lets nobody else in. */
export function stateRoot(): string {
  const beside = join(checkoutRoot, '.keyward');
  if (!runsAsRoot || othersCanEnter(existsSync(beside) ? beside : checkoutRoot)) return beside;
  return join('/var/lib/keyward', shortHash(checkoutRoot));
}

/** Downloads and copies that outlive any one platform, by version. */
export function cacheDir(...parts: readonly string[]): string {
  return join(stateRoot(), 'cache', ...parts);
}

/** The data directory of `npm start` unless KEYWARD_DATA_DIR names another. */
export const defaultDataDir = () => join(stateRoot(), 'platform');

/** The data directory of the demo, which empties it before every run. */
export const demoDataDir = () => join(stateRoot(), 'demo');

/**
 * Creates what is missing of a data directory. As root its folders let others pass but not look, because PostgreSQL
 * runs as a system user; every file with a secret is 0600 in either case.
 * @throws ConfigurationError when PostgreSQL's system user could not get there
 */
export function openDataDir(path: string): DataDir {
  const root = resolve(path);
  makeFolder(root, runsAsRoot ? 0o711 : 0o700);
  if (runsAsRoot && !othersCanEnter(root)) {
    throw new ConfigurationError(`KEYWARD_DATA_DIR: as root, choose a directory that other users may enter; they cannot enter ${root}.`);
  }
  const folder = (name: string) => makeFolder(join(root, name), 0o700);
  return {
    root,
    postgres: join(root, 'postgres'),
    hsm: folder('hsm'),
    custodian: folder('custodian'),
    logs: folder('logs'),
    sockets: socketDir(root),
    file: (name) => join(root, name),
  };
}

/** Removes a data directory with everything in it, and the socket folder that may lie elsewhere. */
export function removeDataDir(path: string): void {
  const root = resolve(path);
  rmSync(root, { recursive: true, force: true });
  rmSync(shortSocketDir(root), { recursive: true, force: true });
}

/** Creates a folder with exactly this mode, whatever the umask; folders above it may be entered by others when root makes them. */
export function makeFolder(path: string, mode: number): string {
  const above = dirname(path);
  if (statSync(above, { throwIfNoEntry: false }) === undefined) makeFolder(above, runsAsRoot ? 0o755 : 0o700);
  mkdirSync(path, { recursive: true });
  chmodSync(path, mode);
  return path;
}

function socketDir(root: string): string {
  const inside = join(root, 'sockets');
  const path = Buffer.byteLength(inside) <= SOCKET_DIR_LIMIT ? inside : shortSocketDir(root);
  refuseForeignFolder(path);
  makeFolder(path, 0o700);
  for (const plane of ['key', 'data', 'worker']) makeFolder(join(path, plane), 0o700);
  return path;
}

/** The short path lies in a folder that everybody may write to: somebody else could have put a folder or a link there first. */
function refuseForeignFolder(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isDirectory() || found.uid !== process.getuid?.()) throw new Error(`${path} belongs to somebody else.`);
}

function shortSocketDir(root: string): string {
  const temporary = tmpdir().length <= 40 ? tmpdir() : '/tmp';
  return join(temporary, `kw-${shortHash(root)}`);
}

/** True if every folder from the file system's root down to `path` may be entered by any user. */
export function othersCanEnter(path: string): boolean {
  if ((statSync(path).mode & 0o001) === 0) return false;
  return dirname(path) === path || othersCanEnter(dirname(path));
}

const shortHash = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 12);

/** A password for a database role or a PIN: 192 random bits, safe in URLs and on command lines. */
export const randomPassword = () => randomBytes(24).toString('base64url');
