import { isAbsolute } from 'node:path';
import pkcs11js from 'pkcs11js';
import { CustodyUnavailable } from '#core';
import { checked, checkedLater, CKR_MECHANISM_INVALID, CryptokiError, SIGNATURE_CODES } from './cryptoki-error.js';
import { EPHEMERAL_BYTES, ephemeralKey } from './key-templates.js';
import {
  EDDSA,
  gcm,
  HASHES,
  hmac,
  type HmacHash,
  inRange,
  type Mechanism,
  numbered,
  TAG_BYTES,
  WRAPPING,
  type Wrapping,
} from './mechanisms.js';
import { attributeNumber, CKM_EC_EDWARDS_KEY_PAIR_GEN, nativeTemplate } from './template.js';
import type { AttributeName, Template } from './template.js';

declare const kind: unique symbol;
type Handle<Kind extends string> = Buffer & { readonly [kind]: Kind };
export type Slot = Handle<'slot'>;
export type Session = Handle<'session'>;
/** Valid in the process and the initialisation (epoch) that made it, nowhere else: never stored, never sent. */
export type KeyHandle = Handle<'key'>;

export interface KeyPair {
  readonly publicKey: KeyHandle;
  readonly privateKey: KeyHandle;
}

export interface TokenState {
  readonly label: string;
  readonly initialised: boolean;
  readonly userPinSet: boolean;
  readonly pinLocked: boolean;
  readonly pinFinalTry: boolean;
  readonly pinCountLow: boolean;
}

/** 6144 for a caller's plaintext. */
export const MAX_PLAINTEXT_BYTES = 6144;
/** A key of 64 bytes, wrapped, is 72; a private key in PKCS#8 is longer. */
const MAX_WRAPPED_BYTES = 4096;
/** The modulus of RSA_4096. */
const MAX_RSA_BYTES = 512;
const FOUND_AT_ONCE = 1000;
/** Missing in the binding's types. */
const CKF_HW_SLOT = 0x04;
const ED25519_PARAMS = Buffer.from('06032b6570', 'hex');

/**
 * The PKCS#11 calls that Keyward makes, and no others. pkcs11js aborts the whole process on malformed input (wrong types,
 * undefined values), so everything is checked here before it gets there. Synchronous: the callback forms of 2.1 do not hold
 * their input against the collector. Throws CryptokiError for CK_RVs, CustodyUnavailable
 * for answers that are none, TypeError and RangeError for our own mistakes.
 */
export class Cryptoki {
  readonly #module = new pkcs11js.PKCS11();
  /** Arguments of what is under way on other threads. */
  readonly #held = new Set<object>();
  readonly #sealed = Buffer.alloc(MAX_PLAINTEXT_BYTES + TAG_BYTES);
  /** CKM_… of AES-KWP in this module: see dialect.ts. */
  keyWrapPad: number | undefined;

  /** Loads a module by absolute path; call initialise before anything else. */
  constructor(path: string) {
    if (!isAbsolute(path) || path.includes('\0')) throw new TypeError('A PKCS#11 module is named by an absolute path.');
    this.#module.load(path);
  }

