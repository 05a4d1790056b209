import type { Checkpoints, Clock, TrailMonths } from '#core';
import { seldom } from './seldom.js';

/** Partitions are there this long before their month: time enough for whoever reads that they could not be made. */
const MONTHS_AHEAD = 2;
const LOOK_MS = 3_600_000;

/** Makes the trail's next months. No append waits for it. */
export class Months {
  readonly #due: ReturnType<typeof seldom>;

  constructor(
    private readonly partitions: TrailMonths & Pick<Checkpoints, 'asLeader'>,
    clock?: Clock,
  ) {
    this.#due = seldom(LOOK_MS, clock);
  }

  /** @throws KeywardError unavailable; tried again an hour later */
  async round(): Promise<void> {
    if (this.#due() === undefined) return;
    await this.partitions.asLeader(() => this.partitions.ensureMonths(MONTHS_AHEAD));
  }
}
