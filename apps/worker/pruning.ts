import { type Checkpoints, type Clock, type LogPruning, systemClock } from '#core';

const LOOK_MS = 60_000;
/** A long backlog goes over many rounds: checkpoints do not wait for it. */
const STEPS_A_ROUND = 5;

/** Takes away what a tenant's admin had pruned. A crash leaves whole tiles, and the next round goes on. */
export class Pruning {
  #idleUntil = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly logs: LogPruning,
    private readonly lead: Pick<Checkpoints, 'asLeader'>,
    private readonly clock: Clock = systemClock,
  ) {}

  /** @throws KeywardError unavailable */
  async round(): Promise<void> {
    const now = this.clock.now().getTime();
    if (now < this.#idleUntil) return;
    await this.lead.asLeader(async () => {
      for (let step = 0; step < STEPS_A_ROUND; step++) if (!(await this.logs.pruneStep())) return await this.#rest(now);
    });
  }

  async #rest(now: number): Promise<void> {
    this.#idleUntil = now + LOOK_MS;
    await this.logs.dropEmptyMonths();
  }
}
