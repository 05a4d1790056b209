import type { CipherGCM } from 'node:crypto';
import { InvalidCall } from './errors.js';
import { type FramePlace, frameIv, IV_BYTES, type MessageKey, TAG_BYTES } from './message-key.js';

/** In the place of a sequence number, it says that the last frame begins. */
export const FINAL_MARK = 0xffffffff;
export const HEAD_BYTES = 4 + IV_BYTES;
/** Mark ‖ sequence ‖ IV ‖ length. */
export const FINAL_HEAD_BYTES = 4 + HEAD_BYTES + 4;

/** How much a whole message says whose header is followed by `length` bytes, its tag among them; never negative. */
export function plaintextBytes(length: number, frameBytes: number): number {
  const body = length - TAG_BYTES - FINAL_HEAD_BYTES - TAG_BYTES;
  const around = HEAD_BYTES + TAG_BYTES;
  return Math.max(0, body - Math.floor(body / (frameBytes + around)) * around);
}

/**
 * Plaintext of any size, as frames. Each chunk is encrypted when it comes, so none is copied or kept: what waits for its frame to be full
 * is ciphertext.
 */
export class FrameWriter {
  #sequence = 1;
  #length = 0;
  #cipher: CipherGCM | undefined;
  #pieces: Buffer[] = [];

  constructor(
    private readonly key: MessageKey,
    private readonly frameBytes: number,
    private readonly emit: (bytes: Buffer) => void,
  ) {}

  write(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      this.#cipher ??= this.key.cipher(this.#place(false, this.frameBytes));
      const take = Math.min(bytes.length - at, this.frameBytes - this.#length);
      // A view of its own costs as much as encrypting some kilobytes.
      this.#pieces.push(this.#cipher.update(take === bytes.length ? bytes : bytes.subarray(at, at + take)));
      this.#length += take;
      at += take;
      if (this.#length === this.frameBytes) this.#endFrame(this.#cipher);
    }
  }

  /**
   * The last frame, empty where the plaintext ends with a frame. Its pieces were encrypted before anybody knew that it is the last: its tag
   * binds another place, so they go through the same key stream back and forth. No other tag under this IV ever leaves.
   */
  end(): void {
    const place = this.#place(true, this.#length);
    const back = this.key.cipher(place);
    const cipher = this.key.cipher(place);
    this.emit(finalHead(place));
    for (const piece of this.#pieces) {
      const plaintext = back.update(piece);
      this.emit(cipher.update(plaintext));
      plaintext.fill(0);
    }
    cipher.final();
    this.emit(cipher.getAuthTag());
  }

  #endFrame(cipher: CipherGCM): void {
    this.emit(head(this.#sequence));
    for (const piece of this.#pieces) this.emit(piece);
    cipher.final();
    this.emit(cipher.getAuthTag());
    this.#sequence += 1;
    this.#length = 0;
    this.#cipher = undefined;
    this.#pieces = [];
  }

  #place(isFinal: boolean, length: number): FramePlace {
    if (this.#sequence >= FINAL_MARK) throw new InvalidCall('A message has less than 2^32 frames.', { code: 'invalid-request' });
    return { sequence: this.#sequence, isFinal, length };
  }
}

function head(sequence: number): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES);
  bytes.writeUInt32BE(sequence);
  frameIv(sequence).copy(bytes, 4);
  return bytes;
}

function finalHead({ sequence, length }: FramePlace): Buffer {
  const bytes = Buffer.alloc(FINAL_HEAD_BYTES);
  bytes.writeUInt32BE(FINAL_MARK);
  head(sequence).copy(bytes, 4);
  bytes.writeUInt32BE(length, FINAL_HEAD_BYTES - 4);
  return bytes;
}
