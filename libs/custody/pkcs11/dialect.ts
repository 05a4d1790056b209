import pkcs11js from 'pkcs11js';
import type { Cryptoki, KeyHandle, Session } from './cryptoki.js';
import { CryptokiError, MECHANISM_CODES } from './cryptoki-error.js';
import { KEY_BYTES, KW_BYTES, named, newbornVersion, rootTemplate } from './key-templates.js';
import { numbered } from './mechanisms.js';

/**
 * AES-KWP (RFC 5649) by its number in PKCS#11 3.0, and by the one that some modules gave it before; to others that one means PKCS padding
 * under RFC 3394, which nobody else unwraps.
 */
const KWP_NUMBERS = [0x210b, pkcs11js.CKM_AES_KEY_WRAP_PAD];

/** Where vendors read PKCS#11 differently: asked of the module by what it does, not by what it lists. */
export interface Dialect {
  /** CKM_… of AES-KWP; undefined where the module has none. */
  readonly keyWrapPad: number | undefined;
  /** What a root may be used with, where the module holds keys to such a list; otherwise it is not given one. */
  readonly rootMechanisms: readonly number[] | undefined;
}

/** Tries it on keys of the session. @throws CryptokiError when the HSM fails */
export function dialectOf(cryptoki: Cryptoki, holder: Session): Dialect {
  const made: KeyHandle[] = [];
  const make = (...args: [Parameters<Cryptoki['generateKey']>[2]]): KeyHandle => {
    const key = cryptoki.generateKey(holder, 'aes', ...args);
    made.push(key);
    return key;
  };
  const aRoot = (mechanisms?: readonly number[]) => make({ ...rootTemplate(named('dialect'), mechanisms), token: false });
  try {
    const [root, newborn] = [aRoot(), make(newbornVersion('AES_256'))];
    const wraps = (by: number, under = root) =>
      lengthOf(() => cryptoki.wrapBy(holder, numbered(by), under, newborn)) === KEY_BYTES.AES_256 + KW_BYTES;
    const keyWrapPad = KWP_NUMBERS.find((number) => wraps(number));
    const mechanisms = [pkcs11js.CKM_AES_KEY_WRAP, ...(keyWrapPad === undefined ? [] : [keyWrapPad])];
    const holdsTo = keyWrapPad !== undefined && !wraps(keyWrapPad, aRoot([pkcs11js.CKM_AES_KEY_WRAP]));
    return { keyWrapPad, rootMechanisms: holdsTo ? mechanisms : undefined };
  } finally {
    for (const key of made) cryptoki.destroy(holder, key);
  }
}

function lengthOf(wrap: () => Buffer): number | undefined {
  try {
    return wrap().length;
  } catch (error) {
    if (error instanceof CryptokiError && MECHANISM_CODES.has(error.code)) return undefined;
    throw error;
  }
}
