import { createECDH } from 'node:crypto';
import type { dlopen } from 'node:ffi';
import { CustodyUnavailable } from '#core';

/**
 * SM2 signatures (GB/T 32918.2) over digests, by the OpenSSL that Node itself is linked with. node:crypto offers them over whole messages
 * only, under an empty identity; a caller of a KMS has the digest SM3(Z ‖ M). So OpenSSL's own functions are called, through node:ffi: its
 * arithmetic on secrets is constant in time and its memory is cleared when a key is freed, of which no JavaScript with BigInt can say either.
 */
const POINTER = 'pointer';
const BUFFER = 'buffer';
const FUNCTIONS = {
  d2i_AutoPrivateKey: { return: POINTER, arguments: [POINTER, BUFFER, 'int64'] },
  d2i_PUBKEY: { return: POINTER, arguments: [POINTER, BUFFER, 'int64'] },
  EVP_PKEY_free: { return: 'void', arguments: [POINTER] },
  EVP_PKEY_CTX_new: { return: POINTER, arguments: [POINTER, POINTER] },
  EVP_PKEY_CTX_free: { return: 'void', arguments: [POINTER] },
  EVP_PKEY_sign_init: { return: 'int32', arguments: [POINTER] },
  EVP_PKEY_sign: { return: 'int32', arguments: [POINTER, BUFFER, BUFFER, BUFFER, 'uint64'] },
  EVP_PKEY_verify_init: { return: 'int32', arguments: [POINTER] },
  EVP_PKEY_verify: { return: 'int32', arguments: [POINTER, BUFFER, 'uint64', BUFFER, 'uint64'] },
  ERR_clear_error: { return: 'void', arguments: [] },
} as const;
type LibCrypto = ReturnType<typeof dlopen<typeof FUNCTIONS>>['functions'];
type Pointer = bigint;

/** Largest DER of two numbers of 32 bytes each is 72. */
const ROOM_BYTES = 80;
const DIGEST_BYTES = 32;
const SCALAR_BYTES = 32;
const POINT_BYTES = 65;
/** PKCS#8 and SubjectPublicKeyInfo of the curve (1.2.156.10197.1.301), before and between their bytes. */
const PKCS8 = Buffer.from('308187020100301306072a8648ce3d020106082a811ccf5501822d046d306b0201010420', 'hex');
const PKCS8_POINT = Buffer.from('a144034200', 'hex');
const SPKI = Buffer.from('3059301306072a8648ce3d020106082a811ccf5501822d034200', 'hex');
/** A private key is less than this: the order of the curve, minus one (GB/T 32918.1, 6.1). */
const TOO_LARGE = Buffer.from('fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54122', 'hex');

/** A private key inside OpenSSL. Freed by whoever made it, once. */
export interface Sm2PrivateKey {
  /** DER (SEC 1, C.5) over the digest's 32 bytes. */
  sign(digest: Buffer): Buffer;
  free(): void;
}

let loaded: LibCrypto | undefined;

/** @throws CustodyUnavailable where this Node has no node:ffi */
function libcrypto(): LibCrypto {
  // Not an import: a Node without it must still start.
  const ffi = loaded === undefined ? process.getBuiltinModule('node:ffi') : undefined;
  loaded ??= ffi?.dlopen(null, FUNCTIONS).functions;
  if (loaded === undefined) throw new CustodyUnavailable('this Node has no node:ffi');
  return loaded;
}

/** A scalar drawn by `random`, 32 bytes, which the caller wipes; and its point as SubjectPublicKeyInfo, DER. */
export function bearSm2(random: (length: number) => Buffer): { readonly material: Buffer; readonly publicKey: Buffer } {
  let material = random(SCALAR_BYTES);
  while (material.every((byte) => byte === 0) || Buffer.compare(material, TOO_LARGE) >= 0) material = random(SCALAR_BYTES);
  const pair = createECDH('SM2');
  pair.setPrivateKey(material);
  return { material, publicKey: Buffer.concat([SPKI, pair.getPublicKey()]) };
}

/** Takes a key into OpenSSL's memory; `material` stays the caller's. */
export function sm2PrivateKey(material: Buffer, spki: Uint8Array): Sm2PrivateKey {
  const crypto = libcrypto();
  const der = Buffer.alloc(PKCS8.length + SCALAR_BYTES + PKCS8_POINT.length + POINT_BYTES);
  try {
    let at = PKCS8.copy(der);
    at += material.copy(der, at);
    at += PKCS8_POINT.copy(der, at);
    der.set(spki.subarray(-POINT_BYTES), at);
    const key = parsed(crypto, crypto.d2i_AutoPrivateKey, der);
    return { sign: (digest) => signed(crypto, key, digest), free: () => crypto.EVP_PKEY_free(key) };
  } finally {
    der.fill(0);
  }
}

/** Whether a DER signature is one of this key over this digest. */
export function verifySm2(spki: Uint8Array, digest: Buffer, signature: Buffer): boolean {
  const crypto = libcrypto();
  const key = parsed(crypto, crypto.d2i_PUBKEY, Buffer.from(spki));
  try {
    return using(crypto, key, (context) => {
      mustSucceed(crypto.EVP_PKEY_verify_init(context));
      return crypto.EVP_PKEY_verify(context, signature, BigInt(signature.length), checked(digest), BigInt(DIGEST_BYTES)) === 1;
    });
  } finally {
    crypto.EVP_PKEY_free(key);
  }
}

function signed(crypto: LibCrypto, key: Pointer, digest: Buffer): Buffer {
  return using(crypto, key, (context) => {
    const [room, length] = [Buffer.alloc(ROOM_BYTES), sizeOf(ROOM_BYTES)];
    mustSucceed(crypto.EVP_PKEY_sign_init(context));
    mustSucceed(crypto.EVP_PKEY_sign(context, room, length, checked(digest), BigInt(DIGEST_BYTES)));
    return room.subarray(0, Number(length.readBigUInt64LE()));
  });
}

function using<T>(crypto: LibCrypto, key: Pointer, work: (context: Pointer) => T): T {
  const context = notNull(crypto.EVP_PKEY_CTX_new(key, null));
  try {
    return work(context);
  } finally {
    crypto.EVP_PKEY_CTX_free(context);
    // What is left in OpenSSL's queue would be taken for an error of node:crypto's next call.
    crypto.ERR_clear_error();
  }
}

/** d2i functions read through a pointer to the bytes' pointer. */
function parsed(crypto: LibCrypto, read: LibCrypto['d2i_PUBKEY'], der: Buffer): Pointer {
  const ffi = process.getBuiltinModule('node:ffi');
  const key = read(null, sizeOf(ffi.getRawPointer(der)), BigInt(der.length));
  crypto.ERR_clear_error();
  return notNull(key);
}

/** A size_t, or a pointer, in memory. */
function sizeOf(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function checked(digest: Buffer): Buffer {
  if (digest.length !== DIGEST_BYTES) throw new RangeError('An SM3 digest has 32 bytes.');
  return digest;
}

function mustSucceed(code: number): void {
  if (code !== 1) throw new CustodyUnavailable('OpenSSL refuses the SM2 key');
}

function notNull(pointer: Pointer): Pointer {
  if (pointer === 0n) throw new CustodyUnavailable('OpenSSL does not take the SM2 key');
  return pointer;
}
