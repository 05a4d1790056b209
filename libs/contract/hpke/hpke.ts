import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { RECIPIENT_KEYS, type RecipientKind, recipientKindOf } from '../recipient.js';

// Numbers of RFC 9180 §7.
const KEM_ID: Readonly<Record<RecipientKind, number>> = { X25519: 0x0020, 'P-256': 0x0010 };
const HKDF_SHA256 = 0x0001;
const AES_256_GCM = 0x0002;
const HASH_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const BASE_MODE = Uint8Array.of(0);
const NOTHING = new Uint8Array(0);
const INFO = Buffer.from('keyward recipient v1\0');
const CIPHER = 'aes-256-gcm';

/**
 * Seals one plaintext to a public key: HPKE (RFC 9180) in base mode, DHKEM(X25519 or P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, with
 * the info `keyward recipient v1`, 00 and what the plaintext is `of`, and no AAD. What is made answers encapsulated key ‖ ciphertext ‖ tag,
 * once: a second message under the secret would share its nonce.
 * @throws RangeError for what is no such key, or shares no secret (a point of small order)
 */
export function sealerTo(spki: Uint8Array): (plaintext: Uint8Array, of: Uint8Array) => Buffer {
  const { kind, encapsulated, secret } = encapsulatedTo(spki);
  const unused = [secret];
  return (plaintext, of) => {
    const { key, nonce } = keyed(kind, unused.pop()!, of);
    const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
    key.fill(0);
    return Buffer.concat([encapsulated, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  };
}

/**
 * What was sealed to the public half of this key; the caller wipes it.
 * @throws Error for anything else, without telling why
 */
export function openAsRecipient(privateKey: KeyObject, sealed: Uint8Array, of: Uint8Array): Buffer {
  const kind = recipientKindOf(createPublicKey(privateKey).export({ format: 'der', type: 'spki' }));
  if (kind === undefined) throw new RangeError('Not a key of X25519 or P-256.');
  const { bytes } = RECIPIENT_KEYS[kind];
  if (sealed.length < bytes + TAG_BYTES) throw unopened();
  const { key, nonce } = keyed(kind, decapsulated(kind, privateKey, sealed.subarray(0, bytes)), of);
  const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  key.fill(0);
  const plaintext = decipher.setAuthTag(sealed.subarray(-TAG_BYTES)).update(sealed.subarray(bytes, -TAG_BYTES));
  try {
    decipher.final();
    return plaintext;
  } catch {
    plaintext.fill(0);
    throw unopened();
  }
}

const unopened = () => new RangeError('It was not sealed to this key, or it is of something else.');

/** A secret shared with the owner of the public key, and what tells it to them (§4.1). */
function encapsulatedTo(spki: Uint8Array) {
  const kind = recipientKindOf(spki);
  if (kind === undefined) throw new RangeError('Not a public key of X25519 or P-256.');
  const ephemeral = kind === 'X25519' ? generateKeyPairSync('x25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const encapsulated = onTheWire(kind, ephemeral.publicKey);
  try {
    const publicKey = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
    const shared = diffieHellman({ privateKey: ephemeral.privateKey, publicKey });
    return { kind, encapsulated, secret: secretOf(kind, shared, encapsulated, onTheWire(kind, publicKey)) };
  } catch (cause) {
    throw new RangeError('Not a point that shares a secret.', { cause });
  }
}

/** The same secret, on the side of the private key. */
export function decapsulated(kind: RecipientKind, privateKey: KeyObject, encapsulated: Uint8Array): Buffer {
  const spki = Buffer.concat([Buffer.from(RECIPIENT_KEYS[kind].spki, 'hex'), encapsulated]);
  try {
    const shared = diffieHellman({ privateKey, publicKey: createPublicKey({ key: spki, format: 'der', type: 'spki' }) });
    return secretOf(kind, shared, encapsulated, onTheWire(kind, createPublicKey(privateKey)));
  } catch {
    throw unopened();
  }
}

const onTheWire = (kind: RecipientKind, publicKey: KeyObject): Buffer =>
  publicKey.export({ format: 'der', type: 'spki' }).subarray(-RECIPIENT_KEYS[kind].bytes);

/** `ExtractAndExpand` of §4.1. `shared` is wiped. */
function secretOf(kind: RecipientKind, shared: Buffer, encapsulated: Uint8Array, publicKey: Uint8Array): Buffer {
  const { extract, expand } = labeled(Buffer.concat([Buffer.from('KEM'), u16(KEM_ID[kind])]));
  const extracted = extract(NOTHING, 'eae_prk', shared);
  const secret = expand(extracted, 'shared_secret', Buffer.concat([encapsulated, publicKey]), HASH_BYTES);
  shared.fill(0);
  extracted.fill(0);
  return secret;
}

/** `KeySchedule` of §5.1: key and nonce of the first message. `secret` is wiped. */
function keyed(kind: RecipientKind, secret: Buffer, of: Uint8Array): { readonly key: Buffer; readonly nonce: Buffer } {
  const { extract, expand } = labeled(Buffer.concat([Buffer.from('HPKE'), u16(KEM_ID[kind]), u16(HKDF_SHA256), u16(AES_256_GCM)]));
  const context = Buffer.concat([
    BASE_MODE,
    extract(NOTHING, 'psk_id_hash', NOTHING),
    extract(NOTHING, 'info_hash', Buffer.concat([INFO, of])),
  ]);
  const base = extract(secret, 'secret', NOTHING);
  const suite = { key: expand(base, 'key', context, HASH_BYTES), nonce: expand(base, 'base_nonce', context, NONCE_BYTES) };
  secret.fill(0);
  base.fill(0);
  return suite;
}

/** `LabeledExtract` and `LabeledExpand` of §4; what is expanded is never longer than one hash. */
const labeled = (suite: Uint8Array) => ({
  extract: (salt: Uint8Array, label: string, keyMaterial: Uint8Array): Buffer =>
    createHmac('sha256', salt).update('HPKE-v1').update(suite).update(label).update(keyMaterial).digest(),
  expand: (secret: Uint8Array, label: string, info: Uint8Array, bytes: number): Buffer =>
    createHmac('sha256', secret)
      .update(u16(bytes))
      .update('HPKE-v1')
      .update(suite)
      .update(label)
      .update(info)
      .update(Uint8Array.of(1))
      .digest()
      .subarray(0, bytes),
});

const u16 = (value: number) => Uint8Array.of(value >> 8, value & 0xff);
