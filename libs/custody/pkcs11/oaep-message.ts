import { createHash, timingSafeEqual } from 'node:crypto';
import { ImportRefused } from '../import-refused.js';

const HASH_BYTES = 32;
const sha256 = (...parts: readonly Uint8Array[]): Buffer => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();
const HASH_OF_EMPTY_LABEL = sha256();

/**
 * What an RSA private key made of an OAEP ciphertext, without its padding (RFC 8017 §7.1.2, step 3; SHA-256, MGF1 with it, empty label).
 * The message's length is known before, so all in front of it can have one value only, and is compared in one piece and in constant time:
 * whoever tells one wrong byte from another decrypts by asking (Manger, CRYPTO 2001). `encoded`, as long as the modulus, is wiped; the
 * caller wipes the answer. @throws ImportRefused
 */
export function oaepMessage(encoded: Buffer, length: number): Buffer {
  const seed = encoded.subarray(1, 1 + HASH_BYTES);
  const block = encoded.subarray(1 + HASH_BYTES);
  const zeros = block.length - HASH_BYTES - 1 - length;
  if (zeros < 0) throw new RangeError('The modulus is too short for this message.');
  try {
    mask(seed, block);
    mask(block, seed);
    // It has done its work.
    seed.fill(0);
    const front = Buffer.concat([Buffer.alloc(1 + HASH_BYTES), HASH_OF_EMPTY_LABEL, Buffer.alloc(zeros), Buffer.of(1)]);
    if (!timingSafeEqual(encoded.subarray(0, -length), front)) throw new ImportRefused('notMaterial');
    const message = Buffer.alloc(length);
    encoded.copy(message, 0, encoded.length - length);
    return message;
  } finally {
    encoded.fill(0);
  }
}

/** XORs MGF1 of `from` (RFC 8017 §B.2.1) onto `target`. */
function mask(target: Buffer, from: Buffer): void {
  const counter = Buffer.alloc(4);
  for (let start = 0; start < target.length; start += HASH_BYTES) {
    counter.writeUInt32BE(start / HASH_BYTES);
    const stream = sha256(from, counter);
    const part = target.subarray(start, start + HASH_BYTES);
    part.forEach((byte, index) => (part[index] = byte ^ stream[index]!));
    stream.fill(0);
  }
}
