/** Encryption to an RSA key: RFC 8017 §7.1, MGF1 with the same hash, empty label. Names as of AWS KMS. */
export const ENCRYPTION_ALGORITHMS = ['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256'] as const;
export type EncryptionAlgorithm = (typeof ENCRYPTION_ALGORITHMS)[number];
/** Bytes of the hash: OAEP spends twice as many and two on itself. */
export const OAEP_HASH_BYTES = { RSAES_OAEP_SHA_1: 20, RSAES_OAEP_SHA_256: 32 } as const satisfies Record<EncryptionAlgorithm, number>;

/** What not every HSM can do with an RSA key. Each is tried when the custodian starts. */
export const TRIED_ALGORITHMS = [...ENCRYPTION_ALGORITHMS] as const;
export type TriedAlgorithm = (typeof TRIED_ALGORITHMS)[number];
