import { timingSafeEqual } from 'node:crypto';
import { type EncryptionAlgorithm, ENCRYPTS_WITH, MAX_DATA_KEY_BYTES, SIGNS_WITH, type SigningAlgorithm } from '#contract';
import { DecryptFailed, type GeneratedDataKey, type Sealed } from '#core';
import type { PresentedVersion } from '../presented-version.js';
import { derOf, rawOf } from '../ecdsa-der.js';
import { NotCapable } from '../not-capable.js';
import type { Canary } from './canary.js';
import type { KeyHandle } from './cryptoki.js';
import { CIPHERTEXT_CODES, CKR_GENERAL_ERROR, CryptokiError } from './cryptoki-error.js';
import { HASH_OF, isCurve, isEdwards, isPair, isRsa, type PairSpec, type RsaSpec } from './key-templates.js';
import type { KeyVersions } from './key-versions.js';
import { IV_BYTES } from './mechanisms.js';
import type { OpenToken } from './open-token.js';
import { verifySm2 } from './openssl-sm2.js';
import { decryptOaep, encryptOaep, isEd25519, isSignature, signatureBytes, signatureOf } from './pair-uses.js';
import type { RandomPool } from './random-pool.js';
import type { SoftwareKey } from './software-keys.js';
import type { TriedSpecs } from './tried-specs.js';

/** Of a coordinate of SM2's curve. */
const SM2_BYTES = 32;

/** What keys are used for, in the HSM or in software. Buffers that it answers belong to the caller, who wipes them. */
export class KeyUses {
  constructor(
    private readonly token: OpenToken,
    private readonly versions: KeyVersions,
    private readonly random: RandomPool,
    private readonly canary: Canary,
    private readonly tried: () => TriedSpecs,
  ) {}

