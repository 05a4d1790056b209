import { existsSync, globSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unpackedPackages } from '#runtime';

const INSTALLED = '/usr/lib/*/faketime/libfaketimeMT.so.1';

/** Why there is no libfaketime on this machine; undefined where there is, or Debian has it. */
export const fakeTimeIsMissing: string | undefined =
  globSync(INSTALLED).length > 0 || existsSync('/usr/bin/dpkg-deb') ? undefined : 'libfaketime is not installed, and this is no Debian';

/** libfaketime, installed or unpacked from Debian's package; undefined where there is neither. */
export async function fakeTimeLibrary(): Promise<string | undefined> {
  const [installed] = globSync(INSTALLED);
  if (installed !== undefined || !existsSync('/usr/bin/dpkg-deb')) return installed;
  const root = await unpackedPackages('faketime', ['libfaketime']);
  return globSync(join(root, INSTALLED))[0];
}

/** The wall clock of one process: right, until it is stepped. Its monotonic clock stays as it is, as on a machine whose time is set. */
export class FakeClock {
  readonly #file: string;

  constructor(
    folder: string,
    name: string,
    private readonly library: string,
  ) {
    this.#file = join(folder, `${name}.clock`);
    this.step(0);
  }

  get env(): Readonly<Record<string, string>> {
    return {
      LD_PRELOAD: this.library,
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      // Else every killed process leaves a file in /dev/shm.
      FAKETIME_DISABLE_SHM: '1',
    };
  }

  /** Seconds from the real time, seen within a second. */
  step(seconds: number): void {
    writeFileSync(`${this.#file}.next`, `${seconds < 0 ? '' : '+'}${seconds}\n`);
    renameSync(`${this.#file}.next`, this.#file);
  }
}
