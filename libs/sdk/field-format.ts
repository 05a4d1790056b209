import { DecryptFailed, InvalidCall } from './errors.js';

/** `inline`: the encrypted data key stands in the field. `reference`: it is stored elsewhere, under the field's commitment. */
export const FORM = { inline: 1, reference: 2 } as const;
export type FieldForm = keyof typeof FORM;

export const VERSION_BYTES = 16;
export const COMMITMENT_BYTES = 32;
export const IV_BYTES = 12;
export const TAG_BYTES = 16;
/** Beyond it an envelope is the better format: it streams. */
export const MAX_FIELD_BYTES = 1024 * 1024;

const MAGIC = Buffer.from('KF');
const FORMAT_VERSION = 1;
const COMMITMENT_AT = 4 + VERSION_BYTES;
const SHORT_HEADER_BYTES = COMMITMENT_AT + COMMITMENT_BYTES;

/** Of an encrypted data key, a ciphertext v1 of Keyward: 'KW' ‖ 01 ‖ 02 ‖ 01 ‖ key version id ‖ … */
const EDK_START = Buffer.from('4b57010201', 'hex');
const EDK_BYTES = { least: 50, most: 2048 } as const;

/** A field taken apart; the parts are views of its bytes. Nothing of it is authenticated yet. */
export interface ParsedField {
  readonly form: FieldForm;
  /** 16 bytes. */
  readonly keyVersion: Buffer;
  readonly commitment: Buffer;
  readonly encryptedDataKey: Buffer | undefined;
  /** All in front of the IV. */
  readonly header: Buffer;
  readonly iv: Buffer;
  readonly ciphertext: Buffer;
  readonly tag: Buffer;
}

/** The key version that an encrypted data key names. @throws DecryptFailed for what is none */
export function keyVersionOf(encryptedDataKey: Uint8Array): Buffer {
  const bytes = Buffer.from(encryptedDataKey);
  const fits = bytes.length >= EDK_BYTES.least && bytes.length <= EDK_BYTES.most && bytes.subarray(0, EDK_START.length).equals(EDK_START);
  if (!fits) throw notAField();
  return bytes.subarray(EDK_START.length, EDK_START.length + VERSION_BYTES);
}

/** 'KF' ‖ 01 ‖ form ‖ key version ‖ commitment ‖ [inline: u16 length ‖ encrypted data key]: everything before the IV, and authenticated. */
export function fieldHeader(form: FieldForm, commitment: Uint8Array, encryptedDataKey: Uint8Array): Buffer {
  const start = [MAGIC, Uint8Array.of(FORMAT_VERSION, FORM[form]), keyVersionOf(encryptedDataKey), commitment];
  if (form === 'reference') return Buffer.concat(start);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(encryptedDataKey.length);
  return Buffer.concat([...start, length, encryptedDataKey]);
}

/** @throws DecryptFailed for bytes that cannot be a field v1 */
export function parseField(field: Uint8Array): ParsedField {
  const bytes = Buffer.from(field.buffer, field.byteOffset, field.byteLength);
  const form = bytes[3] === FORM.inline ? 'inline' : 'reference';
  const known = bytes[0] === MAGIC[0] && bytes[1] === MAGIC[1] && bytes[2] === FORMAT_VERSION && bytes[3] === FORM[form];
  if (!known || bytes.length < SHORT_HEADER_BYTES + IV_BYTES + TAG_BYTES) throw notAField();
  const edkBytes = form === 'inline' ? bytes.readUInt16BE(SHORT_HEADER_BYTES) : 0;
  const headerBytes = SHORT_HEADER_BYTES + (form === 'inline' ? 2 + edkBytes : 0);
  if (bytes.length < headerBytes + IV_BYTES + TAG_BYTES) throw notAField();
  const tagAt = bytes.length - TAG_BYTES;
  return {
    form,
    keyVersion: bytes.subarray(4, COMMITMENT_AT),
    commitment: bytes.subarray(COMMITMENT_AT, SHORT_HEADER_BYTES),
    encryptedDataKey: form === 'inline' ? bytes.subarray(headerBytes - edkBytes, headerBytes) : undefined,
    header: bytes.subarray(0, headerBytes),
    iv: bytes.subarray(headerBytes, headerBytes + IV_BYTES),
    ciphertext: bytes.subarray(headerBytes + IV_BYTES, tagAt),
    tag: bytes.subarray(tagAt),
  };
}

/** @throws InvalidCall */
export function requireFieldSize(plaintext: Uint8Array): void {
  if (plaintext.length > MAX_FIELD_BYTES)
    throw new InvalidCall(`A field has at most ${MAX_FIELD_BYTES} bytes; use an Envelope.`, { code: 'invalid-request' });
}

export const notAField = () => new DecryptFailed('The field does not open.', { code: 'decrypt-failed' });
