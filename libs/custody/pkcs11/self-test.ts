import { randomBytes } from 'node:crypto';
import type { KeyHandle } from './cryptoki.js';
import { CryptokiError } from './cryptoki-error.js';
import { CANARY_ROOT_LABEL, named, newbornVersion, versionInUse } from './key-templates.js';
import { logAlgorithmOf } from './log-keys.js';
import type { OpenToken } from './open-token.js';
import { only } from './find-or-create.js';

/** The module does not keep what PKCS#11 promises; keys would not be safe in it. */
export class SelfTestFailed extends Error {}

/**
 * Tries, on throw-away keys, what the module must refuse: some (NSS softokn) list all the right attributes and then
 * wrap a non-extractable key out. Run once per start, after the canary's root exists.
 * @param tolerant only for tests of what else such a module does
 * @returns each promise that was not kept; a tolerant caller must tell them
 * @throws SelfTestFailed naming them, unless tolerant
 */
export function selfTest(token: OpenToken, { tolerant }: { readonly tolerant: boolean }): readonly string[] {
  const broken = brokenPromises(token);
  if (broken.length > 0 && !tolerant) throw new SelfTestFailed(`The module ${broken.join(', and ')}.`);
  return broken;
}

function brokenPromises(token: OpenToken): string[] {
  const { cryptoki, holder } = token;
  const root = only(token, named(CANARY_ROOT_LABEL));
  if (root === undefined) throw new SelfTestFailed('There is no root to test with.');
  const newborn = cryptoki.generateKey(holder, 'aes', newbornVersion('AES_256'));
  const inUse = cryptoki.unwrap(holder, root, cryptoki.wrap(holder, root, newborn), versionInUse('AES_256', 'ENCRYPT_DECRYPT'));
  try {
    return [
      allows('wrapping a key that is not extractable', () => cryptoki.wrap(holder, root, inUse)),
      allows('reading the value of a key', () => cryptoki.attribute(holder, inUse, 'value')),
      allows('reading the value of an extractable, sensitive key', () => cryptoki.attribute(holder, newborn, 'value')),
      allows('encrypting with a root', () => seal(token, root, Buffer.from('aad'))),
      ...failsToAuthenticate(token, inUse),
      logAlgorithmOf(token) === undefined ? 'makes no key that signs logs' : undefined,
    ].filter((broken) => broken !== undefined);
  } finally {
    token.destroy(newborn);
    token.destroy(inUse);
  }
}

const IV = randomBytes(12);
const PLAINTEXT = Buffer.from('self-test');

function failsToAuthenticate(token: OpenToken, key: KeyHandle): (string | undefined)[] {
  const sealed = seal(token, key, Buffer.from('aad'));
  const open = (aad: string) => token.operate((session) => token.cryptoki.open(session, key, IV, Buffer.from(aad), sealed));
  const roundTrips = open('aad').equals(PLAINTEXT);
  return [roundTrips ? undefined : 'does not open what it sealed', allows('decrypting under another AAD', () => open('other'))];
}

function seal(token: OpenToken, key: KeyHandle, aad: Buffer): Buffer {
  return token.operate((session) => Buffer.from(token.cryptoki.seal(session, key, IV, aad, PLAINTEXT)));
}

/** What an attempt that must be refused says of the module that allows it. */
function allows(what: string, attempt: () => unknown): string | undefined {
  try {
    attempt();
  } catch (error) {
    if (error instanceof CryptokiError) return undefined;
    throw error;
  }
  return `allows ${what}`;
}
