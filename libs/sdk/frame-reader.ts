import type { DecipherGCM } from 'node:crypto';
import { FINAL_HEAD_BYTES, FINAL_MARK, HEAD_BYTES } from './frame-writer.js';
import { notAMessage } from './message-header.js';
import { type FramePlace, frameIv, type MessageKey, TAG_BYTES } from './message-key.js';
import { MAX_SIGNATURE_BYTES, type MessageVerifier } from './message-signature.js';

const SIGNATURE_LENGTH_BYTES = 2;

interface OpenFrame {
  readonly isFinal: boolean;
  readonly decipher: DecipherGCM;
  readonly pieces: Buffer[];
  left: number;
}

/**
 * The frames of a message, in order, each released when its tag has been checked. Everything is refused that a writer would not have
 * written: another sequence, another IV, a byte after the end. Of a signed message the last frame waits for the signature.
 */
export class FrameReader {
  #sequence = 1;
  #frame: OpenFrame | undefined;
  #isOver = false;
  /** The last frame's plaintext, until the signature has been checked. */
  #unsigned: readonly Buffer[] | undefined;
  /** Collects a head, a tag, or a signature. */
  readonly #small = Buffer.alloc(SIGNATURE_LENGTH_BYTES + MAX_SIGNATURE_BYTES);
  #filled = 0;

  constructor(
    private readonly key: MessageKey,
    private readonly frameBytes: number,
    private readonly emit: (plaintext: Buffer) => void,
    private readonly verifier?: MessageVerifier,
  ) {}

  /** @throws DecryptFailed */
  read(bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0) {
      if (this.#isOver) throw notAMessage();
      rest = this.#unsigned === undefined ? this.#readFrame(rest) : this.#readSignature(this.#unsigned, rest);
    }
  }

  /** @throws DecryptFailed for a message that was cut */
  end(): void {
    if (!this.#isOver) throw notAMessage();
  }

  /** Wipes what was decrypted and not released. */
  wipe(): void {
    for (const piece of this.#frame?.pieces ?? this.#unsigned ?? []) piece.fill(0);
  }

  #readFrame(bytes: Buffer): Buffer {
    const rest = this.#readPart(bytes);
    this.verifier?.update(bytes.subarray(0, bytes.length - rest.length));
    return rest;
  }

  #readPart(bytes: Buffer): Buffer {
    if (this.#frame === undefined) return this.#readHead(bytes);
    return this.#frame.left > 0 ? readContent(this.#frame, bytes) : this.#readTag(this.#frame, bytes);
  }

  #readHead(bytes: Buffer): Buffer {
    let rest = this.#collect(bytes, HEAD_BYTES);
    if (this.#filled < HEAD_BYTES) return rest;
    const isFinal = this.#small.readUInt32BE(0) === FINAL_MARK;
    if (isFinal) rest = this.#collect(rest, FINAL_HEAD_BYTES);
    if (isFinal && this.#filled < FINAL_HEAD_BYTES) return rest;
    this.#begin(isFinal);
    return rest;
  }

  #begin(isFinal: boolean): void {
    const head = this.#small.subarray(isFinal ? 4 : 0);
    const length = isFinal ? head.readUInt32BE(HEAD_BYTES) : this.frameBytes;
    const place: FramePlace = { sequence: this.#sequence, isFinal, length };
    const isInPlace = head.readUInt32BE(0) === place.sequence && head.subarray(4, HEAD_BYTES).equals(frameIv(place.sequence));
    if (!isInPlace || length > this.frameBytes) throw notAMessage();
    this.#frame = { isFinal, decipher: this.key.decipher(place), pieces: [], left: length };
    this.#filled = 0;
  }

  #readTag(frame: OpenFrame, bytes: Buffer): Buffer {
    const rest = this.#collect(bytes, TAG_BYTES);
    if (this.#filled < TAG_BYTES) return rest;
    try {
      frame.decipher.setAuthTag(this.#small.subarray(0, TAG_BYTES)).final();
    } catch {
      throw notAMessage();
    }
    this.#sequence += 1;
    this.#frame = undefined;
    this.#filled = 0;
    if (frame.isFinal && this.verifier !== undefined) this.#unsigned = frame.pieces;
    else this.#release(frame.pieces, frame.isFinal);
    return rest;
  }

  #readSignature(plaintext: readonly Buffer[], bytes: Buffer): Buffer {
    let rest = this.#collect(bytes, SIGNATURE_LENGTH_BYTES);
    if (this.#filled < SIGNATURE_LENGTH_BYTES) return rest;
    const end = SIGNATURE_LENGTH_BYTES + this.#small.readUInt16BE(0);
    if (end > this.#small.length) throw notAMessage();
    rest = this.#collect(rest, end);
    if (this.#filled < end) return rest;
    this.verifier!.requireSignature(this.#small.subarray(SIGNATURE_LENGTH_BYTES, end));
    this.#unsigned = undefined;
    this.#release(plaintext, true);
    return rest;
  }

  #release(plaintext: readonly Buffer[], isOver: boolean): void {
    for (const piece of plaintext) this.emit(piece);
    this.#isOver = isOver;
  }

  #collect(bytes: Buffer, wanted: number): Buffer {
    const take = Math.min(bytes.length, Math.max(0, wanted - this.#filled));
    bytes.copy(this.#small, this.#filled, 0, take);
    this.#filled += take;
    return bytes.subarray(take);
  }
}

function readContent(frame: OpenFrame, bytes: Buffer): Buffer {
  const take = Math.min(bytes.length, frame.left);
  frame.pieces.push(frame.decipher.update(bytes.subarray(0, take)));
  frame.left -= take;
  return bytes.subarray(take);
}
