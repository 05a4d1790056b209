import { type Checkpoints, type Clock, systemClock, type TrailMonths } from '#core';

/** Partitions are there this long before their month: time enough for whoever reads that they could not be made. */
const MONTHS_AHEAD = 2;
const LOOK_MS = 3_600_000;

/** Makes the trail's next months. No append waits for it. */
export class Months {
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly partitions: TrailMonths & Pick<Checkpoints, 'asLeader'>,
    private readonly clock: Clock = systemClock,
  ) {}

  /** @throws KeywardError unavailable; tried again an hour later */
  async round(): Promise<void> {
    const now = this.clock.now().getTime();
    if (now - this.#lookedAt < LOOK_MS) return;
    this.#lookedAt = now;
    await this.partitions.asLeader(() => this.partitions.ensureMonths(MONTHS_AHEAD));
  }
}
