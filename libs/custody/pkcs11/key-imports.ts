import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { KeySpec, SoftwareSpec } from '#contract';
import type { BoundImport, ImportedMaterial, ImportParameters, ProtectionLevel, WrappedKeyVersion } from '#core';
import { ImportRefused } from '../import-refused.js';
import type { PresentedVersion } from '../presented-version.js';
import type { BindingKey } from './binding-key.js';
import type { KeyHandle } from './cryptoki.js';
import { CryptokiError } from './cryptoki-error.js';
import { ephemeralInMemory } from './ephemeral-in-memory.js';
import { bearPair, failureOfPair } from './key-pairs.js';
import {
  checkedKey,
  ephemeralKey,
  HASH_OF,
  incomingVersion,
  isCipher,
  isPair,
  KEY_BYTES,
  KW_BYTES,
  wrappingKeyDecrypting,
  wrappingKeyInTransit,
  wrappingKeyInUse,
} from './key-templates.js';
import { AES_CMAC, CMAC_BYTES, IV_BYTES, type Wrapping } from './mechanisms.js';
import type { OpenToken } from './open-token.js';
import type { RsaBirths } from './rsa-births.js';
import { isSoftware } from './software-keys.js';
import type { TenantRoots } from './tenant-roots.js';

/** 4096 bits: what OAEP leaves in front of a wrapped key. */
const WRAPPING_KEY = 'RSA_4096';
const MODULUS_BYTES = 512;
const CHECK_LABEL = Buffer.from('keyward.import-check/1');
const OAEP: Readonly<Record<BoundImport['algorithm'], Wrapping>> = {
  RSAES_OAEP_SHA_1: 'RSAES_OAEP_SHA_1',
  RSAES_OAEP_SHA_256: 'RSAES_OAEP_SHA_256',
  RSA_AES_KEY_WRAP_SHA_1: 'RSAES_OAEP_SHA_1',
  RSA_AES_KEY_WRAP_SHA_256: 'RSAES_OAEP_SHA_256',
};

export interface IncomingMaterial {
  readonly encrypted: Buffer;
  readonly publicKey: Buffer | undefined;
  readonly validTo: number;
  /** The version's row so far. */
  readonly before: PresentedVersion | undefined;
  /** Number of the root that wraps it from now on. */
  readonly root: number;
}

/** Keys from outside: unwrapped in the HSM, wrapped under the tenant's root there, and never readable in between. */
export class KeyImportsInHsm {
  constructor(
    private readonly token: OpenToken,
    private readonly roots: TenantRoots,
    private readonly binding: BindingKey,
    private readonly births: RsaBirths,
    private readonly protectionLevel: ProtectionLevel,
  ) {}

  /** A wrapping key for one import. @throws CustodyBusy */
  async create(parameters: ImportParameters, root: number): Promise<{ readonly bound: BoundImport; readonly publicKey: Buffer }> {
    const under = this.roots.of(parameters.tenant, root);
    // It signs once, to prove itself; from then on it is only ever unwrapped to unwrap.
    const { blob, publicKey } = await this.births.take(parameters.tenant, () => bearPair(this.token, under, WRAPPING_KEY, 'SIGN_VERIFY'));
    const bound = { ...parameters, blob };
    return { bound: { ...bound, mac: this.binding.importMac(bound) }, publicKey };
  }

  /** The same wrapping key under another root. @throws KeyBindingBroken */
  rewrapped(bound: BoundImport, root: number): BoundImport {
    this.binding.verifyImport(bound);
    const { cryptoki, holder } = this.token;
    const target = this.roots.of(bound.tenant, root);
    const old = Buffer.from(bound.blob);
    const handle = this.roots.unwrapping(bound.tenant, (from) => cryptoki.unwrap(holder, from, old, wrappingKeyInTransit, 'kwp'));
    try {
      const anew = { ...bound, blob: cryptoki.wrap(holder, target, handle, 'kwp') };
      return { ...anew, mac: this.binding.importMac(anew) };
    } finally {
      this.token.destroy(handle);
    }
  }

  /** `inMemory`: its ephemeral key passes this process. @throws ImportRefused, KeyBindingBroken */
  take(bound: BoundImport, material: IncomingMaterial, now: number, inMemory: boolean): WrappedKeyVersion {
    this.binding.verifyImport(bound);
    if (bound.expiresAt <= now) throw new ImportRefused('importExpired');
    const { tenant, keyId, versionId, spec, usage, logId } = bound;
    if (isSoftware(spec)) throw new RangeError('Keys in software are not imported.');
    const before = material.before && this.#ofSameVersion(material.before, bound);
    const under = this.roots.of(tenant, material.root);
    const wrapping = this.roots.unwrapping(tenant, (root) =>
      this.token.cryptoki.unwrap(
        this.token.holder,
        root,
        Buffer.from(bound.blob),
        inMemory ? wrappingKeyDecrypting : wrappingKeyInUse,
        'kwp',
      ),
    );
    const kept = this.#kept(under, wrapping, bound, spec, material, inMemory);
    if (before?.imported !== undefined && !sameCheck(before.imported.check, kept.imported.check)) throw new ImportRefused('otherMaterial');
    // What once passed a memory has done so for good.
    const imported: ImportedMaterial = { ...kept.imported, inMemory: inMemory || before?.imported?.inMemory === true };
    const version = { tenant, keyId, versionId, spec, usage, origin: 'EXTERNAL' as const, logId };
    const row = { ...version, protectionLevel: this.protectionLevel, ...kept, imported };
    return { ...row, mac: this.binding.mac(row) };
  }

