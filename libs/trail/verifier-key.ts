import { base64, concat, fromBase64, hex, utf8 } from './octets.js';
import { sha256 } from './sha256.js';

/** Signature types of C2SP signed-note: a log's own, where an HSM has no Ed25519 ECDSA on P-256; and cosignature/v1 of a witness, Ed25519. */
const ED25519 = 0x01;
export const ECDSA = 0x02;
export const COSIGNATURE = 0x04;
type SignatureType = typeof ED25519 | typeof ECDSA | typeof COSIGNATURE;
const PUBLIC_KEY_BYTES = 32;
/** SubjectPublicKeyInfo of a point on P-256 that is not compressed (RFC 5480): all but the point is the same for each. */
const P256_SPKI_BYTES = 91;
const P256_SPKI_HEAD = '3059301306072a8648ce3d020106082a8648ce3d03010703420004';
/** Neither Unicode spaces nor `+` (C2SP signed-note); other invisible characters would let two names look alike. */
export const KEY_NAME = /^[^\s+\p{C}]{1,200}$/u;

export interface VerifierKey {
  readonly name: string;
  readonly type: SignatureType;
  readonly keyId: Uint8Array;
  /** Ed25519 (RFC 8032): 32 bytes. ECDSA on P-256: SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /** As people pin it. */
  readonly text: string;
}

/** A verifier key that nobody could have made. */
export class VerifierKeyRefused extends Error {
  constructor(detail: string) {
    super(`Not a verifier key: ${detail}.`);
    this.name = 'VerifierKeyRefused';
  }
}

/**
 * First 4 bytes of SHA-256(name ‖ 0A ‖ type ‖ public key), for ECDSA of SHA-256(public key) (C2SP signed-note). A hint, not a proof: collisions
 * are easy to make.
 */
export function keyId(name: string, publicKey: Uint8Array, type: SignatureType = ED25519): Uint8Array {
  if (type === ECDSA) return sha256(publicKey).slice(0, 4);
  return sha256(utf8(`${name}\n`), Uint8Array.of(type), publicKey).slice(0, 4);
}

/** The key as people pin it: `name+hex(key id)+base64(type ‖ public key)`. @throws VerifierKeyRefused */
export function vkey(name: string, publicKey: Uint8Array, type: SignatureType = ED25519): string {
  if (!KEY_NAME.test(name)) throw new VerifierKeyRefused('a name has 1 to 200 characters without spaces and "+"');
  if (!isPublicKey(publicKey, type)) throw new VerifierKeyRefused(type === ECDSA ? 'it is no point on P-256' : 'a public key has 32 bytes');
  return `${name}+${hex(keyId(name, publicKey, type))}+${base64(concat(Uint8Array.of(type), publicKey))}`;
}

/** A log's key. @throws VerifierKeyRefused unless `vkey` could have made this text. */
export const parseVkey = (text: string): VerifierKey => parseVkeyOf([ED25519, ECDSA], text);

/** The same for a key of one of these types. @throws VerifierKeyRefused */
export function parseVkeyOf(types: readonly SignatureType[], text: string): VerifierKey {
  // Base64 may hold `+` as well, so only the first two divide.
  const [, name, id, encoded] = /^([^+]*)\+([0-9a-f]{8})\+(.*)$/su.exec(text) ?? [];
  if (name === undefined || id === undefined || encoded === undefined) throw new VerifierKeyRefused('it is name+id+key');
  const typed = decoded(encoded);
  const type = types.find((one) => one === typed[0]);
  if (type === undefined)
    throw new VerifierKeyRefused(
      types.includes(COSIGNATURE) ? 'it is no key of a witness (cosignature/v1)' : 'only Ed25519 and ECDSA on P-256 are known',
    );
  const publicKey = typed.slice(1);
  if (vkey(name, publicKey, type) !== text) throw new VerifierKeyRefused('its id does not fit its key');
  return { name, type, keyId: keyId(name, publicKey, type), publicKey, text };
}

const isPublicKey = (publicKey: Uint8Array, type: SignatureType): boolean =>
  type === ECDSA
    ? publicKey.length === P256_SPKI_BYTES && hex(publicKey.subarray(0, P256_SPKI_HEAD.length / 2)) === P256_SPKI_HEAD
    : publicKey.length === PUBLIC_KEY_BYTES;

function decoded(text: string): Uint8Array {
  try {
    return fromBase64(text);
  } catch (cause) {
    throw new VerifierKeyRefused(`its key is ${cause instanceof RangeError ? cause.message : 'unreadable'}`);
  }
}
