import type { Socket } from 'node:net';
import { MAX_FRAME_BYTES } from './wire.js';

const SPARE_BUFFERS = 4;
const BUFFER_BYTES = 2 * (MAX_FRAME_BYTES + 4);

/** Collects frames and writes them at once; buffers are wiped when the kernel has taken them. */
export class Outbox {
  readonly #spare: Buffer[] = [];
  #buffer: Buffer = Buffer.alloc(BUFFER_BYTES);
  #used = 0;

  constructor(private readonly socket: Socket) {}

  /** Copies a frame's content in and wipes the original. @throws RangeError when it is over 64 KiB. */
  push(content: Uint8Array): void {
    if (content.length > MAX_FRAME_BYTES) {
      content.fill(0);
      throw new RangeError('A frame is too long.');
    }
    if (this.#used + 4 + content.length > BUFFER_BYTES) this.flush();
    this.#buffer.writeUInt32BE(content.length, this.#used);
    this.#buffer.set(content, this.#used + 4);
    this.#used += 4 + content.length;
    content.fill(0);
  }

  /** What was not sent, and will not be. */
  wipe(): void {
    this.#buffer.fill(0, 0, this.#used);
    this.#used = 0;
  }

  flush(): void {
    if (this.#used === 0) return;
    const [full, used] = [this.#buffer, this.#used];
    this.#buffer = this.#spare.pop() ?? Buffer.alloc(BUFFER_BYTES);
    this.#used = 0;
    this.socket.write(full.subarray(0, used), () => {
      full.fill(0, 0, used);
      if (this.#spare.length < SPARE_BUFFERS) this.#spare.push(full);
    });
  }
}
