import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOM = '4g';
/** Nobody writes less at once. */
const LEFT_BYTES = 64 * 1024;

/** A folder on a tmpfs of its own, which can be full without a byte that filled it. Only root may have one. */
export class SmallDisk {
  private constructor(readonly path: string) {}

  /** Undefined where nothing may be mounted. */
  static mounted(prefix: string): SmallDisk | undefined {
    const path = mkdtempSync(join(tmpdir(), prefix));
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${ROOM}`, 'keyward-test', path]).status === 0) {
      chmodSync(path, 0o711);
      return new SmallDisk(path);
    }
    rmSync(path, { recursive: true });
    return undefined;
  }

  /** No more room than is taken. */
  fill(): void {
    const { blocks, bfree, bsize } = statfsSync(this.path);
    this.#resize(String((blocks - bfree) * bsize + LEFT_BYTES));
  }

  clear(): void {
    this.#resize(ROOM);
  }

  remove(): void {
    spawnSync('umount', ['-l', this.path]);
    rmSync(this.path, { recursive: true, force: true });
  }

  #resize(size: string): void {
    const { status, stderr } = spawnSync('mount', ['-o', `remount,size=${size}`, this.path], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`The disk stays as it is: ${stderr.trim()}`);
  }
}
