const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', 'latin1');
const PAD = 0x3d;
const INVALID = 0xff;

const VALUE = new Uint8Array(256).fill(INVALID);
ALPHABET.forEach((character, value) => {
  VALUE[character] = value;
});

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

/**
 * The bytes of padded base64, in an ArrayBuffer of their own.
 * @throws RangeError on a wrong length, character or padding
 */
export function decodeBase64(text: Uint8Array): Uint8Array {
  if (text.length % 4 !== 0) throw new RangeError('Not base64.');
  const padding = text.at(-1) !== PAD ? 0 : text.at(-2) !== PAD ? 1 : 2;
  const digits = text.length - padding;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  for (let from = 0, to = 0; from < digits; from += 4, to += 3) {
    const group = [0, 1, 2, 3].reduce((sum, at) => (sum << 6) | (from + at < digits ? digit(text[from + at]!) : 0), 0);
    bytes[to] = group >> 16;
    if (to + 1 < bytes.length) bytes[to + 1] = group >> 8;
    if (to + 2 < bytes.length) bytes[to + 2] = group;
  }
  return bytes;
}

function digit(character: number): number {
  const value = VALUE[character]!;
  if (value === INVALID) throw new RangeError('Not base64.');
  return value;
}
