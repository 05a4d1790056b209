import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
} from 'node:crypto';
import { IMPORT_HASH, type ImportAlgorithm } from '#contract';
import { ImportRefused } from '#custody/socket';

const KWP_IV = Buffer.from('a65959a6', 'hex');
const MODULUS_BYTES = 512;
interface WrappingPair {
  /** SubjectPublicKeyInfo. */
  readonly publicKey: Buffer;
  /** PKCS#8. */
  readonly privateKey: Buffer;
}
let pair: WrappingPair | undefined;

/** One RSA-4096 pair for all imports of the process: a fake does not show how keys are born. */
export function wrappingPair(): WrappingPair {
  if (pair !== undefined) return pair;
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 8 * MODULUS_BYTES });
  pair = { publicKey: publicKey.export({ format: 'der', type: 'spki' }), privateKey: privateKey.export({ format: 'der', type: 'pkcs8' }) };
  return pair;
}

/** RFC 5649. */
export function kwpSealed(root: KeyObject | Buffer, bytes: Uint8Array): Buffer {
  const wrap = createCipheriv('id-aes256-wrap-pad', root, KWP_IV);
  return Buffer.concat([wrap.update(bytes), wrap.final()]);
}

/** @throws Error for what was not sealed under it */
export function kwpOpened(root: KeyObject | Buffer, blob: Uint8Array): Buffer {
  const unwrap = createDecipheriv('id-aes256-wrap-pad', root, KWP_IV);
  return Buffer.concat([unwrap.update(blob), unwrap.final()]);
}

/** The material in what came. @throws ImportRefused */
export function materialOf(wrappingKey: Buffer, algorithm: ImportAlgorithm, encrypted: Uint8Array): Buffer {
  const key = createPrivateKey({ key: wrappingKey, format: 'der', type: 'pkcs8' });
  const opened = (bytes: Uint8Array) =>
    privateDecrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: IMPORT_HASH[algorithm] }, bytes);
  try {
    if (algorithm.startsWith('RSAES')) return opened(encrypted);
    return kwpOpened(opened(encrypted.subarray(0, MODULUS_BYTES)), encrypted.subarray(MODULUS_BYTES));
  } catch {
    throw new ImportRefused('notMaterial');
  }
}

/** Not the custodian's, which is a CMAC for AES; as hard to guess the key from. */
export function checkOf(material: Buffer, publicKey: Uint8Array | undefined): Buffer {
  if (publicKey !== undefined) return createHash('sha256').update(publicKey).digest();
  return createHmac('sha256', material).update('keyward.import-check/1').digest().subarray(0, 16);
}

/** Whether a private key is the public one's. */
export function isPairOf(pkcs8: Buffer, publicKey: Uint8Array): boolean {
  try {
    const own = createPublicKey(createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })).export({ format: 'der', type: 'spki' });
    return own.equals(publicKey);
  } catch {
    return false;
  }
}
