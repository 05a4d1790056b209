import { CustodyBusy } from '../custody-busy.js';

const MOST = { inAll: 4, ofOneTenant: 2 } as const;

/**
 * RSA keys are made one after the other: each keeps a thread busy for seconds, and symmetric calls go on meanwhile. The line is short,
 * and no tenant fills it alone: who comes too late is told at once.
 */
export class RsaBirths {
  readonly #line: string[] = [];
  #last: Promise<unknown> = Promise.resolve();

  /** @throws CustodyBusy, and what `work` throws */
  async take<T>(tenant: string, work: () => Promise<T>): Promise<T> {
    const mine = this.#line.filter((waiting) => waiting === tenant).length;
    if (this.#line.length >= MOST.inAll || mine >= MOST.ofOneTenant) throw new CustodyBusy();
    this.#line.push(tenant);
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    try {
      return await turn;
    } finally {
      this.#line.splice(this.#line.indexOf(tenant), 1);
    }
  }
}
