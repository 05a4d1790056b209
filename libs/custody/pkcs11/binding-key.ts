import { timingSafeEqual } from 'node:crypto';
import { KeyBindingBroken } from '#core';
import type { BoundImport, BoundRow, RuleRow, Tombstone, WrappedKeyVersion } from '#core';
import { bindingMessage, importMessage, ruleMessage, tombstoneMessage } from '../binding-message.js';
import type { KeyHandle } from './cryptoki.js';
import { findOrCreate } from './find-or-create.js';
import { BINDING_KEY, BINDING_KEY_LABEL, named } from './key-templates.js';
import type { OpenToken } from './open-token.js';
import { refuseWeak, STAYS_INSIDE } from './refuse-weak.js';

const NO_BLOB = new Uint8Array(0);

/**
 * The HMAC key of this HSM that ties a wrapped key to its row: AES-KW itself authenticates nothing beside the key. It binds the rows of
 * rules too, under a format of their own.
 */
export class BindingKey {
  readonly #key: KeyHandle;

  constructor(private readonly token: OpenToken) {
    const { cryptoki, holder } = token;
    this.#key = findOrCreate(token, named(BINDING_KEY_LABEL), () => [cryptoki.generateKey(holder, 'generic', BINDING_KEY)]);
    refuseWeak(token, 'the binding key', this.#key, { ...STAYS_INSIDE, modifiable: false });
  }

  /** 32 bytes. For versions that were made in this call, never as a call of its own: that would bind whatever anybody writes. */
  mac(version: Omit<WrappedKeyVersion, 'mac'>): Buffer {
    return this.#macOver(bindingMessage(version));
  }

  /** 32 bytes. For an import whose wrapping key was made in this call. */
  importMac(bound: Omit<BoundImport, 'mac'>): Buffer {
    return this.#macOver(importMessage(bound));
  }

  /** @throws KeyBindingBroken when somebody edited the row. */
  verifyImport(bound: BoundImport): void {
    if (!same(bound.mac, this.importMac(bound))) throw new KeyBindingBroken(`of an import for ${bound.keyId}`);
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
    if (!this.#bound(version)) throw new KeyBindingBroken(version.versionId);
  }

  /** The MAC of the row without its blob. One that somebody edited keeps what it has, which proves nothing, and does not keep its key from ending. */
  macOfEnded(version: WrappedKeyVersion): Uint8Array {
    return this.#bound(version) ? this.mac({ ...version, blob: NO_BLOB }) : version.mac;
  }

  /** 32 bytes. Whoever may ask for it ends keys: the worker's socket only. */
  tombstoneMac(of: Pick<Tombstone, 'tenant' | 'keyId'>): Buffer {
    return this.#macOver(tombstoneMessage(of));
  }

  /** @throws KeyBindingBroken when nobody destroyed this key */
  verifyTombstone(tombstone: Pick<Tombstone, 'tenant' | 'keyId' | 'mac'>): void {
    if (!same(tombstone.mac, this.tombstoneMac(tombstone))) throw new KeyBindingBroken(`of a tombstone of ${tombstone.keyId}`);
  }

  #bound(version: WrappedKeyVersion): boolean {
    return same(version.mac, this.mac(version));
  }

  #macOver(message: Buffer): Buffer {
    return this.token.operate((session) => this.token.cryptoki.mac(session, this.#key, message));
  }
}

/** Computed and compared here, not by C_Verify: modules compare with memcmp. */
const same = (mac: Uint8Array, expected: Buffer): boolean => mac.length === expected.length && timingSafeEqual(mac, expected);
