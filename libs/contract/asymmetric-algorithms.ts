/** Encryption to an RSA key: RFC 8017 §7.1, MGF1 with the same hash, empty label. Names as of AWS KMS. */
export const ENCRYPTION_ALGORITHMS = ['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256'] as const;
export type EncryptionAlgorithm = (typeof ENCRYPTION_ALGORITHMS)[number];
/** Bytes of the hash: OAEP spends twice as many and two on itself. */
export const OAEP_HASH_BYTES = { RSAES_OAEP_SHA_1: 20, RSAES_OAEP_SHA_256: 32 } as const satisfies Record<EncryptionAlgorithm, number>;

/** What not every HSM can do with an RSA key. Each is tried when the custodian starts. */
export const TRIED_ALGORITHMS = [...ENCRYPTION_ALGORITHMS, 'RSA_AES_KEY_WRAP_SHA_1', 'RSA_AES_KEY_WRAP_SHA_256'] as const;
export type TriedAlgorithm = (typeof TRIED_ALGORITHMS)[number];

/**
 * How material is wrapped for its import. OAEP over the bytes of a symmetric key; or RSA_AES_KEY_WRAP (PKCS#11 v3.0 §2.1.21): OAEP over an
 * ephemeral AES-256 key, and behind it AES-KWP (RFC 5649) of the key's bytes, or of a private key's PKCS#8, under that.
 */
export const IMPORT_ALGORITHMS = TRIED_ALGORITHMS;
export type ImportAlgorithm = TriedAlgorithm;
/** The hash of OAEP, as node:crypto calls it. */
export const IMPORT_HASH = {
  RSAES_OAEP_SHA_1: 'sha1',
  RSAES_OAEP_SHA_256: 'sha256',
  RSA_AES_KEY_WRAP_SHA_1: 'sha1',
  RSA_AES_KEY_WRAP_SHA_256: 'sha256',
} as const satisfies Record<ImportAlgorithm, string>;
