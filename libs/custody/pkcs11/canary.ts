import { CustodyUnavailable } from '#core';
import type { KeyHandle } from './cryptoki.js';
import { IV_BYTES } from './mechanisms.js';
import { CANARY_ROOT_LABEL, newbornVersion, versionInUse } from './key-templates.js';
import type { OpenToken } from './open-token.js';
import { ensureRoot, refuseWeakRoot } from './tenant-roots.js';

const AAD = Buffer.from('keyward canary');
const PLAINTEXT = Buffer.from('the HSM works');

/**
 * Proves that the HSM still does what a real call needs. Session information would not: with the token gone, SoftHSM's
 * sessions and cached keys go on working, and only token objects fail.
 */
export class Canary {
  readonly #root: KeyHandle;
  readonly #blob: Buffer;
  readonly #cached: KeyHandle;
  readonly #iv: Buffer;
  readonly #sealed: Buffer;

  constructor(private readonly token: OpenToken) {
    const { cryptoki, holder } = token;
    this.#root = ensureRoot(token, CANARY_ROOT_LABEL);
    refuseWeakRoot(token, this.#root);
    const newborn = cryptoki.generateKey(holder, 'aes', newbornVersion('AES_256'));
    this.#blob = cryptoki.wrap(holder, this.#root, newborn);
    token.destroy(newborn);
    this.#cached = this.#unwrap();
    this.#iv = Buffer.alloc(IV_BYTES);
    token.operate((session) => cryptoki.random(session, this.#iv));
    this.#sealed = token.operate((session) => Buffer.from(cryptoki.seal(session, this.#cached, this.#iv, AAD, PLAINTEXT)));
  }

  /** Token information, an unwrap under a token root, a decryption. Leaves one destroyed session object. */
  sing(): void {
    this.token.cryptoki.tokenState(this.token.slot);
    const key = this.#unwrap();
    try {
      this.#decryptWith(key);
    } finally {
      this.token.destroy(key);
    }
  }

  /** What a failed decryption is judged by; makes no object, because callers can provoke it at will. @throws CustodyUnavailable */
  mustBeWell(): void {
    try {
      this.token.cryptoki.tokenState(this.token.slot);
      this.#decryptWith(this.#cached);
    } catch (cause) {
      throw new CustodyUnavailable('the HSM fails', cause);
    }
  }

  #unwrap(): KeyHandle {
    return this.token.cryptoki.unwrap(this.token.holder, this.#root, this.#blob, versionInUse('AES_256', 'ENCRYPT_DECRYPT'));
  }

  #decryptWith(key: KeyHandle): void {
    const opened = this.token.operate((session) => this.token.cryptoki.open(session, key, this.#iv, AAD, this.#sealed));
    if (!opened.equals(PLAINTEXT)) throw new CustodyUnavailable('the canary decrypted to something else');
  }
}
