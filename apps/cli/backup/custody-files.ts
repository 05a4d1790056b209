import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { UsageError } from '../exit-codes.js';
import type { Places } from './places.js';

/** A file of an archive: its path begins with `token/` or `state/`, or is `pepper` or `worker-key`. */
export interface CustodyFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

const STATE_FILES = ['tombstones.jsonl', 'signed-checkpoints.jsonl'] as const;
const TRIES = 50;
const BETWEEN_MS = 50;

/** What the custodian remembers, and the two keys. @throws UsageError naming what is missing */
export function readMemory({ state, pepper, workerKey }: Places): readonly CustodyFile[] {
  return [
    ...STATE_FILES.map((name) => ({ path: `state/${name}`, bytes: completeLines(bytesOf(join(state, name))) })),
    { path: 'pepper', bytes: bytesOf(pepper) },
    { path: 'worker-key', bytes: bytesOf(workerKey) },
  ];
}

/**
 * The token's files as of one instant: they are read until two rounds see the same. SoftHSM writes them in place, so one round could see
 * half an object. Its objects are encrypted under the PIN. @throws UsageError where there is none, or where it is never quiet
 */
export async function readToken(folder: string): Promise<readonly CustodyFile[]> {
  let before = filesIn(folder);
  if (before.length === 0)
    throw new UsageError(`${folder} holds no token (--token FOLDER, or --no-token for an HSM with a backup of its own).`);
  for (let tries = 0; tries < TRIES; tries++) {
    await sleep(BETWEEN_MS);
    const now = filesIn(folder);
    if (isSame(before, now)) return now.map(({ path, bytes }) => ({ path: `token/${path}`, bytes }));
    before = now;
  }
  throw new UsageError(`${folder} changes all the time; try again when fewer tenants are onboarded.`);
}

/** Writes one file of an archive to its place, for its owner alone. */
export function writeCustodyFile({ token, state, pepper, workerKey }: Places, { path, bytes }: CustodyFile): void {
  const [first, ...rest] = path.split('/');
  const target =
    first === 'token' && token !== undefined && rest.length > 0
      ? join(token, ...rest)
      : first === 'state' && STATE_FILES.some((name) => path === `state/${name}`)
        ? join(state, ...rest)
        : { pepper, 'worker-key': workerKey }[path];
  if (target === undefined) throw new UsageError(`The archive has a file "${path}" that has no place here.`);
  mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
  writeFileSync(target, bytes, { mode: 0o600, flag: 'wx', flush: true });
}

function filesIn(folder: string): readonly CustodyFile[] {
  const entries = existsSync(folder) ? readdirSync(folder, { recursive: true, withFileTypes: true }) : [];
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  // One that goes away meanwhile is not in the next round either.
  return paths.sort().flatMap((path) => (existsSync(path) ? [{ path: relative(folder, path), bytes: readFileSync(path) }] : []));
}

const isSame = (some: readonly CustodyFile[], others: readonly CustodyFile[]): boolean =>
  some.length === others.length &&
  some.every(({ path, bytes }, at) => path === others[at]!.path && Buffer.from(bytes).equals(others[at]!.bytes));

/** Half a line was never answered for. */
export const completeLines = (bytes: Buffer): Buffer => bytes.subarray(0, bytes.lastIndexOf(10) + 1);

function bytesOf(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch {
    throw new UsageError(`${file} cannot be read.`);
  }
}
