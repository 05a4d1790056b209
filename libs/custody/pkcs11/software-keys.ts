import { createCipheriv, createDecipheriv, createHmac, createSecretKey } from 'node:crypto';
import type { CipherGCMTypes, KeyObject } from 'node:crypto';
import { SOFTWARE_SPECS, type KeySpec, type SoftwareSpec } from '#contract';
import { CustodyUnavailable, DecryptFailed, type WrappedKeyVersion } from '#core';
import type { KeyHandle } from './cryptoki.js';
import { IV_BYTES, TAG_BYTES } from './mechanisms.js';
import { KEY_BYTES, KW_BYTES, newbornVersion, versionInUse } from './key-templates.js';
import { bearSm2, sm2PrivateKey } from './openssl-sm2.js';
import type { OpenToken } from './open-token.js';
import type { RandomPool } from './random-pool.js';

export const isSoftware = (spec: KeySpec): spec is SoftwareSpec => (SOFTWARE_SPECS as readonly KeySpec[]).includes(spec);

/** A key in the custodian's memory, which no module here can hold; it does what its spec is for and nothing else. */
export interface SoftwareKey {
  seal?(iv: Buffer, aad: Buffer, plaintext: Buffer): Buffer;
  /** @throws DecryptFailed */
  open?(iv: Buffer, aad: Buffer, sealed: Buffer): Buffer;
  mac?(message: Buffer): Buffer;
  sign?(digest: Buffer): Buffer;
  free(): void;
}

interface Born {
  readonly material: Buffer;
  readonly publicKey?: Buffer;
}

/** Material is drawn by the HSM's generator; who calls `use` wipes it after. */
const KINDS: Readonly<
  Record<SoftwareSpec, { bear(random: (length: number) => Buffer): Born; use(material: Buffer, publicKey?: Uint8Array): SoftwareKey }>
> = {
  SM4: { bear: (random) => ({ material: random(16) }), use: (material) => sm4(createSecretKey(material)) },
  HMAC_SM3: { bear: (random) => ({ material: random(32) }), use: (material) => hmacSm3(createSecretKey(material)) },
  EC_SM2: { bear: bearSm2, use: (material, publicKey = Buffer.alloc(0)) => sm2PrivateKey(material, publicKey) },
};

/** RFC 8998; the types know AES alone. */
const SM4_GCM = 'sm4-gcm' as CipherGCMTypes;
const sm4 = (key: KeyObject): SoftwareKey => ({
  seal: (iv, aad, plaintext) => {
    const cipher = createCipheriv(SM4_GCM, key, iv, { authTagLength: TAG_BYTES }).setAAD(aad);
    return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  },
  open: (iv, aad, sealed) => {
    const decipher = createDecipheriv(SM4_GCM, key, iv, { authTagLength: TAG_BYTES }).setAAD(aad);
    const opened = decipher.setAuthTag(sealed.subarray(-TAG_BYTES)).update(sealed.subarray(0, -TAG_BYTES));
    try {
      decipher.final();
    } catch {
      opened.fill(0);
      throw new DecryptFailed('wrong-tag-or-context');
    }
    return opened;
  },
  free: () => undefined,
});

/** HMAC (RFC 2104) with SM3 (GB/T 32905). */
const hmacSm3 = (key: KeyObject): SoftwareKey => ({
  mac: (message) => createHmac('sm3', key).update(message).digest(),
  free: () => undefined,
});

/** A tenant's root wraps this much of a blob: the sealing key. */
export const SEALING_KEY_BYTES = KEY_BYTES.AES_256 + KW_BYTES;
const AAD = Buffer.from('keyward.software-key/1');

/**
 * Keys of protection level SOFTWARE. At rest each lies under an AES key of its own, born in the HSM and wrapped by the tenant's root:
 * blob = AES-KW(root, sealing key), 40 bytes ‖ IV ‖ AES-256-GCM(sealing key, material). So the root never unwraps anything readable, and
 * ends with the tenant's other keys when the root does.
 */
export class SoftwareKeys {
  constructor(
    private readonly token: OpenToken,
    private readonly random: RandomPool,
    private readonly allowed: boolean,
  ) {}

  /** Why there are none. */
  get refusal(): string | undefined {
    return this.allowed ? undefined : 'keys in software are refused by the operator (KEYWARD_SOFTWARE_KEYS)';
  }

  bear(root: KeyHandle, spec: SoftwareSpec): Pick<WrappedKeyVersion, 'blob' | 'publicKey'> {
    this.#mustBeAllowed();
    const { material, publicKey } = KINDS[spec].bear((length) => this.random.take(length));
    try {
      return { blob: this.sealed(root, material), ...(publicKey && { publicKey }) };
    } finally {
      material.fill(0);
    }
  }

  inUse(root: KeyHandle, spec: SoftwareSpec, { blob, publicKey }: Pick<WrappedKeyVersion, 'blob' | 'publicKey'>): SoftwareKey {
    this.#mustBeAllowed();
    const material = this.#opened(root, Buffer.from(blob));
    try {
      return KINDS[spec].use(material, publicKey);
    } finally {
      material.fill(0);
    }
  }

  /** The blob of this material. */
  sealed(root: KeyHandle, material: Buffer): Buffer {
    const { cryptoki, holder } = this.token;
    const sealing = cryptoki.generateKey(holder, 'aes', newbornVersion('AES_256'));
    try {
      const iv = this.random.take(IV_BYTES);
      const sealed = this.token.operate((session) => Buffer.from(cryptoki.seal(session, sealing, iv, AAD, material)));
      return Buffer.concat([cryptoki.wrap(holder, root, sealing), iv, sealed]);
    } finally {
      this.token.destroy(sealing);
    }
  }

  #opened(root: KeyHandle, blob: Buffer): Buffer {
    const { cryptoki, holder } = this.token;
    const [iv, sealed] = [blob.subarray(SEALING_KEY_BYTES, SEALING_KEY_BYTES + IV_BYTES), blob.subarray(SEALING_KEY_BYTES + IV_BYTES)];
    const sealing = cryptoki.unwrap(holder, root, blob.subarray(0, SEALING_KEY_BYTES), versionInUse('AES_256', 'ENCRYPT_DECRYPT'));
    try {
      return this.token.operate((session) => cryptoki.open(session, sealing, iv, AAD, sealed));
    } finally {
      this.token.destroy(sealing);
    }
  }

  #mustBeAllowed(): void {
    if (this.refusal !== undefined) throw new CustodyUnavailable(this.refusal);
  }
}
