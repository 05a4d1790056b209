import pkcs11js from 'pkcs11js';

declare const made: unique symbol;
/** Made here only: a mechanism of a wrong form aborts the whole process in the binding. */
export type Mechanism = pkcs11js.Mechanism & { readonly [made]: true };

export const IV_BYTES = 12;
export const TAG_BYTES = 16;
const MAX_AAD_BYTES = 16_384;
/** Numbers that pkcs11js does not name (PKCS#11 v3.0). */
const CKM_EDDSA = 0x1057;
const CKZ_DATA_SPECIFIED = 1;

export const HASHES = {
  'SHA-1': { mechanism: pkcs11js.CKM_SHA_1, mgf: pkcs11js.CKG_MGF1_SHA1, bytes: 20 },
  'SHA-256': { mechanism: pkcs11js.CKM_SHA256, mgf: pkcs11js.CKG_MGF1_SHA256, bytes: 32 },
  'SHA-384': { mechanism: pkcs11js.CKM_SHA384, mgf: pkcs11js.CKG_MGF1_SHA384, bytes: 48 },
  'SHA-512': { mechanism: pkcs11js.CKM_SHA512, mgf: pkcs11js.CKG_MGF1_SHA512, bytes: 64 },
} as const;
export type Hash = keyof typeof HASHES;
export const HMACS = {
  'SHA-256': pkcs11js.CKM_SHA256_HMAC,
  'SHA-384': pkcs11js.CKM_SHA384_HMAC,
  'SHA-512': pkcs11js.CKM_SHA512_HMAC,
} as const;
export type HmacHash = keyof typeof HMACS;

const mechanism = (number: number, parameter?: object): Mechanism =>
  ({ mechanism: number, ...(parameter && { parameter }) }) as unknown as Mechanism;

export const ECDSA = mechanism(pkcs11js.CKM_ECDSA);
export const EDDSA = mechanism(CKM_EDDSA);
/** PKCS #1 v1.5 over a DigestInfo (RFC 8017 §9.2): for signatures only, never for encryption. */
export const RSA_PKCS1 = mechanism(pkcs11js.CKM_RSA_PKCS);
/** The private operation alone (RFC 8017 §5.1.2), without any padding: for imports whose padding is taken off here. */
export const RSA_RAW = mechanism(pkcs11js.CKM_RSA_X_509);
/** NIST SP 800-38B. */
export const AES_CMAC = mechanism(pkcs11js.CKM_AES_CMAC);
export const CMAC_BYTES = 16;
export const hmac = (hash: HmacHash): Mechanism => mechanism(HMACS[hash]);

/** Over a digest; the salt is as long as the hash (RFC 8017 §9.1). */
export function pss(hash: HmacHash): Mechanism {
  const { mechanism: hashAlg, mgf, bytes: saltLen } = HASHES[hash];
  return mechanism(pkcs11js.CKM_RSA_PKCS_PSS, { type: pkcs11js.CK_PARAMS_RSA_PSS, hashAlg, mgf, saltLen });
}

/** MGF1 with the same hash, empty label (RFC 8017 §7.1). */
export function oaep(hash: 'SHA-1' | 'SHA-256'): Mechanism {
  const { mechanism: hashAlg, mgf } = HASHES[hash];
  return mechanism(pkcs11js.CKM_RSA_PKCS_OAEP, { type: pkcs11js.CK_PARAMS_RSA_OAEP, hashAlg, mgf, source: CKZ_DATA_SPECIFIED });
}

/** Without parameters, by whatever number a module gives it. */
export const numbered = (number: number): Mechanism => mechanism(number);

/** AES-KW (RFC 3394) for secret keys; OAEP for what comes from elsewhere. */
export const WRAPPING = {
  kw: mechanism(pkcs11js.CKM_AES_KEY_WRAP),
  RSAES_OAEP_SHA_1: oaep('SHA-1'),
  RSAES_OAEP_SHA_256: oaep('SHA-256'),
} as const;
/** `kwp`: AES-KWP (RFC 5649), for private keys, whose length is any; its number is the module's (dialect.ts). */
export type Wrapping = keyof typeof WRAPPING | 'kwp';

/** Only ever this: 96-bit IV, 128-bit tag. SoftHSM takes tagBits 0 and then leaves the tag away; without AAD it answers wrongly. */
export function gcm(iv: Buffer, aad: Buffer): Mechanism {
  if (!inRange(iv, IV_BYTES, IV_BYTES)) throw new RangeError('An IV has 12 bytes.');
  if (!inRange(aad, 1, MAX_AAD_BYTES)) throw new RangeError('The AAD has 1 to 16384 bytes.');
  return mechanism(pkcs11js.CKM_AES_GCM, { type: pkcs11js.CK_PARAMS_AES_GCM_v240, iv, ivBits: 96, aad, tagBits: 128 });
}

export const inRange = (bytes: Buffer, min: number, max: number): boolean =>
  Buffer.isBuffer(bytes) && bytes.length >= min && bytes.length <= max;
