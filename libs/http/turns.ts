import { KeywardError } from '#core';

export const MAX_AT_ONCE = 8;
export const MAX_WAITING = 100;

interface Line {
  /** The weight of what is under way. */
  busy: number;
  readonly waiting: { readonly weight: number; readonly go: () => void }[];
}

/**
 * So many calls under one name at once; others of it wait in order. Of stops, under their credential: they are never told "too many",
 * but without this one tenant's flood of them would hold the connections that another tenant's stop needs. Of batches, under their
 * tenant, a large one as several: whoever sends many waits behind itself and not before others.
 */
export class Turns {
  readonly #lines = new Map<string, Line>();

  constructor(
    private readonly atOnce = MAX_AT_ONCE,
    private readonly waiting = MAX_WAITING,
  ) {}

  /**
   * Resolves when it is this call's turn, with what ends the turn; that must be called exactly once. A call of some weight takes the place
   * of so many, up to all of them.
   * @throws KeywardError `unavailable` when too many wait already
   */
  async take(name: string, given = 1): Promise<() => void> {
    const weight = Math.min(given, this.atOnce);
    const line = this.#lines.get(name) ?? { busy: 0, waiting: [] };
    this.#lines.set(name, line);
    if (line.waiting.length === 0 && line.busy + weight <= this.atOnce) line.busy += weight;
    else if (line.waiting.length >= this.waiting)
      throw new KeywardError('unavailable', '', { reason: 'too many calls wait for their turn' });
    else {
      await new Promise<void>((go) => line.waiting.push({ weight, go }));
    }
    return () => this.#end(name, line, weight);
  }

  /** The turn passes to whoever waits longest. */
  #end(name: string, line: Line, weight: number): void {
    line.busy -= weight;
    for (let next = line.waiting[0]; next !== undefined && line.busy + next.weight <= this.atOnce; next = line.waiting[0]) {
      line.waiting.shift();
      line.busy += next.weight;
      next.go();
    }
    if (line.busy === 0) this.#lines.delete(name);
  }
}
