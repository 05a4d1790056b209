import { timingSafeEqual } from 'node:crypto';
import { type EncryptionAlgorithm, ENCRYPTS_WITH, SIGNS_WITH, type SigningAlgorithm } from '#contract';
import { CustodyUnavailable, DecryptFailed } from '#core';
import type {
  BoundImport,
  BoundRow,
  CustodyCapabilities,
  EndedVersion,
  GeneratedDataKey,
  ImportParameters,
  KeyVersionDraft,
  LogAlgorithm,
  LogKey,
  ProtectionLevel,
  RuleRow,
  Sealed,
  Tombstone,
  WrappedKeyVersion,
} from '#core';
import type { PresentedVersion } from '../presented-version.js';
import { BindingKey } from './binding-key.js';
import { Canary } from './canary.js';
import type { KeyHandle } from './cryptoki.js';
import { CIPHERTEXT_CODES, CKR_GENERAL_ERROR, CryptokiError } from './cryptoki-error.js';
import { derOf, rawOf } from '../ecdsa-der.js';
import { ImportRefused } from '../import-refused.js';
import { importStatement } from '../import-statement.js';
import { NotCapable } from '../not-capable.js';
import { HASH_OF, isCurve, isPair, isRsa, type PairSpec, type RsaSpec } from './key-templates.js';
import { type IncomingMaterial, KeyImportsInHsm } from './key-imports.js';
import { KeyVersions } from './key-versions.js';
import { LogKeys } from './log-keys.js';
import { IV_BYTES } from './mechanisms.js';
import type { OpenToken } from './open-token.js';
import { verifySm2 } from './openssl-sm2.js';
import { decryptOaep, encryptOaep, isSignature, signatureBytes, signatureOf } from './pair-uses.js';
import { RandomPool } from './random-pool.js';
import { RsaBirths } from './rsa-births.js';
import { selfTest } from './self-test.js';
import { type SoftwareKey, SoftwareKeys } from './software-keys.js';
import { TenantRoots } from './tenant-roots.js';
import type { Tombstones } from './tombstones.js';
import { tryAllSpecs, type TriedSpecs } from './tried-specs.js';

export interface CustodyLimits {
  /** What new log keys are; default: what the module can. */
  readonly logKeys?: LogAlgorithm | undefined;
  /** Unwrapped keys held at once. */
  readonly cachedKeys: number;
  /** The longest that an unwrapped key is used without checking its row again. */
  readonly cachedForMs: number;
  /** Whether keys may be used in this process's memory at all. Default: where the token is software itself. */
  readonly softwareKeys: 'allowed' | 'refused' | 'unless-hardware';
}

export const MAX_DATA_KEY_BYTES = 1024;
/** Of a coordinate of SM2's curve. */
const SM2_BYTES = 32;

/** Custody on one open token: synchronous, and gone with its epoch. Buffers that it answers belong to the caller, who wipes them. */
export class TokenCustody {
  readonly #roots: TenantRoots;
  readonly #binding: BindingKey;
  readonly #logKeys: LogKeys;
  readonly #versions: KeyVersions;
  readonly #imports: KeyImportsInHsm;
  readonly #random: RandomPool;
  readonly #software: SoftwareKeys;
  readonly #canary: Canary;
  #tried: TriedSpecs = { specs: [], unavailable: {}, algorithms: {} };
  #broken: readonly string[] = [];

  constructor(
    private readonly token: OpenToken,
    private readonly protectionLevel: ProtectionLevel,
    tombstones: Pick<Tombstones, 'of'>,
    limits: CustodyLimits,
  ) {
    this.#roots = new TenantRoots(token);
    this.#logKeys = new LogKeys(token, limits.logKeys);
    this.#binding = new BindingKey(token);
    this.#random = new RandomPool(token);
    this.#software = new SoftwareKeys(token, this.#random, mayBeInSoftware(limits.softwareKeys, protectionLevel));
    const births = new RsaBirths();
    this.#versions = new KeyVersions(token, this.#roots, this.#binding, this.#software, births, protectionLevel, tombstones, limits);
    this.#imports = new KeyImportsInHsm(token, this.#roots, this.#binding, births, protectionLevel);
    this.#canary = new Canary(token);
  }

  /** Tries what the module must refuse, and what it can do. @throws SelfTestFailed, unless tolerant */
  async examine(how: { readonly tolerant: boolean }): Promise<void> {
    this.#broken = selfTest(this.token, how);
    this.#tried = await tryAllSpecs(this.token, this.#software);
  }

  createTenantRoot(tenant: string, root: number): void {
    this.#roots.ensure(tenant, root);
  }

  destroyOlderRoots(tenant: string, root: number): void {
    this.#roots.destroyOlder(tenant, root);
  }

  rewrapImport(bound: BoundImport, root: number): BoundImport {
    return this.#imports.rewrapped(bound, root);
  }

