const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', 'latin1');
const PAD = 0x3d;

/**
 * Base64 (RFC 4648 §4, padded) as bytes. node's own codecs go through strings, which nobody can wipe.
 */
export function encodeBase64(bytes: Uint8Array): Uint8Array {
  const text = new Uint8Array(Math.ceil(bytes.length / 3) * 4);
  for (let from = 0, to = 0; from < bytes.length; from += 3, to += 4) {
    const group = (bytes[from]! << 16) | ((bytes[from + 1] ?? 0) << 8) | (bytes[from + 2] ?? 0);
    text[to] = ALPHABET[group >> 18]!;
    text[to + 1] = ALPHABET[(group >> 12) & 63]!;
    text[to + 2] = from + 1 < bytes.length ? ALPHABET[(group >> 6) & 63]! : PAD;
    text[to + 3] = from + 2 < bytes.length ? ALPHABET[group & 63]! : PAD;
  }
  return text;
}
