import { base64, concat, fromBase64, hex, utf8 } from './octets.js';
import { sha256 } from './sha256.js';

/** Signature types of C2SP signed-note: a log's own, and cosignature/v1 of a witness. Both are Ed25519. */
const ED25519 = 0x01;
export const COSIGNATURE = 0x04;
type SignatureType = typeof ED25519 | typeof COSIGNATURE;
export const PUBLIC_KEY_BYTES = 32;
/** Neither Unicode spaces nor `+` (C2SP signed-note); other invisible characters would let two names look alike. */
export const KEY_NAME = /^[^\s+\p{C}]{1,200}$/u;

export interface VerifierKey {
  readonly name: string;
  readonly keyId: Uint8Array;
  /** Ed25519 (RFC 8032), 32 bytes. */
  readonly publicKey: Uint8Array;
}

/** A verifier key that nobody could have made. */
export class VerifierKeyRefused extends Error {
  constructor(detail: string) {
    super(`Not a verifier key: ${detail}.`);
    this.name = 'VerifierKeyRefused';
  }
}

/** First 4 bytes of SHA-256(name ‖ 0A ‖ type ‖ public key) (C2SP signed-note). A hint, not a proof: collisions are easy to make. */
export function keyId(name: string, publicKey: Uint8Array, type: SignatureType = ED25519): Uint8Array {
  return sha256(utf8(`${name}\n`), Uint8Array.of(type), publicKey).slice(0, 4);
}

/** The key as people pin it: `name+hex(key id)+base64(type ‖ public key)`. @throws VerifierKeyRefused */
export function vkey(name: string, publicKey: Uint8Array, type: SignatureType = ED25519): string {
  if (!KEY_NAME.test(name)) throw new VerifierKeyRefused('a name has 1 to 200 characters without spaces and "+"');
  if (publicKey.length !== PUBLIC_KEY_BYTES) throw new VerifierKeyRefused('a public key has 32 bytes');
  return `${name}+${hex(keyId(name, publicKey, type))}+${base64(concat(Uint8Array.of(type), publicKey))}`;
}

/** @throws VerifierKeyRefused unless `vkey` could have made this text. */
export const parseVkey = (text: string): VerifierKey => parseVkeyOf(ED25519, text);

/** The same for a key of this type. @throws VerifierKeyRefused */
export function parseVkeyOf(type: SignatureType, text: string): VerifierKey {
  // Base64 may hold `+` as well, so only the first two divide.
  const [, name, id, encoded] = /^([^+]*)\+([0-9a-f]{8})\+(.*)$/su.exec(text) ?? [];
  if (name === undefined || id === undefined || encoded === undefined) throw new VerifierKeyRefused('it is name+id+key');
  const typed = decoded(encoded);
  if (typed[0] !== type)
    throw new VerifierKeyRefused(type === ED25519 ? 'only Ed25519 is known' : 'it is no key of a witness (cosignature/v1)');
  const publicKey = typed.slice(1);
  if (vkey(name, publicKey, type) !== text) throw new VerifierKeyRefused('its id does not fit its key');
  return { name, keyId: keyId(name, publicKey, type), publicKey };
}

function decoded(text: string): Uint8Array {
  try {
    return fromBase64(text);
  } catch (cause) {
    throw new VerifierKeyRefused(`its key is ${cause instanceof RangeError ? cause.message : 'unreadable'}`);
  }
}
