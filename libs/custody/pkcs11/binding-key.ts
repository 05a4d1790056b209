import { timingSafeEqual } from 'node:crypto';
import { KeyBindingBroken } from '#core';
import type { BoundRow, RuleRow, WrappedKeyVersion } from '#core';
import { bindingMessage, ruleMessage } from '../binding-message.js';
import type { KeyHandle } from './cryptoki.js';
import { findOrCreate } from './find-or-create.js';
import { BINDING_KEY, BINDING_KEY_LABEL, named } from './key-templates.js';
import type { OpenToken } from './open-token.js';

/**
 * The HMAC key of this HSM that ties a wrapped key to its row: AES-KW itself authenticates nothing beside the key. It binds the rows of
 * rules too, under a format of their own.
 */
export class BindingKey {
  readonly #key: KeyHandle;

  constructor(private readonly token: OpenToken) {
    const { cryptoki, holder } = token;
    this.#key = findOrCreate(token, named(BINDING_KEY_LABEL), () => [cryptoki.generateKey(holder, 'generic', BINDING_KEY)]);
  }

  /** 32 bytes. For versions that were made in this call, never as a call of its own: that would bind whatever anybody writes. */
  mac(version: Omit<WrappedKeyVersion, 'mac'>): Buffer {
    return this.#macOver(bindingMessage(version));
  }

  /** 32 bytes. Whoever may ask for it makes authority: the key plane's socket only. */
  ruleMac(row: RuleRow): Buffer {
    return this.#macOver(ruleMessage(row));
  }

  isBound(row: BoundRow): boolean {
    return same(row.mac, this.ruleMac(row));
  }

  /** @throws KeyBindingBroken when somebody edited the row. */
  verify(version: WrappedKeyVersion): void {
    if (!same(version.mac, this.mac(version))) throw new KeyBindingBroken(version.versionId);
  }

  #macOver(message: Buffer): Buffer {
    return this.token.operate((session) => this.token.cryptoki.mac(session, this.#key, message));
  }
}

/** Computed and compared here, not by C_Verify: modules compare with memcmp. */
const same = (mac: Uint8Array, expected: Buffer): boolean => mac.length === expected.length && timingSafeEqual(mac, expected);
