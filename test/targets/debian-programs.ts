import { existsSync, globSync } from 'node:fs';
import { join } from 'node:path';
import { inheritedEnvironment } from '#runtime';
import { unpackedPackages } from '../../libs/runtime/embedded/debian-packages.js';

/** A server's programs, installed or from Debian's packages, unpacked into the cache. */
export interface Programs {
  /** What stands for `/`. */
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Why there are none on this machine; undefined where they are installed, or Debian has them. */
export const missing = (paths: readonly string[]): string | undefined =>
  areInstalled(paths) || existsSync('/usr/bin/dpkg-deb') ? undefined : `${paths.join(', ')} not installed, and this is no Debian`;

/** @param paths of all programs that are needed, as the packages have them */
export async function programs(paths: readonly string[], packages: readonly string[]): Promise<Programs> {
  if (areInstalled(paths)) return { root: '/', env: inheritedEnvironment() };
  const root = await unpackedPackages(packages[0]!, packages, { withDependencies: true });
  const libraries = globSync('{usr/,}lib/*-linux-gnu*', { cwd: root }).map((folder) => join(root, folder));
  return { root, env: { ...inheritedEnvironment(), LD_LIBRARY_PATH: libraries.join(':') } };
}

const areInstalled = (paths: readonly string[]): boolean => paths.every((path) => existsSync(path));
