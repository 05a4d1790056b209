import { concat } from './octets.js';

/** Bytes in one piece or as they arrive; each chunk may be of any length. */
export type ByteSource = Uint8Array | AsyncIterable<Uint8Array>;

/** Cuts a stream into pieces of asked lengths. */
export class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array> | undefined;
  #pending: Uint8Array;

  constructor(source: ByteSource) {
    this.#chunks = source instanceof Uint8Array ? undefined : source[Symbol.asyncIterator]();
    this.#pending = source instanceof Uint8Array ? source : new Uint8Array(0);
  }

  /** The next `length` bytes, or undefined when fewer are left. */
  async take(length: number): Promise<Uint8Array | undefined> {
    if (this.#pending.length < length) await this.#gather(length);
    if (this.#pending.length < length) return undefined;
    const taken = this.#pending.subarray(0, length);
    this.#pending = this.#pending.subarray(length);
    return taken;
  }

  /** Tells the source that nobody will read on. */
  async close(): Promise<void> {
    await this.#chunks?.return?.();
  }

  async #gather(length: number): Promise<void> {
    const parts = [this.#pending];
    for (let have = this.#pending.length; have < length; ) {
      const next = await this.#chunks?.next();
      if (next === undefined || next.done) break;
      parts.push(next.value);
      have += next.value.length;
    }
    this.#pending = concat(...parts);
  }
}
