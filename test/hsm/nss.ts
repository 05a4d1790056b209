import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { TestToken } from '../../apps/custodian/test-bed.js';
import { unpackedPackages } from '../../libs/runtime/embedded/debian-packages.js';
import type { FaultyModule } from './faulty-module.js';

const INSTALLED = ['/usr/lib/*/libsoftokn3.so', '/usr/lib64/libsoftokn3.so', '/usr/lib/*/nss/libsoftokn3.so'];
const PACKAGES = ['libnss3', 'libnspr4', 'libsqlite3-0'];

/** Why there is no NSS on this machine; undefined where there is, or Debian has it. */
export const nssIsMissing: string | undefined =
  globSync(INSTALLED).length > 0 || existsSync('/usr/bin/dpkg-deb') ? undefined : 'libsoftokn3.so is not installed, and this is no Debian';

/** NSS's soft token as a PKCS#11 module: installed, or unpacked from Debian's packages. */
export async function nssModule(): Promise<string> {
  const [installed] = globSync(INSTALLED);
  if (installed !== undefined) return installed;
  const root = await unpackedPackages('nss', PACKAGES);
  const [unpacked] = globSync(join(root, 'usr/lib/*/libsoftokn3.so'));
  if (unpacked === undefined) throw new Error("Debian's package holds no libsoftokn3.so.");
  return unpacked;
}

const USER_PIN = 'a PIN for tests';
/** NSS knows its database from C_Initialize alone; SO has no PIN until the user has one. */
const INITIALISE = `
  import pkcs11js from 'pkcs11js';
  const module = new pkcs11js.PKCS11();
  module.load(process.env.KEYWARD_HSM_MODULE);
  module.C_Initialize({ flags: pkcs11js.CKF_OS_LOCKING_OK });
  const label = (slot) => module.C_GetTokenInfo(slot).label.trim();
  const slot = module.C_GetSlotList(true).find((one) => label(one) === process.env.KEYWARD_HSM_TOKEN);
  const session = module.C_OpenSession(slot, pkcs11js.CKF_SERIAL_SESSION | pkcs11js.CKF_RW_SESSION);
  module.C_Login(session, pkcs11js.CKU_SO, '');
  module.C_InitPIN(session, ${JSON.stringify(USER_PIN)});
  module.C_Finalize();`;

/** A fresh NSS database as a token. The module that can fail stands before it, because it can hand NSS its parameters. */
export class NssToken extends TestToken {
  readonly #database: string;

  constructor(faulty: FaultyModule, behind: string, settings: NodeJS.ProcessEnv) {
    const database = mkdtempSync(join(tmpdir(), 'kw-nss-'));
    super({
      ...faulty.env,
      KEYWARD_FAULTY_PARAMETERS: `configdir='sql:${database}' certPrefix='' keyPrefix='' secmod='secmod.db' flags= dbTokenDescription='keyward-test'`,
      // Its own libraries lie beside it; where it is installed, the system's loader finds them too.
      LD_LIBRARY_PATH: dirname(behind),
      ...settings,
    });
    this.#database = database;
  }

  override initialise(): string {
    execFileSync(process.execPath, ['--input-type=module', '-e', INITIALISE], { env: this.env });
    writeFileSync(this.path('pin'), USER_PIN, { mode: 0o600 });
    return 'token created';
  }

  override remove(): void {
    super.remove();
    rmSync(this.#database, { recursive: true, force: true });
  }
}
