import { Transform, type TransformCallback, type Writable } from 'node:stream';

const EVERY_MS = 200;
const BAR_WIDTH = 24;
const MB = 1024 * 1024;

/**
 * Passes bytes on and counts them, and tells on a terminal how far it is: a bar where `total` is known. Whatever is not a terminal (a log,
 * a pipe) is told nothing.
 */
export class Progress extends Transform {
  bytes = 0;
  readonly #begun = Date.now();
  #told = this.#begun;

  constructor(
    private readonly talk: Writable,
    private readonly total: number | undefined,
  ) {
    super();
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.bytes += chunk.length;
    if (isTerminal(this.talk) && Date.now() - this.#told >= EVERY_MS) {
      this.#told = Date.now();
      this.talk.write(`${CLEAR}${progressLine(this.bytes, this.total, this.#told - this.#begun)}`);
    }
    done(null, chunk);
  }

  override _destroy(error: Error | null, done: TransformCallback): void {
    if (this.#told > this.#begun) this.talk.write(CLEAR);
    done(error);
  }
}

export const CLEAR = '\r\x1b[K';
export const isTerminal = (talk: Writable) => 'isTTY' in talk && talk.isTTY === true;

/** `[######      ]  25 %  64 MB, 120 MB/s` */
export function progressLine(bytes: number, total: number | undefined, elapsedMs: number): string {
  const done = total === undefined || total === 0 ? undefined : Math.min(1, bytes / total);
  return `${done === undefined ? '' : bar(done)}${(bytes / MB).toFixed(0)} MB, ${(bytes / MB / (elapsedMs / 1000)).toFixed(0)} MB/s`;
}

/** Of 0 to 1. */
export const bar = (done: number): string => `[${'#'.repeat(Math.floor(done * BAR_WIDTH)).padEnd(BAR_WIDTH)}] ${percent(done)}  `;
const percent = (done: number) => `${String(Math.floor(done * 100)).padStart(3)} %`;
