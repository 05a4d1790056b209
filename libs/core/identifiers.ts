import { randomBytes } from 'node:crypto';
import type { CredentialId, KeyId, KeyVersionId, StopId } from '#contract';

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const VALUE = new Map([...ALPHABET].map((character, value) => [character, value]));

/** Drawn in bulk: a call of its own for each identifier cost more than everything else that a decision does. */
const POOL_BYTES = 8192;
let pool = new Uint8Array(0);
let drawn = 0;

/** A UUIDv7 (RFC 9562 §5.7): 48 bits of milliseconds, then random. 16 bytes. Unique, but no secret. */
export function uuidv7(milliseconds: number): Uint8Array {
  if (drawn + 16 > pool.length) {
    pool = randomBytes(POOL_BYTES);
    drawn = 0;
  }
  const bytes = Buffer.from(pool.subarray(drawn, (drawn += 16)));
  bytes.writeUIntBE(milliseconds, 0, 6);
  bytes[6] = (bytes[6]! & 0x0f) | 0x70;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes;
}

/** 16 bytes as 26 characters of Crockford's base 32, lower case: 130 bits, of which the first two are zero. */
export function encode26(bytes: Uint8Array): string {
  let text = '';
  let pending = 0;
  let bits = 2;
  for (let i = 0; i < 16; i++) {
    pending = ((pending << 8) | bytes[i]!) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET.charAt((pending >> bits) & 31);
    }
  }
  return text;
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

const fresh = (prefix: string) => (milliseconds: number) => `${prefix}_${encode26(uuidv7(milliseconds))}`;

export const newKeyId = fresh('key') as (milliseconds: number) => KeyId;
export const newKeyVersionId = fresh('kver') as (milliseconds: number) => KeyVersionId;
export const newCredentialId = fresh('crd') as (milliseconds: number) => CredentialId;
export const newStopId = fresh('stop') as (milliseconds: number) => StopId;
export const newLogId = fresh('log');
export const newRequestId = fresh('req');
export const newRecordId = fresh('rec');

/** When an id was drawn: a UUIDv7 begins with 48 bits of milliseconds. */
export const drawnAt = (id: string): Date => new Date(Buffer.from(decode26(id.slice(-26))).readUIntBE(0, 6));

/** A version id as a ciphertext carries it: 16 bytes, and back. */
export const versionIdBytes = (id: KeyVersionId): Uint8Array => decode26(id.slice(5));
export const versionIdOf = (bytes: Uint8Array): KeyVersionId => `kver_${encode26(bytes)}` as KeyVersionId;
