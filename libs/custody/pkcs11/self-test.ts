import { randomBytes } from 'node:crypto';
import type { KeyHandle } from './cryptoki.js';
import { CryptokiError } from './cryptoki-error.js';
import { CANARY_ROOT_LABEL, named, newbornVersion, versionInUse } from './key-templates.js';
import type { OpenToken } from './open-token.js';
import { only } from './find-or-create.js';

/** The module does not keep what PKCS#11 promises; keys would not be safe in it. */
export class SelfTestFailed extends Error {}

/**
 * Tries, on throw-away keys, what the module must refuse: some (NSS softokn) list all the right attributes and then
 * wrap a non-extractable key out. Run once per start, after the canary's root exists.
 * @throws SelfTestFailed naming the first promise that was not kept.
 */
export function selfTest(token: OpenToken): void {
  const { cryptoki, holder } = token;
  const root = only(token, named(CANARY_ROOT_LABEL));
  if (root === undefined) throw new SelfTestFailed('There is no root to test with.');
  const newborn = cryptoki.generateKey(holder, 'aes', newbornVersion('AES_256'));
  const inUse = cryptoki.unwrap(holder, root, cryptoki.wrap(holder, root, newborn), versionInUse('AES_256'));
  try {
    mustRefuse('wrapping a key that is not extractable', () => cryptoki.wrap(holder, root, inUse));
    mustRefuse('reading the value of a key', () => cryptoki.attribute(holder, inUse, 'value'));
    mustRefuse('reading the value of an extractable, sensitive key', () => cryptoki.attribute(holder, newborn, 'value'));
    mustRefuse('encrypting with a root', () => seal(token, root, Buffer.from('aad')));
    mustAuthenticate(token, inUse);
  } finally {
    token.destroy(newborn);
    token.destroy(inUse);
  }
}

const IV = randomBytes(12);
const PLAINTEXT = Buffer.from('self-test');

function mustAuthenticate(token: OpenToken, key: KeyHandle): void {
  const sealed = seal(token, key, Buffer.from('aad'));
  const open = (aad: string) => token.operate((session) => token.cryptoki.open(session, key, IV, Buffer.from(aad), sealed));
  if (!open('aad').equals(PLAINTEXT)) throw new SelfTestFailed('AES-GCM does not round-trip.');
  mustRefuse('decrypting under another AAD', () => open('other'));
}

function seal(token: OpenToken, key: KeyHandle, aad: Buffer): Buffer {
  return token.operate((session) => Buffer.from(token.cryptoki.seal(session, key, IV, aad, PLAINTEXT)));
}

function mustRefuse(what: string, attempt: () => unknown): void {
  try {
    attempt();
  } catch (error) {
    if (error instanceof CryptokiError) return;
    throw error;
  }
  throw new SelfTestFailed(`The module allows ${what}.`);
}
