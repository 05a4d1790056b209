import { z } from 'zod';
import { ENCRYPTION_ALGORITHMS, type EncryptionAlgorithm, OAEP_HASH_BYTES } from './asymmetric-algorithms.js';
import { base64Bytes } from './bytes.js';
import { asked, base64Text, usedKey } from './data-operations.js';
import { keyReference, keyVersionId } from './identifiers.js';
import type { KeySpec } from './key-life.js';

/** Of the longest RSA key, by the shortest hash. */
export const MAX_OAEP_PLAINTEXT_BYTES = 470;
export const MAX_OAEP_CIPHERTEXT_BYTES = 512;
const MODULUS_BYTES: Readonly<Partial<Record<KeySpec, number>>> = { RSA_2048: 256, RSA_3072: 384, RSA_4096: 512 };

/** What a key of a spec can encrypt with; none for all that are no RSA keys. */
export const ENCRYPTS_WITH: Readonly<Partial<Record<KeySpec, readonly EncryptionAlgorithm[]>>> = {
  RSA_2048: ENCRYPTION_ALGORITHMS,
  RSA_3072: ENCRYPTION_ALGORITHMS,
  RSA_4096: ENCRYPTION_ALGORITHMS,
};
/** The longest plaintext (RFC 8017 §7.1.1). */
export const oaepRoom = (spec: KeySpec, algorithm: EncryptionAlgorithm): number =>
  (MODULUS_BYTES[spec] ?? 0) - 2 * OAEP_HASH_BYTES[algorithm] - 2;
/** Of every ciphertext of such a key; undefined for all that are no RSA keys. */
export const oaepLength = (spec: KeySpec): number | undefined => MODULUS_BYTES[spec];

const algorithm = z.enum(ENCRYPTION_ALGORITHMS, { error: `must be one of ${ENCRYPTION_ALGORITHMS.join(', ')}` });

export const asymmetricEncryptRequest = z
  .strictObject({
    keyId: keyReference,
    keyVersionId: keyVersionId.optional().meta({ description: 'default: the primary one' }),
    plaintext: base64Bytes(1, MAX_OAEP_PLAINTEXT_BYTES).meta({
      description: 'base64 of bytes: two hashes and two bytes less than the modulus at most',
    }),
    algorithm,
    ...asked,
  })
  .meta({ id: 'AsymmetricEncryptRequest' });
export type AsymmetricEncryptRequest = z.infer<typeof asymmetricEncryptRequest>;

export const asymmetricDecryptRequest = z
  .strictObject({
    keyId: keyReference,
    keyVersionId: keyVersionId.meta({ description: 'as the encryption answered it: the ciphertext does not name it' }),
    ciphertext: base64Bytes(1, MAX_OAEP_CIPHERTEXT_BYTES).meta({ description: 'base64 of bytes, as many as the modulus has' }),
    algorithm,
    ...asked,
  })
  .meta({ id: 'AsymmetricDecryptRequest' });
export type AsymmetricDecryptRequest = z.infer<typeof asymmetricDecryptRequest>;

export const asymmetricPlaintextAnswer = z
  .object({ ...usedKey, algorithm, plaintext: base64Text })
  .meta({ id: 'AsymmetricPlaintextAnswer' });
export const asymmetricCiphertextAnswer = z
  .object({ ...usedKey, algorithm, ciphertext: base64Text })
  .meta({ id: 'AsymmetricCiphertextAnswer' });
