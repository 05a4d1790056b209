import { createCipheriv, createDecipheriv, hkdfSync, randomFillSync, timingSafeEqual } from 'node:crypto';
import { InvalidCall } from './errors.js';
import {
  COMMITMENT_BYTES,
  type FieldForm,
  fieldHeader,
  IV_BYTES,
  keyVersionOf,
  notAField,
  type ParsedField,
  requireFieldSize,
  TAG_BYTES,
} from './field-format.js';

const KEY_BYTES = 32;
const INFO = Buffer.from('keyward field v1\0');
const CIPHER = 'aes-256-gcm';

/** Random IVs, drawn in bulk: a call of its own for each costs half as much as the encryption. */
const POOL = Buffer.alloc(IV_BYTES * 512);
let drawn = POOL.length;

/**
 * One data key at work for fields of one tenant and context. HKDF-SHA-256 (RFC 5869) of the data key, without salt, with the info
 * `keyward field v1`, 00, key version and u16-prefixed tenant, gives 64 bytes: the AES-256-GCM key, and the commitment that stands in every
 * field and is compared before anything is decrypted, so that a field opens under one key only.
 */
export class FieldKey {
  readonly commitment: Buffer;
  readonly encryptedDataKey: Uint8Array;
  readonly #key: Buffer;
  readonly #bound: Uint8Array;
  #wiped = false;
  readonly #sealing: Readonly<Record<FieldForm, { readonly header: Buffer; readonly aad: Buffer }>>;

  /** `bound` is what contract's `boundContext` says of tenant and context; `dataKey` stays the caller's to wipe. */
  constructor(dataKey: Uint8Array, encryptedDataKey: Uint8Array, bound: Uint8Array) {
    const tenantBytes = 2 + Buffer.from(bound).readUInt16BE(0);
    const info = Buffer.concat([INFO, keyVersionOf(encryptedDataKey), bound.subarray(0, tenantBytes)]);
    const derived = Buffer.from(hkdfSync('sha256', dataKey, Buffer.alloc(0), info, KEY_BYTES + COMMITMENT_BYTES));
    this.#key = derived.subarray(0, KEY_BYTES);
    this.commitment = derived.subarray(KEY_BYTES);
    this.encryptedDataKey = encryptedDataKey;
    this.#bound = bound;
    const sealing = (form: FieldForm) => {
      const header = fieldHeader(form, this.commitment, encryptedDataKey);
      return { header, aad: Buffer.concat([header, bound]) };
    };
    this.#sealing = { inline: sealing('inline'), reference: sealing('reference') };
  }

  /**
   * `bound`: of more pairs than the data key's own, when the field's context has some.
   * @throws InvalidCall over 1 MiB, or once it is wiped: zeros must never seal anything
   */
  seal(plaintext: Uint8Array, form: FieldForm, bound = this.#bound, iv: Uint8Array = nextIv()): Buffer {
    requireFieldSize(plaintext);
    this.#requireKey();
    const { header, aad } = this.#sealing[form];
    const own = bound === this.#bound ? aad : Buffer.concat([header, bound]);
    const cipher = createCipheriv(CIPHER, this.#key, iv, { authTagLength: TAG_BYTES }).setAAD(own);
    const ciphertext = cipher.update(plaintext);
    cipher.final();
    return Buffer.concat([header, iv, ciphertext, cipher.getAuthTag()]);
  }

  /** @throws DecryptFailed for a field of another key, tenant or context, or one that was changed */
  open({ commitment, header, iv, ciphertext, tag }: ParsedField, bound = this.#bound): Buffer {
    this.#requireKey();
    if (!timingSafeEqual(commitment, this.commitment)) throw notAField();
    const decipher = createDecipheriv(CIPHER, this.#key, iv, { authTagLength: TAG_BYTES }).setAAD(Buffer.concat([header, bound]));
    const plaintext = decipher.setAuthTag(tag).update(ciphertext);
    try {
      decipher.final();
      return plaintext;
    } catch {
      plaintext.fill(0);
      throw notAField();
    }
  }

  get isWiped(): boolean {
    return this.#wiped;
  }

  wipe(): void {
    this.#wiped = true;
    this.#key.fill(0);
  }

  #requireKey(): void {
    if (this.#wiped) throw new InvalidCall('This data key was wiped.', { code: 'invalid-request' });
  }
}

function nextIv(): Uint8Array {
  if (drawn === POOL.length) {
    randomFillSync(POOL);
    drawn = 0;
  }
  return POOL.subarray(drawn, (drawn += IV_BYTES));
}
