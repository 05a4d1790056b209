import { type CipherGCM, createCipheriv, createDecipheriv, type DecipherGCM, hkdfSync } from 'node:crypto';
import { COMMITMENT_BYTES, type MessageHeader, suiteOf } from './message-header.js';

const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
export const IV_BYTES = 12;
export const TAG_BYTES = 16;
const AUTH = { authTagLength: TAG_BYTES } as const;

const KEY_INFO = Buffer.from('DERIVEKEY');
const COMMITMENT_INFO = Buffer.from('COMMITKEY');
const FRAME = Buffer.from('AWSKMSEncryptionClient Frame');
const FINAL_FRAME = Buffer.from('AWSKMSEncryptionClient Final Frame');
/** The header's IV, which no frame has: frames count from 1. */
const HEADER_SEQUENCE = 0;

/** One frame's place in its message, which its tag binds. */
export interface FramePlace {
  /** From 1. */
  readonly sequence: number;
  readonly isFinal: boolean;
  /** Of its plaintext. */
  readonly length: number;
}

/**
 * The key of one message: HKDF-SHA-512 (RFC 5869) of the data key with the message's id as salt, as suites 0x0478 and 0x0578 of the AWS
 * Encryption SDK say. IVs are counted, so one key seals one message only.
 */
export class MessageKey {
  /** 32 bytes that only this data key gives for this message. */
  readonly commitment: Buffer;
  readonly #key: Buffer;
  readonly #messageId: Uint8Array;

  /** `dataKey` stays the caller's to wipe. */
  constructor(dataKey: Uint8Array, { messageId, context }: Pick<MessageHeader, 'messageId' | 'context'>) {
    this.#messageId = Uint8Array.from(messageId);
    this.#key = Buffer.from(hkdfSync('sha512', dataKey, messageId, Buffer.concat([suiteOf(context), KEY_INFO]), KEY_BYTES));
    this.commitment = Buffer.from(hkdfSync('sha512', dataKey, messageId, COMMITMENT_INFO, COMMITMENT_BYTES));
  }

  headerTag(header: Uint8Array): Buffer {
    const cipher = createCipheriv(CIPHER, this.#key, frameIv(HEADER_SEQUENCE), AUTH).setAAD(header);
    cipher.final();
    return cipher.getAuthTag();
  }

  cipher(place: FramePlace): CipherGCM {
    return createCipheriv(CIPHER, this.#key, frameIv(place.sequence), AUTH).setAAD(this.#bound(place));
  }

  decipher(place: FramePlace): DecipherGCM {
    return createDecipheriv(CIPHER, this.#key, frameIv(place.sequence), AUTH).setAAD(this.#bound(place));
  }

  wipe(): void {
    this.#key.fill(0);
  }

  #bound({ sequence, isFinal, length }: FramePlace): Buffer {
    const numbers = Buffer.alloc(12);
    numbers.writeUInt32BE(sequence);
    numbers.writeBigUInt64BE(BigInt(length), 4);
    return Buffer.concat([this.#messageId, isFinal ? FINAL_FRAME : FRAME, numbers]);
  }
}

export function frameIv(sequence: number): Buffer {
  const iv = Buffer.alloc(IV_BYTES);
  iv.writeUInt32BE(sequence, IV_BYTES - 4);
  return iv;
}
