import {
  constants,
  createHash,
  type KeyObject,
  privateDecrypt,
  privateEncrypt,
  publicDecrypt,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import { type DigestAlgorithm, type EncryptionAlgorithm, HASHED_BY, type SigningAlgorithm } from '#contract';

/** RSA over digests (RFC 8017 §8), which node:crypto does not offer: for the fake custody. Not constant in time. */
const DIGEST_INFO = {
  sha256: '3031300d060960864801650304020105000420',
  sha384: '3041300d060960864801650304020205000430',
  sha512: '3051300d060960864801650304020305000440',
} as const;
const OAEP_HASH = { RSAES_OAEP_SHA_1: 'sha1', RSAES_OAEP_SHA_256: 'sha256' } as const;

export const FAKE_RSA_BITS = { RSA_2048: 2048, RSA_3072: 3072, RSA_4096: 4096 } as const;
export type FakeRsa = keyof typeof FAKE_RSA_BITS;

export function signRsa(key: KeyObject, algorithm: SigningAlgorithm, digest: Uint8Array): Uint8Array {
  const hash = hashOf(algorithm);
  if (!algorithm.startsWith('RSASSA_PSS')) return privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, info(hash, digest));
  const bytes = (key.asymmetricKeyDetails?.modulusLength ?? 0) / 8;
  return privateEncrypt({ key, padding: constants.RSA_NO_PADDING }, encodePss(hash, digest, bytes));
}

export function verifyRsa(key: KeyObject, algorithm: SigningAlgorithm, digest: Uint8Array, signature: Uint8Array): boolean {
  const hash = hashOf(algorithm);
  try {
    if (!algorithm.startsWith('RSASSA_PSS'))
      return publicDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, signature).equals(info(hash, digest));
    return isPss(hash, digest, publicDecrypt({ key, padding: constants.RSA_NO_PADDING }, signature));
  } catch {
    return false;
  }
}

export const sealOaep = (key: KeyObject, algorithm: EncryptionAlgorithm, plaintext: Uint8Array): Uint8Array =>
  publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: OAEP_HASH[algorithm] }, plaintext);
/** @throws Error for what was not encrypted to it */
export const openOaep = (key: KeyObject, algorithm: EncryptionAlgorithm, ciphertext: Uint8Array): Uint8Array =>
  privateDecrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: OAEP_HASH[algorithm] }, ciphertext);

type Hash = keyof typeof DIGEST_INFO;
const hashOf = (algorithm: SigningAlgorithm): Hash => HASHED_BY[algorithm as DigestAlgorithm].hash as Hash;
const info = (hash: Hash, digest: Uint8Array): Buffer => Buffer.concat([Buffer.from(DIGEST_INFO[hash], 'hex'), digest]);

/** EMSA-PSS (RFC 8017 §9.1) of a modulus of whole bytes, the salt as long as the hash. */
function encodePss(hash: Hash, digest: Uint8Array, bytes: number, salt: Uint8Array = randomBytes(digest.length)): Buffer {
  const h = seedOf(hash, digest, salt);
  const db = Buffer.concat([Buffer.alloc(bytes - salt.length - h.length - 2), Uint8Array.of(1), salt]);
  const masked = xor(db, mgf1(hash, h, db.length));
  masked[0]! &= 0x7f;
  return Buffer.concat([masked, h, Uint8Array.of(0xbc)]);
}

function isPss(hash: Hash, digest: Uint8Array, em: Buffer): boolean {
  const h = em.subarray(-1 - digest.length, -1);
  const masked = em.subarray(0, -1 - digest.length);
  const salt = xor(masked, mgf1(hash, h, masked.length)).subarray(-digest.length);
  return encodePss(hash, digest, em.length, salt).equals(em);
}

const seedOf = (hash: Hash, digest: Uint8Array, salt: Uint8Array): Buffer =>
  createHash(hash).update(Buffer.alloc(8)).update(digest).update(salt).digest();

function mgf1(hash: Hash, seed: Uint8Array, length: number): Buffer {
  const blocks: Buffer[] = [];
  for (let counter = 0; Buffer.concat(blocks).length < length; counter++)
    blocks.push(
      createHash(hash)
        .update(seed)
        .update(Uint8Array.of(0, 0, 0, counter))
        .digest(),
    );
  return Buffer.concat(blocks).subarray(0, length);
}

const xor = (one: Uint8Array, other: Uint8Array): Buffer => Buffer.from(one.map((byte, at) => byte ^ other[at]!));
