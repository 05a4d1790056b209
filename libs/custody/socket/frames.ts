import { MAX_FRAME_BYTES } from './wire.js';

const EMPTY = Buffer.alloc(0);
const LENGTH_BYTES = 4;

/** Cuts a stream of bytes into frames and wipes every byte once its frame was handled. */
export class FrameReader {
  #rest = EMPTY;

  /** `handle` gets views that are wiped when it returns: what it keeps, it copies. */
  constructor(private readonly handle: (frame: Buffer) => void) {}

  /** Takes the next bytes, wiping them too. @throws RangeError for a frame over 64 KiB: the connection cannot go on. */
  push(chunk: Buffer): void {
    const bytes = this.#joined(chunk);
    let at = 0;
    try {
      for (let end = frameEnd(bytes, at); end <= bytes.length; end = frameEnd(bytes, at)) {
        this.handle(bytes.subarray(at + LENGTH_BYTES, end));
        at = end;
      }
      if (at < bytes.length) this.#rest = Buffer.from(bytes.subarray(at));
    } finally {
      bytes.fill(0);
    }
  }

  /** Of a frame that will not end: its connection did. */
  wipe(): void {
    this.#rest.fill(0);
    this.#rest = EMPTY;
  }

  #joined(chunk: Buffer): Buffer {
    if (this.#rest.length === 0) return chunk;
    const joined = Buffer.concat([this.#rest, chunk]);
    this.#rest.fill(0);
    chunk.fill(0);
    this.#rest = EMPTY;
    return joined;
  }
}

/** Where the frame at `at` ends; beyond the bytes when not all of it is here. */
function frameEnd(bytes: Buffer, at: number): number {
  if (bytes.length - at < LENGTH_BYTES) return Infinity;
  const length = bytes.readUInt32BE(at);
  if (length > MAX_FRAME_BYTES) throw new RangeError('A frame is too long.');
  return at + LENGTH_BYTES + length;
}
