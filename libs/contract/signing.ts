import { z } from 'zod';
import { base64Bytes } from './bytes.js';
import { asked, base64Text, usedKey } from './data-operations.js';
import { keyReference, keyVersionId } from './identifiers.js';
import { KEY_SPECS, type KeySpec } from './key-life.js';

export const MAX_SIGNED_MESSAGE_BYTES = 6144;
export const MAX_SIGNATURE_BYTES = 512;

/** Names as of AWS KMS. */
export const SIGNING_ALGORITHMS = [
  ...(['ECDSA_SHA_256', 'ECDSA_SHA_384'] as const),
  ...(['ED25519_SHA_512'] as const),
  ...(['SM2DSA'] as const),
  ...(['RSASSA_PSS_SHA_256', 'RSASSA_PSS_SHA_384', 'RSASSA_PSS_SHA_512'] as const),
  ...(['RSASSA_PKCS1_V1_5_SHA_256', 'RSASSA_PKCS1_V1_5_SHA_384', 'RSASSA_PKCS1_V1_5_SHA_512'] as const),
] as const;
export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number];
const SHA_256 = { hash: 'sha256', bytes: 32 } as const;
const SHA_384 = { hash: 'sha384', bytes: 48 } as const;
const SHA_512 = { hash: 'sha512', bytes: 64 } as const;
/** Of what is signed, and how long that is. Ed25519 (RFC 8032) hashes twice, on both sides of the key: it is given the message itself. */
export const HASHED_BY = {
  ECDSA_SHA_256: SHA_256,
  ECDSA_SHA_384: SHA_384,
  RSASSA_PSS_SHA_256: SHA_256,
  RSASSA_PSS_SHA_384: SHA_384,
  RSASSA_PSS_SHA_512: SHA_512,
  RSASSA_PKCS1_V1_5_SHA_256: SHA_256,
  RSASSA_PKCS1_V1_5_SHA_384: SHA_384,
  RSASSA_PKCS1_V1_5_SHA_512: SHA_512,
  /** Over Z ‖ M: see core/sm2-digest.ts. */
  SM2DSA: { hash: 'sm3', bytes: 32 },
} as const satisfies Record<Exclude<SigningAlgorithm, 'ED25519_SHA_512'>, object>;
export type DigestAlgorithm = keyof typeof HASHED_BY;
export const signsDigests = (algorithm: SigningAlgorithm): algorithm is DigestAlgorithm => Object.hasOwn(HASHED_BY, algorithm);
const RSASSA: readonly SigningAlgorithm[] = SIGNING_ALGORITHMS.filter((name) => name.startsWith('RSASSA'));
/** What a key of a spec can sign with: the curve's own digest; RSA by RFC 8017, where PSS's salt is as long as its hash. */
export const SIGNS_WITH: Readonly<Partial<Record<KeySpec, readonly SigningAlgorithm[]>>> = {
  EC_P256: ['ECDSA_SHA_256'],
  EC_P384: ['ECDSA_SHA_384'],
  EC_P256K: ['ECDSA_SHA_256'],
  ED25519: ['ED25519_SHA_512'],
  EC_SM2: ['SM2DSA'],
  RSA_2048: RSASSA,
  RSA_3072: RSASSA,
  RSA_4096: RSASSA,
};

const algorithm = z.enum(SIGNING_ALGORITHMS, { error: `must be one of ${SIGNING_ALGORITHMS.join(', ')}` });
const signing = {
  keyId: keyReference,
  message: base64Bytes(1, MAX_SIGNED_MESSAGE_BYTES).meta({ description: 'base64 of 1 to 6144 bytes, or of their digest' }),
  messageType: z
    .enum(['RAW', 'DIGEST'])
    .optional()
    .meta({ description: 'default RAW: Keyward makes the digest; ED25519_SHA_512 has no other' }),
  algorithm,
  ...asked,
};
interface Signed {
  readonly message: Uint8Array;
  readonly messageType?: string | undefined;
  readonly algorithm: SigningAlgorithm;
}
const mayBeDigest = ({ messageType, algorithm: by }: Signed) => messageType !== 'DIGEST' || signsDigests(by);
const NO_DIGEST = { path: ['messageType'], message: 'must be RAW: this algorithm signs the message itself' };
const digestFits = ({ message, messageType, algorithm: by }: Signed) =>
  messageType !== 'DIGEST' || !signsDigests(by) || message.length === HASHED_BY[by].bytes;
const DIGEST_LENGTH = { path: ['message'], message: 'is not as long as a digest of this algorithm' };

export const signRequest = z
  .strictObject(signing)
  .refine(mayBeDigest, NO_DIGEST)
  .refine(digestFits, DIGEST_LENGTH)
  .meta({ id: 'SignRequest' });
export type SignRequest = z.infer<typeof signRequest>;

export const verifyRequest = z
  .strictObject({
    ...signing,
    keyVersionId: keyVersionId.optional().meta({ description: 'the version that signed; default: the primary one' }),
    signature: base64Bytes(1, MAX_SIGNATURE_BYTES).meta({ description: 'base64 of what Sign answered' }),
  })
  .refine(mayBeDigest, NO_DIGEST)
  .refine(digestFits, DIGEST_LENGTH)
  .meta({ id: 'VerifyRequest' });
export type VerifyRequest = z.infer<typeof verifyRequest>;

const ofVersion = keyVersionId.optional().meta({ description: 'default: the primary one' });
export const getPublicKeyRequest = z
  .strictObject({ keyId: keyReference, keyVersionId: ofVersion, ...asked })
  .meta({ id: 'GetPublicKeyRequest' });
export type GetPublicKeyRequest = z.infer<typeof getPublicKeyRequest>;
export const publicKeyQuery = z.strictObject({ keyVersionId: ofVersion });
export type PublicKeyQuery = z.infer<typeof publicKeyQuery>;

export const signatureAnswer = z.object({ ...usedKey, algorithm, signature: base64Text }).meta({ id: 'SignatureAnswer' });
export const publicKeyAnswer = z
  .object({
    ...usedKey,
    keySpec: z.enum(KEY_SPECS),
    publicKey: base64Text.meta({ description: 'SubjectPublicKeyInfo (RFC 5280), DER' }),
    pem: z.string().meta({ description: 'the same as PEM' }),
  })
  .meta({ id: 'PublicKeyAnswer' });
export type PublicKeyAnswer = z.infer<typeof publicKeyAnswer>;
