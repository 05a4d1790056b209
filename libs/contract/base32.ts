import type { KeyVersionId } from './identifiers.js';

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const CODE = [...ALPHABET].map((character) => character.charCodeAt(0));
const VALUE = new Map([...ALPHABET].map((character, value) => [character, value]));

/** 16 bytes as 26 characters of Crockford's base 32, lower case: 130 bits, of which the first two are zero. */
export function encode26(bytes: Uint8Array): string {
  const codes: number[] = [];
  let pending = 0;
  let bits = 2;
  for (let i = 0; i < 16; i++) {
    pending = ((pending << 8) | bytes[i]!) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      codes.push(CODE[(pending >> bits) & 31]!);
    }
  }
  return String.fromCharCode(...codes);
}

/** The 16 bytes of 26 characters. @throws RangeError on another character. */
export function decode26(text: string): Uint8Array {
  const bytes = new Uint8Array(16);
  let pending = 0;
  let bits = -2;
  let at = 0;
  for (const character of text) {
    const digit = VALUE.get(character);
    if (digit === undefined) throw new RangeError('Not base 32.');
    pending = ((pending << 5) | digit) & 0x1fff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = (pending >> bits) & 0xff;
    }
  }
  return bytes;
}

/** A version id as a ciphertext carries it: 16 bytes, and back. */
export const versionIdBytes = (id: KeyVersionId): Uint8Array => decode26(id.slice(5));
export const versionIdOf = (bytes: Uint8Array): KeyVersionId => `kver_${encode26(bytes)}` as KeyVersionId;
