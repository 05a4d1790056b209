import { lstatSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../exit-codes.js';

/** Whoever may enter for others could read. */
const OTHERS = 0o077;

/** A folder that only its owner may enter, for files that hold secrets. */
export class SecretFolder {
  /** @throws UsageError for a folder that others may enter, or that is none */
  constructor(readonly path: string) {
    try {
      mkdirSync(path, { recursive: true, mode: 0o700 });
    } catch {
      throw new UsageError(`${path} cannot be made.`);
    }
    const { mode, uid } = lstatSync(path);
    const isOwn = uid === process.getuid?.();
    if (!isOwn || (mode & OTHERS) !== 0) throw new UsageError(`${path} must be yours, and nobody else's to enter: chmod 700.`);
  }

  /** Replaces the file as a whole, if it differs; nobody ever sees half of it. Answers whether it differed. */
  write(name: string, value: Uint8Array): boolean {
    const file = join(this.path, name);
    if (this.#holds(file, value)) return false;
    const half = `${file}.half-${process.pid}`;
    try {
      writeFileSync(half, value, { mode: 0o600, flag: 'wx', flush: true });
      renameSync(half, file);
    } finally {
      rmSync(half, { force: true });
    }
    return true;
  }

  remove(names: readonly string[]): void {
    for (const name of names) rmSync(join(this.path, name), { force: true });
  }

  #holds(file: string, value: Uint8Array): boolean {
    try {
      const there = readFileSync(file);
      const same = there.equals(value);
      there.fill(0);
      return same;
    } catch {
      return false;
    }
  }
}
