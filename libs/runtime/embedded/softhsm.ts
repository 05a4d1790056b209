import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DataDir, makeFolder } from './data-dir.js';
import { randomSecretFile } from './secret-files.js';
import { downloadSoftHsm } from './softhsm-download.js';

/** Everything that opens one token through PKCS#11. */
export interface HsmSettings {
  readonly module: string;
  readonly tokenLabel: string;
  /** 0600 files. */
  readonly pinFile: string;
  readonly soPinFile: string;
  /** Value of SOFTHSM2_CONF. */
  readonly configFile: string;
}

/** All that the custodian uses. An allow-list is less to attack, and saves 15 % of a call, because SoftHSM copies the list for each. */
const MECHANISMS = [
  'CKM_AES_KEY_GEN',
  'CKM_AES_GCM',
  'CKM_AES_KEY_WRAP',
  'CKM_AES_KEY_WRAP_PAD',
  'CKM_GENERIC_SECRET_KEY_GEN',
  'CKM_SHA256_HMAC',
  'CKM_SHA384_HMAC',
  'CKM_SHA512_HMAC',
  'CKM_EC_EDWARDS_KEY_PAIR_GEN',
  'CKM_EDDSA',
  'CKM_EC_KEY_PAIR_GEN',
  'CKM_ECDSA',
  'CKM_RSA_PKCS_KEY_PAIR_GEN',
  'CKM_RSA_PKCS',
  'CKM_RSA_PKCS_PSS',
  'CKM_RSA_PKCS_OAEP',
  'CKM_RSA_X_509',
  'CKM_AES_CMAC',
];

const INSTALLED = [
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/lib64/softhsm/libsofthsm2.so',
  '/usr/lib64/pkcs11/libsofthsm2.so',
  '/usr/local/lib/softhsm/libsofthsm2.so',
  '/opt/homebrew/lib/softhsm/libsofthsm2.so',
  '/usr/local/opt/softhsm/lib/softhsm/libsofthsm2.so',
];

/** Finds or fetches the SoftHSM library and prepares a token directory with random PINs; the token itself is made through PKCS#11. */
export async function prepareSoftHsm({ dataDir }: { readonly dataDir: DataDir }): Promise<HsmSettings> {
  const tokens = makeFolder(join(dataDir.hsm, 'tokens'), 0o700);
  const configFile = join(dataDir.hsm, 'softhsm2.conf');
  writeFileSync(configFile, configuration(tokens), { mode: 0o600 });
  const [pinFile, soPinFile] = [join(dataDir.hsm, 'pin'), join(dataDir.hsm, 'so-pin')];
  randomSecretFile(pinFile);
  randomSecretFile(soPinFile);
  return { module: await softHsmModule(), tokenLabel: 'keyward', pinFile, soPinFile, configFile };
}

/**
 * Path of SoftHSM's PKCS#11 library: an installed one, else Debian's package unpacked into this checkout's cache.
 * @throws Error with the command that installs it, where we cannot
 */
export async function softHsmModule(): Promise<string> {
  return INSTALLED.find((path) => existsSync(path)) ?? downloadSoftHsm();
}

function configuration(tokens: string): string {
  const lines = [
    `directories.tokendir = ${tokens}`,
    'objectstore.backend = file',
    'log.level = ERROR',
    'slots.removable = false',
    `slots.mechanisms = ${MECHANISMS.join(',')}`,
  ];
  return `${lines.join('\n')}\n`;
}
