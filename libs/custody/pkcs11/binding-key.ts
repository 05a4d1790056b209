import { timingSafeEqual } from 'node:crypto';
import { KeyBindingBroken } from '#core';
import type { WrappedKeyVersion } from '#core';
import { bindingMessage } from '../binding-message.js';
import type { KeyHandle } from './cryptoki.js';
import { findOrCreate } from './find-or-create.js';
import { BINDING_KEY, BINDING_KEY_LABEL, named } from './key-templates.js';
import type { OpenToken } from './open-token.js';

/** The HMAC key of this HSM that ties a wrapped key to its row: AES-KW itself authenticates nothing beside the key. */
export class BindingKey {
  readonly #key: KeyHandle;

  constructor(private readonly token: OpenToken) {
    const { cryptoki, holder } = token;
    this.#key = findOrCreate(token, named(BINDING_KEY_LABEL), () => [cryptoki.generateKey(holder, 'generic', BINDING_KEY)]);
  }

  /** 32 bytes. For versions that were made in this call, never as a call of its own: that would bind whatever anybody writes. */
  mac(version: Omit<WrappedKeyVersion, 'mac'>): Buffer {
    return this.token.operate((session) => this.token.cryptoki.mac(session, this.#key, bindingMessage(version)));
  }

  /** @throws KeyBindingBroken when somebody edited the row. */
  verify(version: WrappedKeyVersion): void {
    const expected = this.mac(version);
    // Computed and compared here, not by C_Verify: modules compare with memcmp.
    if (version.mac.length !== expected.length || !timingSafeEqual(version.mac, expected)) throw new KeyBindingBroken(version.versionId);
  }
}
