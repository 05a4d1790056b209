import { createPublicKey, verify } from 'node:crypto';
import type { EncryptionAlgorithm, SigningAlgorithm } from '#contract';
import type { KeyHandle } from './cryptoki.js';
import { CURVES, type HandledSpec, isCurve, isEdwards, type PairSpec, RSA_BITS } from './key-templates.js';
import { ECDSA, EDDSA, type Mechanism, pss, RSA_PKCS1, WRAPPING } from './mechanisms.js';
import type { OpenToken } from './open-token.js';

/** DigestInfo before the digest (RFC 8017 §9.2, note 1). */
const DIGEST_INFO = {
  'SHA-256': Buffer.from('3031300d060960864801650304020105000420', 'hex'),
  'SHA-384': Buffer.from('3041300d060960864801650304020205000430', 'hex'),
  'SHA-512': Buffer.from('3051300d060960864801650304020305000440', 'hex'),
} as const;
const pkcs1 = (hash: keyof typeof DIGEST_INFO) => ({ mechanism: RSA_PKCS1, before: DIGEST_INFO[hash] });
const NOTHING = Buffer.alloc(0);
const ECDSA_SIGNS = { mechanism: ECDSA, before: NOTHING };

/** `ECDSA`: by whichever digest belongs to the curve. */
export type Signing = Exclude<SigningAlgorithm, 'SM2DSA'> | 'ECDSA';
const SIGNING: Readonly<Record<Signing, { readonly mechanism: Mechanism; readonly before: Buffer }>> = {
  ECDSA: ECDSA_SIGNS,
  ECDSA_SHA_256: ECDSA_SIGNS,
  ECDSA_SHA_384: ECDSA_SIGNS,
  ED25519_SHA_512: { mechanism: EDDSA, before: NOTHING },
  RSASSA_PSS_SHA_256: { mechanism: pss('SHA-256'), before: NOTHING },
  RSASSA_PSS_SHA_384: { mechanism: pss('SHA-384'), before: NOTHING },
  RSASSA_PSS_SHA_512: { mechanism: pss('SHA-512'), before: NOTHING },
  RSASSA_PKCS1_V1_5_SHA_256: pkcs1('SHA-256'),
  RSASSA_PKCS1_V1_5_SHA_384: pkcs1('SHA-384'),
  RSASSA_PKCS1_V1_5_SHA_512: pkcs1('SHA-512'),
};

const ED25519_BYTES = 64;

/** ECDSA: r ‖ s. RSA: as many bytes as the modulus. */
export const signatureBytes = (spec: HandledSpec): number => (isCurve(spec) ? 2 * CURVES[spec].bytes : RSA_BITS[spec] / 8);

/** Over a digest, of Ed25519 over the message; as the HSM forms it. */
export function signatureOf(token: OpenToken, key: KeyHandle, spec: PairSpec, algorithm: Signing, digest: Buffer): Buffer {
  const { mechanism, before } = SIGNING[algorithm];
  const length = isEdwards(spec) ? ED25519_BYTES : signatureBytes(spec);
  return token.operate((session) => token.cryptoki.sign(session, mechanism, key, Buffer.concat([before, digest]), length));
}

/** Anything of another length is none. */
export function isSignature(
  token: OpenToken,
  key: KeyHandle,
  spec: HandledSpec,
  algorithm: Exclude<Signing, 'ED25519_SHA_512'>,
  digest: Buffer,
  signature: Buffer,
): boolean {
  if (signature.length !== signatureBytes(spec)) return false;
  const { mechanism, before } = SIGNING[algorithm];
  return token.operate((session) => token.cryptoki.verify(session, mechanism, key, Buffer.concat([before, digest]), signature));
}

/** Ed25519 (RFC 8032 §5.1.7) needs nothing secret, and modules differ in what they verify: OpenSSL does it, here. */
export const isEd25519 = (spki: Uint8Array, message: Buffer, signature: Buffer): boolean =>
  signature.length === ED25519_BYTES &&
  verify(null, message, createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' }), signature);

export const encryptOaep = (token: OpenToken, key: KeyHandle, algorithm: EncryptionAlgorithm, plaintext: Buffer): Buffer =>
  token.operate((session) => token.cryptoki.encrypt(session, WRAPPING[algorithm], key, plaintext));

/** The caller wipes the answer. */
export const decryptOaep = (token: OpenToken, key: KeyHandle, algorithm: EncryptionAlgorithm, ciphertext: Buffer): Buffer =>
  token.operate((session) => token.cryptoki.decrypt(session, WRAPPING[algorithm], key, ciphertext));
