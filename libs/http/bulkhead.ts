import { KeywardError } from '#core';

/** So many at once under one name, and none that waits: who fills its own share takes nothing from the others. */
export class Bulkhead {
  readonly #busy = new Map<string, number>();

  constructor(private readonly most: number) {}

  /** @throws KeywardError `unavailable` when the name's share is taken */
  async run<Answer>(name: string, work: () => Promise<Answer>): Promise<Answer> {
    const busy = this.#busy.get(name) ?? 0;
    if (busy >= this.most) throw new KeywardError('unavailable', '', { reason: 'too many credential look-ups' });
    this.#busy.set(name, busy + 1);
    try {
      return await work();
    } finally {
      const left = this.#busy.get(name)! - 1;
      if (left > 0) this.#busy.set(name, left);
      else this.#busy.delete(name);
    }
  }
}