  /** @throws KeyBindingBroken */
  empty(version: WrappedKeyVersion): WrappedKeyVersion {
    this.binding.verify(version);
    const row = { ...version, blob: new Uint8Array(0) };
    return { ...row, mac: this.binding.mac(row) };
  }

  /** What it held is not believed of an edited row, or other material would come under its name. @throws KeyBindingBroken */
  #ofSameVersion(presented: PresentedVersion, { keyId, versionId }: BoundImport): WrappedKeyVersion {
    const row = presented.row();
    this.binding.verify(row);
    if (row.keyId !== keyId || row.versionId !== versionId) throw new RangeError('The row is of another version.');
    return row;
  }

  /** `wrapping` ends here. */
  #kept(
    root: KeyHandle,
    wrapping: KeyHandle,
    bound: BoundImport,
    spec: Exclude<KeySpec, SoftwareSpec>,
    material: IncomingMaterial,
    inMemory: boolean,
  ) {
    const { cryptoki, holder } = this.token;
    const made: KeyHandle[] = [wrapping];
    const keep = (handle: KeyHandle): KeyHandle => {
      made.push(handle);
      return handle;
    };
    try {
      const key = keep(this.#incoming(wrapping, bound, spec, material.encrypted, inMemory, keep));
      if (isCipher(spec)) this.#mustWork(key);
      const blob = cryptoki.wrap(holder, root, key, isPair(spec) ? 'kwp' : 'kw');
      const publicKey = isPair(spec) ? this.#proven(root, bound, blob, material.publicKey) : undefined;
      // Where a module unwraps 24 bytes as "AES_256", or 40 as "HMAC_256", the blob is of another length.
      if (!isPair(spec) && blob.length !== KEY_BYTES[spec] + KW_BYTES) throw new ImportRefused('notMaterial');
      const check = this.#checkOf(root, bound, blob, publicKey, key);
      const imported = { check, validTo: material.validTo };
      return { blob, ...(publicKey && { publicKey }), imported };
    } catch (error) {
      if (!(error instanceof CryptokiError) && !(error instanceof RangeError)) throw error;
      throw new ImportRefused('notMaterial');
    } finally {
      for (const handle of made) this.token.destroy(handle);
    }
  }

  #incoming(
    wrapping: KeyHandle,
    { algorithm, usage }: BoundImport,
    spec: Exclude<KeySpec, SoftwareSpec>,
    encrypted: Buffer,
    inMemory: boolean,
    keep: (handle: KeyHandle) => KeyHandle,
  ): KeyHandle {
    const { cryptoki, holder } = this.token;
    const template = incomingVersion(spec, usage);
    if (algorithm.startsWith('RSAES')) return cryptoki.unwrap(holder, wrapping, encrypted, template, OAEP[algorithm]);
    if (encrypted.length <= MODULUS_BYTES) throw new ImportRefused('notMaterial');
    const toHsm = encrypted.subarray(0, MODULUS_BYTES);
    const ephemeral = inMemory
      ? ephemeralInMemory(this.token, wrapping, toHsm)
      : cryptoki.unwrap(holder, wrapping, toHsm, ephemeralKey, OAEP[algorithm]);
    keep(ephemeral);
    return cryptoki.unwrap(holder, ephemeral, encrypted.subarray(MODULUS_BYTES), template, 'kwp');
  }

  /** SoftHSM unwraps 31 bytes as an "AES key", and a wrap would fill them up to 32 with a zero. It uses no such key; of an HMAC's, its check refuses. */
  #mustWork(key: KeyHandle): void {
    this.token.operate((session) => this.token.cryptoki.seal(session, key, randomBytes(IV_BYTES), CHECK_LABEL, CHECK_LABEL));
  }

  /** A pair's public half is believed once both halves undid each other. */
  #proven(root: KeyHandle, { spec, usage }: BoundImport, blob: Buffer, publicKey: Buffer | undefined): Buffer {
    if (!isPair(spec) || publicKey === undefined) throw new ImportRefused('notMaterial');
    if (failureOfPair(this.token, root, spec, usage, { blob, publicKey }) !== undefined) throw new ImportRefused('notMaterial');
    return Buffer.from(publicKey);
  }

  /** Over a fixed label, never AES of zeros: that is GCM's hash key (NIST SP 800-38D). */
  #checkOf(root: KeyHandle, { spec }: BoundImport, blob: Buffer, publicKey: Buffer | undefined, key: KeyHandle): Buffer {
    if (publicKey !== undefined) return createHash('sha256').update(publicKey).digest();
    const { cryptoki, holder } = this.token;
    const hash = HASH_OF[spec];
    if (hash !== undefined) return this.token.operate((session) => cryptoki.mac(session, key, CHECK_LABEL, hash));
    if (!isCipher(spec)) throw new RangeError('No check value for this spec.');
    const signs = cryptoki.unwrap(holder, root, blob, checkedKey);
    try {
      return this.token.operate((session) => cryptoki.sign(session, AES_CMAC, signs, CHECK_LABEL, CMAC_BYTES));
    } finally {
      this.token.destroy(signs);
    }
  }
}

const sameCheck = (one: Uint8Array, other: Uint8Array): boolean => one.length === other.length && timingSafeEqual(one, other);
