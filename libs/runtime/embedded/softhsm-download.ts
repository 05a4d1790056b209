import { globSync } from 'node:fs';
import { join } from 'node:path';
import { unpackedPackages } from './debian-packages.js';

/**
 * SoftHSM from Debian's package, without installing it.
 * @returns path of libsofthsm2.so
 * @throws Error with the command to run, where apt is missing or fails
 */
export async function downloadSoftHsm(): Promise<string> {
  const root = await unpackedPackages('softhsm', ['libsofthsm2']).catch((cause: unknown) => {
    throw new Error(`SoftHSM is not installed and cannot be fetched; run as root: ${installCommand()}`, { cause });
  });
  const [module] = globSync('usr/lib/**/libsofthsm2.so', { cwd: root });
  if (module === undefined) throw new Error(`Debian's package holds no library; run as root: ${installCommand()}`);
  return join(root, module);
}

const installCommand = () => (process.platform === 'darwin' ? 'brew install softhsm (as yourself)' : 'apt-get install -y softhsm2');
