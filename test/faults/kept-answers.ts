import type { Outcome } from './load.js';

/** What is judged of one answer. */
export type KeptAnswer = Pick<Outcome, 'sentAt' | 'endedAt' | 'status' | 'seq' | 'plane'>;

const FIRST = 1 << 14;

/** What many calls became, in 28 bytes each: a minute at full load makes half a million of them. */
export class KeptAnswers {
  #times = new Float64Array(3 * FIRST);
  #words = new Uint16Array(2 * FIRST);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add({ sentAt, endedAt, seq, status, plane }: KeptAnswer): void {
    if (2 * this.#size === this.#words.length) this.#grow();
    this.#times.set([sentAt, endedAt, seq ?? Number.NaN], 3 * this.#size);
    this.#words.set([status, plane], 2 * this.#size);
    this.#size++;
  }

  *[Symbol.iterator](): IterableIterator<KeptAnswer> {
    for (let index = 0; index < this.#size; index++) {
      const [sentAt, endedAt, seq] = this.#times.subarray(3 * index, 3 * index + 3);
      const [status, plane] = this.#words.subarray(2 * index, 2 * index + 2);
      yield { sentAt: sentAt!, endedAt: endedAt!, seq: Number.isNaN(seq) ? undefined : seq, status: status!, plane: plane! };
    }
  }

  #grow(): void {
    const [times, words] = [this.#times, this.#words];
    this.#times = new Float64Array(2 * times.length);
    this.#words = new Uint16Array(2 * words.length);
    this.#times.set(times);
    this.#words.set(words);
  }
}