  hasRoot(tenant: string, root: number): boolean {
    return this.#roots.has(tenant, root);
  }

  oldestRoot(tenant: string): number {
    return this.#roots.oldest(tenant);
  }

  rewrap(version: PresentedVersion, root: number): WrappedKeyVersion {
    return this.#versions.rewrapped(version, root);
  }

  createLogKey(tenant: string, number: number): LogKey {
    return { publicKey: Uint8Array.from(this.#logKeys.ensure(tenant, number)) };
  }

  destroyLogKey(tenant: string, number: number): void {
    this.#logKeys.destroy(tenant, number);
  }

  /** An RSA key takes seconds. @throws CustodyBusy */
  async createKeyVersion(draft: KeyVersionDraft, root: number): Promise<WrappedKeyVersion> {
    const refusal = this.#tried.unavailable[draft.spec];
    if (refusal !== undefined) throw new RangeError(`The HSM cannot do it: ${refusal}`);
    return this.#versions.create(draft, root);
  }

  /** A wrapping key takes seconds. `body` is what the tenant's log key signs. @throws CustodyBusy */
  async createImport(parameters: ImportParameters, root: number): Promise<{ readonly bound: BoundImport; readonly body: string }> {
    const { bound, publicKey } = await this.#imports.create(parameters, root);
    return { bound, body: importStatement(parameters, publicKey) };
  }

  /** @throws ImportRefused, KeyBindingBroken */
  importKeyMaterial(bound: BoundImport, material: IncomingMaterial): WrappedKeyVersion {
    try {
      return this.#imports.take(bound, material, Date.now());
    } catch (error) {
      // What the HSM could not unwrap is no key, unless the HSM is not well.
      if (error instanceof ImportRefused) this.#mustBeWell();
      throw error;
    }
  }

  /** The row without its material; handles of the key are gone. @throws KeyBindingBroken */
  emptyKeyVersion(presented: PresentedVersion): WrappedKeyVersion {
    const emptied = this.#imports.empty(presented.row());
    this.#versions.evict(emptied.keyId);
    return emptied;
  }

  /** The MACs of what stays of a version and of its key. */
  makeTombstone(presented: PresentedVersion): EndedVersion & { readonly tombstoneMac: Uint8Array } {
    const version = presented.row();
    const { versionId } = version;
    return { versionId, mac: this.#binding.macOfEnded(version), tombstoneMac: this.#binding.tombstoneMac(version) };
  }

  /** Evicts the key; answers the number of the tenant's newest root. @throws KeyBindingBroken for a forged tombstone */
  bury(tombstone: Omit<Tombstone, 'versionIds' | 'destroyedAt'>): number {
    this.#binding.verifyTombstone(tombstone);
    this.#versions.evict(tombstone.keyId);
    return this.#roots.newest(tombstone.tenant);
  }

  bindRule(row: RuleRow): Uint8Array {
    return this.#binding.ruleMac(row);
  }

  isBound(row: BoundRow): boolean {
    return this.#binding.isBound(row);
  }

  /** `plaintext` is 1 to 6144 bytes, `aad` at least one. */
  encrypt(version: PresentedVersion, aad: Buffer, plaintext: Buffer): Sealed {
    const key = this.#versions.inUse(version);
    const iv = this.#random.take(IV_BYTES);
    return { iv, ciphertext: this.#sealed(key, iv, aad, plaintext) };
  }

  /** @throws DecryptFailed when the ciphertext is not one of this key under this AAD. */
  decrypt(version: PresentedVersion, aad: Buffer, sealed: { iv: Buffer; ciphertext: Buffer }): Buffer {
    const key = this.#versions.inUse(version);
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
    const key = this.#versions.inUse(version);
    const plaintext = this.#random.take(dataKeyLength(length));
    try {
      const iv = this.#random.take(IV_BYTES);
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
    const key = this.#versions.inUse(version);
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

  /** Over a digest of the algorithm's length; ECDSA as DER. @throws RangeError for a key that does not sign so. */
  sign(version: PresentedVersion, algorithm: SigningAlgorithm, digest: Buffer): Buffer {
    const spec = signerOf(version, algorithm);
    const key = this.#versions.inUse(version);
    if (!Buffer.isBuffer(key)) return able(key.sign)(digest);
    if (spec === undefined || algorithm === 'SM2DSA') throw new RangeError('The key does not sign so.');
    const signature = signatureOf(this.token, key, spec, algorithm, digest);
    return isCurve(spec) ? derOf(signature) : signature;
  }

  /** By the public half in the row, after its MAC was checked. */
  verify(version: PresentedVersion, algorithm: SigningAlgorithm, digest: Buffer, signature: Buffer): boolean {
    const spec = signerOf(version, algorithm);
    if (spec === undefined || algorithm === 'SM2DSA')
      return rawOf(signature, SM2_BYTES) !== undefined && verifySm2(this.#versions.publicKeyOf(version), digest, signature);
    const key = this.#versions.publicHandleOf(version);
    const raw = isCurve(spec) ? rawOf(signature, signatureBytes(spec) / 2) : signature;
    return raw !== undefined && isSignature(this.token, key, spec, algorithm, digest, raw);
  }

  /** The caller wipes them. */
  generateRandom(length: number): Buffer {
    return this.#random.take(length);
  }

  /** To the public half in the row, after its MAC was checked. @throws NotCapable, for what it could not decrypt */
  asymmetricEncrypt(version: PresentedVersion, algorithm: EncryptionAlgorithm, plaintext: Buffer): Buffer {
    this.#mustDecrypt(version, algorithm);
    return encryptOaep(this.token, this.#versions.publicHandleOf(version), algorithm, plaintext);
  }

  /** @throws DecryptFailed when the ciphertext is not one of this key, and NotCapable */
  asymmetricDecrypt(version: PresentedVersion, algorithm: EncryptionAlgorithm, ciphertext: Buffer): Buffer {
    const spec = this.#mustDecrypt(version, algorithm);
    const key = this.#versions.inUse(version) as KeyHandle;
    if (ciphertext.length !== signatureBytes(spec)) throw new DecryptFailed('another-length');
    const open = () => decryptOaep(this.token, key, algorithm, ciphertext);
    try {
      return open();
    } catch (error) {
      if (error instanceof CryptokiError) return this.#judged(error, open);
      throw error;
    }
  }

  publicKey(version: PresentedVersion): Buffer {
    const { publicKey } = this.#versions.checked(version);
    if (publicKey === undefined) throw new RangeError('The key is no pair.');
    return Buffer.from(publicKey);
  }

  capabilities(): CustodyCapabilities {
    const unsafe = this.#broken.length === 0 ? '' : ` (for tests only: it ${this.#broken.join(', and ')})`;
    const { cryptoki, slot } = this.token;
    return {
      module: `${cryptoki.describe()}${unsafe}`,
      token: cryptoki.identity(slot),
      protectionLevel: this.protectionLevel,
      ...this.#tried,
    };
  }

  /** @throws CryptokiError or CustodyUnavailable when the HSM does not do its work. */
  heartbeat(): void {
    this.#canary.sing();
  }

  /** Public halves of the keys that sign the tenant's log. @throws CustodyUnavailable when one is missing */
  logKeys(tenant: string, numbers: readonly number[]): Uint8Array[] {
    return numbers.map((number) => this.#logKeys.publicKeyOf(tenant, number));
  }

  /** Over a checkpoint's body, by each of them. */
  signLog(tenant: string, numbers: readonly number[], body: string): Uint8Array[] {
    return numbers.map((number) => this.#logKeys.sign(tenant, number, body));
  }

  #mustBeWell(): void {
    try {
      this.#canary.decrypt();
    } catch (cause) {
      throw new CustodyUnavailable('the HSM fails', cause);
    }
  }

  #mustDecrypt(version: PresentedVersion, algorithm: EncryptionAlgorithm): RsaSpec {
    const { spec, usage } = version.row();
    if (!isRsa(spec) || usage !== 'ENCRYPT_DECRYPT' || ENCRYPTS_WITH[spec]?.includes(algorithm) !== true)
      throw new RangeError('The key does not encrypt so.');
    if (this.#tried.algorithms[algorithm] !== undefined) throw new NotCapable();
    return spec;
  }

  /**
   * Whether a ciphertext was bad or the HSM is. Its code does not say (SoftHSM: CKR_GENERAL_ERROR for both), so the canary does:
   * otherwise a caller's garbage would look like a lost HSM, or a lost HSM like destroyed customer data. Even then a code that means
   * anything may have been a passing fault: only a ciphertext that fails twice is bad.
   */
  #sealed(key: KeyHandle | SoftwareKey, iv: Buffer, aad: Buffer, plaintext: Buffer): Buffer {
    if (!Buffer.isBuffer(key)) return able(key.seal)(iv, aad, plaintext);
    return this.token.operate((session) => Buffer.from(this.token.cryptoki.seal(session, key, iv, aad, plaintext)));
  }

  #judged(error: CryptokiError, open: () => Buffer): Buffer {
    if (!CIPHERTEXT_CODES.has(error.code)) throw error;
    this.#mustBeWell();
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

/**
 * Where the token is software too, a key in this process is no weaker in kind, and says what it is; where customers were promised an HSM,
 * the operator has to want it.
 */
const mayBeInSoftware = (setting: CustodyLimits['softwareKeys'], level: ProtectionLevel): boolean =>
  setting === 'allowed' || (setting === 'unless-hardware' && level !== 'HSM');

function dataKeyLength(length: number): number {
  if (!Number.isSafeInteger(length) || length < 1 || length > MAX_DATA_KEY_BYTES) throw new RangeError('A data key has 1 to 1024 bytes.');
  return length;
}