  /** `plaintext` is 1 to 6144 bytes, `aad` at least one. */
  encrypt(version: PresentedVersion, aad: Buffer, plaintext: Buffer): Sealed {
    const key = this.versions.inUse(version);
    const iv = this.random.take(IV_BYTES);
    return { iv, ciphertext: this.#sealed(key, iv, aad, plaintext) };
  }

  /** @throws DecryptFailed when the ciphertext is not one of this key under this AAD. */
  decrypt(version: PresentedVersion, aad: Buffer, sealed: { iv: Buffer; ciphertext: Buffer }): Buffer {
    const key = this.versions.inUse(version);
    if (!Buffer.isBuffer(key)) return able(key.open)(sealed.iv, aad, sealed.ciphertext);
    const open = () => this.token.operate((session) => this.token.cryptoki.open(session, key, sealed.iv, aad, sealed.ciphertext));
    try {
      return open();
    } catch (error) {
      if (error instanceof CryptokiError) return this.#judged(error, open);
      throw error;
    }
  }

  /** `length` is 1 to 1024 bytes, from the HSM's generator. */
  generateDataKey(version: PresentedVersion, aad: Buffer, length: number): GeneratedDataKey {
    const key = this.versions.inUse(version);
    const plaintext = this.random.take(dataKeyLength(length));
    try {
      const iv = this.random.take(IV_BYTES);
      return { plaintext, iv, ciphertext: this.#sealed(key, iv, aad, plaintext) };
    } catch (error) {
      plaintext.fill(0);
      throw error;
    }
  }

  generateDataKeyWithoutPlaintext(version: PresentedVersion, aad: Buffer, length: number): Sealed {
    const { plaintext, iv, ciphertext } = this.generateDataKey(version, aad, length);
    plaintext.fill(0);
    return { iv, ciphertext };
  }

  /** `message` is 1 to 4096 bytes. @throws RangeError for a key that is not for MACs. */
  generateMac(version: PresentedVersion, message: Buffer): Buffer {
    const key = this.versions.inUse(version);
    if (!Buffer.isBuffer(key)) return able(key.mac)(message);
    const hash = HASH_OF[version.row().spec];
    if (hash === undefined) throw new RangeError('The key is not for MACs.');
    return this.token.operate((session) => this.token.cryptoki.mac(session, key, message, hash));
  }

  /** Computed and compared here, not by C_Verify: modules compare with memcmp. */
  verifyMac(version: PresentedVersion, message: Buffer, mac: Buffer): boolean {
    const expected = this.generateMac(version, message);
    return mac.length === expected.length && timingSafeEqual(mac, expected);
  }

  /** Over a digest of the algorithm's length, of Ed25519 over the message; ECDSA as DER. @throws RangeError for a key that does not sign so. */
  sign(version: PresentedVersion, algorithm: SigningAlgorithm, digest: Buffer): Buffer {
    const spec = signerOf(version, algorithm);
    const key = this.versions.inUse(version);
    if (!Buffer.isBuffer(key)) return able(key.sign)(digest);
    if (spec === undefined || algorithm === 'SM2DSA') throw new RangeError('The key does not sign so.');
    const signature = signatureOf(this.token, key, spec, algorithm, digest);
    return isCurve(spec) ? derOf(signature) : signature;
  }

  /** By the public half in the row, after its MAC was checked. */
  verify(version: PresentedVersion, algorithm: SigningAlgorithm, digest: Buffer, signature: Buffer): boolean {
    const spec = signerOf(version, algorithm);
    if (spec === undefined || algorithm === 'SM2DSA')
      return rawOf(signature, SM2_BYTES) !== undefined && verifySm2(this.versions.publicKeyOf(version), digest, signature);
    if (isEdwards(spec) || algorithm === 'ED25519_SHA_512') return isEd25519(this.versions.publicKeyOf(version), digest, signature);
    const key = this.versions.publicHandleOf(version);
    const raw = isCurve(spec) ? rawOf(signature, signatureBytes(spec) / 2) : signature;
    return raw !== undefined && isSignature(this.token, key, spec, algorithm, digest, raw);
  }

  /** The caller wipes them. */
  generateRandom(length: number): Buffer {
    return this.random.take(length);
  }

  /** To the public half in the row, after its MAC was checked. @throws NotCapable, for what it could not decrypt */
  asymmetricEncrypt(version: PresentedVersion, algorithm: EncryptionAlgorithm, plaintext: Buffer): Buffer {
    this.#mustDecrypt(version, algorithm);
    return encryptOaep(this.token, this.versions.publicHandleOf(version), algorithm, plaintext);
  }

  /** @throws DecryptFailed when the ciphertext is not one of this key, and NotCapable */
  asymmetricDecrypt(version: PresentedVersion, algorithm: EncryptionAlgorithm, ciphertext: Buffer): Buffer {
    const spec = this.#mustDecrypt(version, algorithm);
    const key = this.versions.inUse(version) as KeyHandle;
    if (ciphertext.length !== signatureBytes(spec)) throw new DecryptFailed('another-length');
    const open = () => decryptOaep(this.token, key, algorithm, ciphertext);
    try {
      return open();
    } catch (error) {
      if (error instanceof CryptokiError) return this.#judged(error, open);
      throw error;
    }
  }

  #mustDecrypt(version: PresentedVersion, algorithm: EncryptionAlgorithm): RsaSpec {
    const { spec, usage } = version.row();
    if (!isRsa(spec) || usage !== 'ENCRYPT_DECRYPT' || ENCRYPTS_WITH[spec]?.includes(algorithm) !== true)
      throw new RangeError('The key does not encrypt so.');
    if (this.tried().algorithms[algorithm] !== undefined) throw new NotCapable();
    return spec;
  }

  #sealed(key: KeyHandle | SoftwareKey, iv: Buffer, aad: Buffer, plaintext: Buffer): Buffer {
    if (!Buffer.isBuffer(key)) return able(key.seal)(iv, aad, plaintext);
    return this.token.operate((session) => Buffer.from(this.token.cryptoki.seal(session, key, iv, aad, plaintext)));
  }

  /**
   * Whether a ciphertext was bad or the HSM is. Its code does not say (SoftHSM: CKR_GENERAL_ERROR for both), so the canary does:
   * otherwise a caller's garbage would look like a lost HSM, or a lost HSM like destroyed customer data. Even then a code that means
   * anything may have been a passing fault: only a ciphertext that fails twice is bad.
   */
  #judged(error: CryptokiError, open: () => Buffer): Buffer {
    if (!CIPHERTEXT_CODES.has(error.code)) throw error;
    this.canary.mustBeWell();
    if (error.code !== CKR_GENERAL_ERROR) throw new DecryptFailed('wrong-tag-or-context');
    try {
      return open();
    } catch (again) {
      if (!(again instanceof CryptokiError) || !CIPHERTEXT_CODES.has(again.code)) throw again;
      throw new DecryptFailed('wrong-tag-or-context');
    }
  }
}

/** Undefined: a key that signs in software, SM2. */
function signerOf(version: PresentedVersion, algorithm: SigningAlgorithm): PairSpec | undefined {
  const { spec, usage } = version.row();
  if (usage !== 'SIGN_VERIFY' || SIGNS_WITH[spec]?.includes(algorithm) !== true) throw new RangeError('The key does not sign so.');
  return isPair(spec) ? spec : undefined;
}

/** What a key in software does, if it is for that. @throws RangeError */
function able<Operation>(operation: Operation | undefined): Operation {
  if (operation === undefined) throw new RangeError('The key is not for that.');
  return operation;
}

function dataKeyLength(length: number): number {
  if (!Number.isSafeInteger(length) || length < 1 || length > MAX_DATA_KEY_BYTES) throw new RangeError('A data key has 1 to 1024 bytes.');
  return length;
}
