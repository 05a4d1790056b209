import { constants, createCipheriv, createPrivateKey, createPublicKey, type KeyObject, publicEncrypt, randomBytes } from 'node:crypto';
import { IMPORT_HASH, type ImportAlgorithm } from '#contract';
import type { ImportStatement } from '#trail';
import { UsageError } from '../exit-codes.js';

const KEY_BYTES: Readonly<Record<string, number>> = { AES_256: 32, AES_128: 16, HMAC_256: 32, HMAC_384: 48, HMAC_512: 64 };
const CURVES: Readonly<Record<string, string>> = { EC_P256: 'prime256v1', EC_P384: 'secp384r1', EC_P256K: 'secp256k1' };
/** RFC 5649 §3. */
const KWP_IV = Buffer.from('a65959a6', 'hex');

export interface Material {
  /** The caller wipes them. */
  readonly bytes: Buffer;
  readonly publicKey?: Buffer;
}

/** The key of a file, if it is one of this spec; the file's bytes are wiped, or handed on. @throws UsageError */
export function materialIn(file: Buffer, spec: string): Material {
  const length = KEY_BYTES[spec];
  if (length === undefined) return pairIn(file, spec);
  if (file.length !== length) {
    file.fill(0);
    throw new UsageError(`A key of ${spec} has ${length} bytes; the file has ${file.length}.`);
  }
  return { bytes: file };
}

function pairIn(file: Buffer, spec: string): Material {
  const key = privateKeyIn(file);
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  const isCurve = type === 'ec' && details?.namedCurve === CURVES[spec];
  const isRsa = type === 'rsa' && spec === `RSA_${details?.modulusLength}`;
  const isEdwards = type === 'ed25519' && spec === 'ED25519';
  if (!isCurve && !isRsa && !isEdwards) throw new UsageError(`The file's private key is not one of ${spec}.`);
  if (isRsa && details?.publicExponent !== 65_537n) throw new UsageError('The public exponent is not 65537.');
  return {
    bytes: key.export({ format: 'der', type: 'pkcs8' }),
    publicKey: createPublicKey(key).export({ format: 'der', type: 'spki' }),
  };
}

function privateKeyIn(file: Buffer): KeyObject {
  try {
    const isPem = file.subarray(0, 10).toString('latin1') === '-----BEGIN';
    return isPem ? createPrivateKey(file) : createPrivateKey({ key: file, format: 'der', type: 'pkcs8' });
  } catch {
    throw new UsageError('The file holds no private key as PKCS#8, PEM or DER.');
  } finally {
    file.fill(0);
  }
}

/** OAEP over the material, or over an ephemeral AES-256 key and AES-KWP of the material under that. */
export function wrapped(material: Buffer, { wrappingKey, algorithm }: Pick<ImportStatement, 'wrappingKey' | 'algorithm'>): Buffer {
  const oaepHash = IMPORT_HASH[algorithm as ImportAlgorithm];
  const key = createPublicKey({ key: Buffer.from(wrappingKey, 'base64'), format: 'der', type: 'spki' });
  if (key.asymmetricKeyType !== 'rsa' || key.asymmetricKeyDetails?.modulusLength !== 4096)
    throw new UsageError('Nothing was wrapped: the wrapping key is not RSA-4096.');
  const toHsm = (bytes: Buffer) => publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, bytes);
  if (algorithm.startsWith('RSAES')) return toHsm(material);
  const ephemeral = randomBytes(32);
  try {
    const wrap = createCipheriv('id-aes256-wrap-pad', ephemeral, KWP_IV);
    return Buffer.concat([toHsm(ephemeral), wrap.update(material), wrap.final()]);
  } finally {
    ephemeral.fill(0);
  }
}
