import { Duplex } from 'node:stream';

export interface StreamGuard {
  /** What the stream ends with when the library's fails. */
  readonly translate: (cause: unknown) => Error;
  /** Called after the last byte, before the end is told; throws to end in an error instead. */
  readonly beforeEnd?: (bytesIn: number, bytesOut: number) => void;
  /** Called when the library's stream is done with the data key. */
  readonly release: () => void;
}

/**
 * The library's streams as node's own: they end in exactly one of `end` and `error`, back pressure holds both ways, errors are ours, and
 * giving one up half-way is safe.
 */
export class GuardedStream extends Duplex {
  readonly #inner: Duplex;
  #bytesIn = 0;
  #bytesOut = 0;
  #innerIsOver = false;

  constructor(inner: Duplex, { translate, beforeEnd, release }: StreamGuard) {
    super();
    this.#inner = inner;
    inner.on('data', (chunk: Buffer) => {
      if (this.destroyed) return;
      this.#bytesOut += chunk.length;
      if (!this.push(chunk)) inner.pause();
    });
    inner.on('error', (cause) => {
      this.#innerIsOver = true;
      release();
      this.destroy(translate(cause));
    });
    inner.on('end', () => {
      this.#innerIsOver = true;
      release();
      try {
        if (!this.destroyed) beforeEnd?.(this.#bytesIn, this.#bytesOut);
        this.push(null);
      } catch (error) {
        this.destroy(translate(error));
      }
    });
  }

  override _read(): void {
    this.#inner.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#bytesIn += chunk.length;
    if (this.#inner.write(chunk)) done();
    else this.#inner.once('drain', done);
  }

  override _final(done: () => void): void {
    this.#inner.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (this.#innerIsOver) this.#inner.destroy();
    else this.#letFinishUnread();
    done(error);
  }

  /** The library throws out of an event, and so ends the process, when one of its streams is destroyed half-way. */
  #letFinishUnread(): void {
    this.#inner.end();
    this.#inner.resume();
  }
}
