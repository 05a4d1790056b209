import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { removeDataDir } from '#runtime';
import { UsageError } from '../exit-codes.js';

/** Empties the demo's data directory, unless another demo is playing in it. @throws UsageError */
export function emptyDataDir(path: string): void {
  const holder = holderOf(join(path, 'starter.lock'));
  if (holder !== undefined) throw new UsageError(`Process ${holder} is playing the demo already, in ${path}.`);
  removeDataDir(path);
}

function holderOf(lock: string): number | undefined {
  if (!existsSync(lock)) return undefined;
  const pid = Number(readFileSync(lock, 'utf8'));
  try {
    process.kill(pid, 0);
    return pid;
  } catch {
    return undefined; // gone, and its lock with the directory in a moment
  }
}