  /** Always with CKF_OS_LOCKING_OK: without it modules crash as soon as a second thread exists, and Node has several. */
  initialise(): void {
    checked('C_Initialize', () => this.#module.C_Initialize({ flags: pkcs11js.CKF_OS_LOCKING_OK }));
  }

  /** Ends every session and object of this process. */
  finalise(): void {
    checked('C_Finalize', () => this.#module.C_Finalize());
  }

  /** Manufacturer, description and version, as the module tells them. */
  describe(): string {
    const { manufacturerID, libraryDescription, libraryVersion } = checked('C_GetInfo', () => this.#module.C_GetInfo());
    return `${manufacturerID.trim()} ${libraryDescription.trim()} ${libraryVersion.major}.${libraryVersion.minor}`;
  }

  slots(): readonly Slot[] {
    return checked('C_GetSlotList', () => this.#module.C_GetSlotList(true)) as unknown as Slot[];
  }

  isHardware(slot: Slot): boolean {
    return hasFlag(checked('C_GetSlotInfo', () => this.#module.C_GetSlotInfo(slot)).flags, CKF_HW_SLOT);
  }

  /** Serial number and firmware of the device, as it tells them: a record quotes them, so nothing in them may forge a line. */
  identity(slot: Slot): { readonly serial: string; readonly firmware: string } {
    const { serialNumber, firmwareVersion } = checked('C_GetTokenInfo', () => this.#module.C_GetTokenInfo(slot));
    const serial = serialNumber.replaceAll(/[^\x21-\x7e]+/g, ' ').trim();
    return { serial, firmware: `${firmwareVersion.major}.${firmwareVersion.minor}` };
  }

  tokenState(slot: Slot): TokenState {
    const { label, flags } = checked('C_GetTokenInfo', () => this.#module.C_GetTokenInfo(slot));
    return {
      label: label.trimEnd(),
      initialised: hasFlag(flags, pkcs11js.CKF_TOKEN_INITIALIZED),
      userPinSet: hasFlag(flags, pkcs11js.CKF_USER_PIN_INITIALIZED),
      pinLocked: hasFlag(flags, pkcs11js.CKF_USER_PIN_LOCKED),
      pinFinalTry: hasFlag(flags, pkcs11js.CKF_USER_PIN_FINAL_TRY),
      pinCountLow: hasFlag(flags, pkcs11js.CKF_USER_PIN_COUNT_LOW),
    };
  }

  initToken(slot: Slot, soPin: string, label: string): void {
    if (!/^[\x21-\x7e]{1,32}$/.test(label)) throw new RangeError('A token label is 1 to 32 printable characters.');
    // The module reads 32 bytes, padded by blanks; the binding does not pad.
    const padded = label.padEnd(32);
    checked('C_InitToken', () => this.#module.C_InitToken(slot, pinOf(soPin), padded));
  }

  initPin(session: Session, pin: string): void {
    checked('C_InitPIN', () => this.#module.C_InitPIN(session, pinOf(pin)));
  }

  openSession(slot: Slot, access: 'read' | 'read-write'): Session {
    const flags = pkcs11js.CKF_SERIAL_SESSION | (access === 'read-write' ? pkcs11js.CKF_RW_SESSION : 0);
    return checked('C_OpenSession', () => this.#module.C_OpenSession(slot, flags)) as unknown as Session;
  }

  closeSession(session: Session): void {
    checked('C_CloseSession', () => this.#module.C_CloseSession(session));
  }

  login(session: Session, user: 'user' | 'so', pin: string): void {
    const type = user === 'user' ? pkcs11js.CKU_USER : pkcs11js.CKU_SO;
    checked('C_Login', () => this.#module.C_Login(session, type, pinOf(pin)));
  }

  /** All objects that carry every attribute of the template. Slow on large tokens: never on a hot path. */
  find(session: Session, template: Template): readonly KeyHandle[] {
    const native = nativeTemplate(template);
    checked('C_FindObjectsInit', () => this.#module.C_FindObjectsInit(session, native));
    try {
      const found: KeyHandle[] = [];
      for (;;) {
        const more = checked('C_FindObjects', () => this.#module.C_FindObjects(session, FOUND_AT_ONCE)) as unknown as KeyHandle[];
        if (more.length === 0) return found;
        found.push(...more);
      }
    } finally {
      checked('C_FindObjectsFinal', () => this.#module.C_FindObjectsFinal(session));
    }
  }

  /** An attribute's bytes; a flag is one byte. */
  attribute(session: Session, object: KeyHandle, name: AttributeName): Buffer {
    const asked = [{ type: attributeNumber(name) }];
    const value = checked('C_GetAttributeValue', () => this.#module.C_GetAttributeValue(session, object, asked))[0]?.value;
    if (!Buffer.isBuffer(value)) throw new CustodyUnavailable('the module answered without a value');
    return value;
  }

  generateKey(session: Session, type: 'aes' | 'generic', template: Template): KeyHandle {
    const mechanism = type === 'aes' ? pkcs11js.CKM_AES_KEY_GEN : pkcs11js.CKM_GENERIC_SECRET_KEY_GEN;
    const native = nativeTemplate(template);
    return checked('C_GenerateKey', () => this.#module.C_GenerateKey(session, { mechanism }, native)) as KeyHandle;
  }

  generateEd25519(session: Session, publicTemplate: Template, privateTemplate: Template): KeyPair {
    return this.#generatePair(session, CKM_EC_EDWARDS_KEY_PAIR_GEN, { ...publicTemplate, ecParams: ED25519_PARAMS }, privateTemplate);
  }

  /** The curve is the public template's. */
  generateEc(session: Session, publicTemplate: Template, privateTemplate: Template): KeyPair {
    return this.#generatePair(session, pkcs11js.CKM_EC_KEY_PAIR_GEN, publicTemplate, privateTemplate);
  }

  /**
   * On a thread of the pool, since it takes seconds: in a session that nothing else uses meanwhile. Modulus and exponent are the public
   * template's. The binding reads its arguments from there, so they are held until it is done.
   */
  async generateRsa(session: Session, publicTemplate: Template, privateTemplate: Template): Promise<KeyPair> {
    const [open, secret] = [nativeTemplate(publicTemplate), nativeTemplate(privateTemplate)];
    const held = { session, open, secret, mechanism: { mechanism: pkcs11js.CKM_RSA_PKCS_KEY_PAIR_GEN } };
    this.#held.add(held);
    try {
      const pair = await checkedLater('C_GenerateKeyPair', this.#module.C_GenerateKeyPairAsync(session, held.mechanism, open, secret));
      return { publicKey: pair.publicKey as KeyHandle, privateKey: pair.privateKey as KeyHandle };
    } finally {
      this.#held.delete(held);
    }
  }

  /** Bits of the longest RSA key that the module makes; 0 where it makes none. */
  longestRsa(slot: Slot): number {
    try {
      const info = checked('C_GetMechanismInfo', () => this.#module.C_GetMechanismInfo(slot, pkcs11js.CKM_RSA_PKCS_KEY_PAIR_GEN));
      return info.maxKeySize;
    } catch (error) {
      if (error instanceof CryptokiError) return 0;
      throw error;
    }
  }

  /** A public key that somebody has: nothing secret comes into the token so. */
  createPublicKey(session: Session, template: Template): KeyHandle {
    if (template.class !== pkcs11js.CKO_PUBLIC_KEY) throw new TypeError('Only public keys are put into a token.');
    const native = nativeTemplate(template);
    return checked('C_CreateObject', () => this.#module.C_CreateObject(session, native)) as KeyHandle;
  }

  /** The one secret that comes into the token from this process: it unwraps. The binding frees its own copy of the bytes as it is. */
  createEphemeral(session: Session, value: Buffer): KeyHandle {
    if (!inRange(value, EPHEMERAL_BYTES, EPHEMERAL_BYTES)) throw new RangeError('An ephemeral key has 32 bytes.');
    const native = nativeTemplate({ ...ephemeralKey, value });
    return checked('C_CreateObject', () => this.#module.C_CreateObject(session, native)) as KeyHandle;
  }

  destroy(session: Session, object: KeyHandle): void {
    checked('C_DestroyObject', () => this.#module.C_DestroyObject(session, object));
  }

  wrap(session: Session, root: KeyHandle, key: KeyHandle, by: Wrapping = 'kw'): Buffer {
    return this.wrapBy(session, this.#mechanismOf(by), root, key);
  }

  /** Wraps with whatever the module calls this number. */
  wrapBy(session: Session, mechanism: Mechanism, root: KeyHandle, key: KeyHandle): Buffer {
    const room = Buffer.alloc(MAX_WRAPPED_BYTES);
    return Buffer.from(checked('C_WrapKey', () => this.#module.C_WrapKey(session, mechanism, root, key, room)));
  }

  unwrap(session: Session, root: KeyHandle, blob: Buffer, template: Template, by: Wrapping = 'kw'): KeyHandle {
    const native = nativeTemplate(template);
    if (!Buffer.isBuffer(blob) || blob.length === 0) throw new TypeError('A wrapped key is bytes.');
    const mechanism = this.#mechanismOf(by);
    return checked('C_UnwrapKey', () => this.#module.C_UnwrapKey(session, mechanism, root, blob, native)) as KeyHandle;
  }

  /** AES-256-GCM. The answer, ciphertext ‖ tag, is a view that the next call overwrites. */
  seal(session: Session, key: KeyHandle, iv: Buffer, aad: Buffer, plaintext: Buffer): Buffer {
    if (!inRange(plaintext, 1, MAX_PLAINTEXT_BYTES)) throw new RangeError('A plaintext has 1 to 6144 bytes.');
    const mechanism = gcm(iv, aad);
    checked('C_EncryptInit', () => this.#module.C_EncryptInit(session, mechanism, key));
    const sealed = checked('C_Encrypt', () => this.#module.C_Encrypt(session, plaintext, this.#sealed));
    if (sealed.length !== plaintext.length + TAG_BYTES)
      throw new CustodyUnavailable('the module answered a ciphertext of the wrong length');
    return sealed;
  }

  /** AES-256-GCM; the answer is a buffer of its own, the caller wipes it. */
  open(session: Session, key: KeyHandle, iv: Buffer, aad: Buffer, sealed: Buffer): Buffer {
    if (!inRange(sealed, TAG_BYTES + 1, MAX_PLAINTEXT_BYTES + TAG_BYTES)) throw new RangeError('A ciphertext has 17 to 6160 bytes.');
    const mechanism = gcm(iv, aad);
    checked('C_DecryptInit', () => this.#module.C_DecryptInit(session, mechanism, key));
    // As long as the input: modules want room for the tag too.
    const room = Buffer.alloc(sealed.length);
    return checked('C_Decrypt', () => this.#module.C_Decrypt(session, sealed, room));
  }

  /** HMAC, as long as its hash. */
  mac(session: Session, key: KeyHandle, message: Buffer, hash: HmacHash = 'SHA-256'): Buffer {
    return this.sign(session, hmac(hash), key, message, HASHES[hash].bytes);
  }

  /** Ed25519 (RFC 8032), 64 bytes. */
  signEd25519(session: Session, key: KeyHandle, message: Buffer): Buffer {
    return this.sign(session, EDDSA, key, message, 64);
  }

  /** Of a digest, or what stands for one. */
  verify(session: Session, mechanism: Mechanism, key: KeyHandle, digest: Buffer, signature: Buffer): boolean {
    if (!inRange(digest, 1, 128) || !inRange(signature, 1, MAX_RSA_BYTES)) throw new RangeError('A digest and a signature are bytes.');
    checked('C_VerifyInit', () => this.#module.C_VerifyInit(session, mechanism, key));
    try {
      return checked('C_Verify', () => this.#module.C_Verify(session, digest, signature));
    } catch (error) {
      // It ends the operation as a success does: the session stays.
      if (error instanceof CryptokiError && SIGNATURE_CODES.has(error.code)) return false;
      throw error;
    }
  }

  /** To a public key; as long as its modulus. */
  encrypt(session: Session, mechanism: Mechanism, key: KeyHandle, plaintext: Buffer): Buffer {
    if (!inRange(plaintext, 1, MAX_RSA_BYTES)) throw new RangeError('A plaintext is bytes, shorter than the modulus.');
    checked('C_EncryptInit', () => this.#module.C_EncryptInit(session, mechanism, key));
    return checked('C_Encrypt', () => this.#module.C_Encrypt(session, plaintext, Buffer.alloc(MAX_RSA_BYTES)));
  }

  /** With a private key; the answer is a buffer of its own, the caller wipes it. */
  decrypt(session: Session, mechanism: Mechanism, key: KeyHandle, ciphertext: Buffer): Buffer {
    if (!inRange(ciphertext, 1, MAX_RSA_BYTES)) throw new RangeError('A ciphertext is bytes, as many as the modulus.');
    checked('C_DecryptInit', () => this.#module.C_DecryptInit(session, mechanism, key));
    return checked('C_Decrypt', () => this.#module.C_Decrypt(session, ciphertext, Buffer.alloc(MAX_RSA_BYTES)));
  }

  /** Fills the buffer from the token's generator. */
  random(session: Session, into: Buffer): void {
    if (!inRange(into, 1, 65_536)) throw new RangeError('1 to 65536 random bytes at a time.');
    checked('C_GenerateRandom', () => this.#module.C_GenerateRandom(session, into));
  }

  #mechanismOf(by: Wrapping): Mechanism {
    if (by !== 'kwp') return WRAPPING[by];
    if (this.keyWrapPad === undefined) throw new CryptokiError('AES-KWP', CKR_MECHANISM_INVALID, 'CKR_MECHANISM_INVALID');
    return numbered(this.keyWrapPad);
  }

  #generatePair(session: Session, mechanism: number, publicTemplate: Template, privateTemplate: Template): KeyPair {
    const [open, secret] = [nativeTemplate(publicTemplate), nativeTemplate(privateTemplate)];
    const pair = checked('C_GenerateKeyPair', () => this.#module.C_GenerateKeyPair(session, { mechanism }, open, secret));
    return { publicKey: pair.publicKey as KeyHandle, privateKey: pair.privateKey as KeyHandle };
  }

  /** A signature or MAC of `length` bytes. */
  sign(session: Session, mechanism: Mechanism, key: KeyHandle, message: Buffer, length: number): Buffer {
    if (!inRange(message, 1, 65_536)) throw new RangeError('A message has 1 to 65536 bytes.');
    checked('C_SignInit', () => this.#module.C_SignInit(session, mechanism, key));
    const signature = checked('C_Sign', () => this.#module.C_Sign(session, message, Buffer.alloc(length)));
    if (signature.length !== length) throw new CustodyUnavailable('the module answered a signature of the wrong length');
    return signature;
  }
}

const hasFlag = (flags: number, flag: number) => (flags & flag) !== 0;

function pinOf(pin: string): string {
  if (typeof pin !== 'string' || pin.length === 0) throw new TypeError('A PIN is a text.');
  return pin;
}
