import { timingSafeEqual } from 'node:crypto';
import { bindingKeyRow, KeyBindingBroken } from '#core';
import type { BoundImport, BoundRow, Rebindable, RuleRow, Tombstone, WrappedKeyVersion } from '#core';
import { bindingMessage, importMessage, messageOf, ruleMessage, tombstoneMessage } from '../binding-message.js';
import { BindingKeys } from './binding-keys.js';
import type { OpenToken } from './open-token.js';

const NO_BLOB = new Uint8Array(0);

/**
 * The HMAC key of this HSM that ties a wrapped key to its row: AES-KW itself authenticates nothing beside the key. It binds the rows of
 * rules too, under a format of their own.
 */
export class BindingKey {
  readonly #keys: BindingKeys;

  constructor(token: OpenToken) {
    this.#keys = new BindingKeys(token);
  }

  /** The next one, beside the one before it. May be repeated. @throws RangeError */
  ensure(number: number): void {
    this.#keys.ensure(number);
  }

  /**
   * Destroys those before this one, if its operators had that bound by it: whoever writes SQL has no key destroyed. May be repeated.
   * @throws KeyBindingBroken
   */
  retireOlder(number: number, mac: Uint8Array): void {
    if (number !== this.#keys.newest() || !same(mac, this.ruleMac(bindingKeyRow(number))))
      throw new KeyBindingBroken(`of the end of the binding keys before ${number}`);
    this.#keys.destroyOlder();
  }

  /** The MAC of a row under the newest key, if it has one under any. */
  rebound(row: Rebindable): Buffer | undefined {
    const message = messageOf(row);
    return this.#fits(row.row.mac, message) ? this.#keys.mac(message) : undefined;
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
    if (!this.#fits(bound.mac, importMessage(bound))) throw new KeyBindingBroken(`of an import for ${bound.keyId}`);
  }

  /** 32 bytes. Whoever may ask for it makes authority: the key plane's socket only. */
  ruleMac(row: RuleRow): Buffer {
    return this.#macOver(ruleMessage(row));
  }

  isBound(row: BoundRow): boolean {
    return this.#fits(row.mac, ruleMessage(row));
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
    if (!this.#fits(tombstone.mac, tombstoneMessage(tombstone))) throw new KeyBindingBroken(`of a tombstone of ${tombstone.keyId}`);
  }

  #bound(version: WrappedKeyVersion): boolean {
    return this.#fits(version.mac, bindingMessage(version));
  }

  #fits(mac: Uint8Array, message: Buffer): boolean {
    return this.#keys.fits(message, (expected) => same(mac, expected));
  }

  #macOver(message: Buffer): Buffer {
    return this.#keys.mac(message);
  }
}

/** Computed and compared here, not by C_Verify: modules compare with memcmp. */
const same = (mac: Uint8Array, expected: Buffer): boolean => mac.length === expected.length && timingSafeEqual(mac, expected);
