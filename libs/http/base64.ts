const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');
const PAD = 0x3d;

/** Length of `bytes` bytes in base64 with padding. */
export const base64Length = (bytes: number): number => 4 * Math.ceil(bytes / 3);

/**
 * Writes `bytes` as base64 (RFC 4648 §4) into `target` at `at`, and answers where it ended. Never through a string:
 * strings cannot be wiped, and a heap keeps them for as long as it likes.
 */
export function writeBase64(target: Uint8Array, at: number, bytes: Uint8Array): number {
  const whole = bytes.length - (bytes.length % 3);
  for (let i = 0; i < whole; i += 3) {
    const group = (bytes[i]! << 16) | (bytes[i + 1]! << 8) | bytes[i + 2]!;
    target[at] = ALPHABET[group >> 18]!;
    target[at + 1] = ALPHABET[(group >> 12) & 63]!;
    target[at + 2] = ALPHABET[(group >> 6) & 63]!;
    target[at + 3] = ALPHABET[group & 63]!;
    at += 4;
  }
  return whole === bytes.length ? at : writeRest(target, at, bytes.subarray(whole));
}

/** The last one or two bytes, padded. */
function writeRest(target: Uint8Array, at: number, rest: Uint8Array): number {
  const group = (rest[0]! << 16) | ((rest[1] ?? 0) << 8);
  target[at] = ALPHABET[group >> 18]!;
  target[at + 1] = ALPHABET[(group >> 12) & 63]!;
  target[at + 2] = rest.length === 2 ? ALPHABET[(group >> 6) & 63]! : PAD;
  target[at + 3] = PAD;
  return at + 4;
}
