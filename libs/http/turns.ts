import { KeywardError } from '#core';

export const MAX_AT_ONCE = 8;
export const MAX_WAITING = 100;

interface Line {
  busy: number;
  readonly waiting: (() => void)[];
}

/**
 * So many calls under one name at once; others of it wait in order. Of stops, under their credential: they are never told "too many",
 * but without this one tenant's flood of them would hold the connections that another tenant's stop needs. Of batches, under their
 * tenant: whoever sends many waits behind itself and not before others.
 */
export class Turns {
  readonly #lines = new Map<string, Line>();

  constructor(
    private readonly atOnce = MAX_AT_ONCE,
    private readonly waiting = MAX_WAITING,
  ) {}

  /**
   * Resolves when it is this call's turn, with what ends the turn; that must be called exactly once.
   * @throws KeywardError `unavailable` when too many wait already
   */
  async take(name: string): Promise<() => void> {
    const line = this.#lines.get(name) ?? { busy: 0, waiting: [] };
    this.#lines.set(name, line);
    if (line.busy < this.atOnce) line.busy++;
    else if (line.waiting.length >= this.waiting)
      throw new KeywardError('unavailable', '', { reason: 'too many calls wait for their turn' });
    else {
      await new Promise<void>((resolve) => line.waiting.push(resolve));
    }
    return () => this.#end(name, line);
  }

  /** The turn passes to whoever waits longest. */
  #end(name: string, line: Line): void {
    const next = line.waiting.shift();
    if (next !== undefined) return next();
    line.busy--;
    if (line.busy === 0) this.#lines.delete(name);
  }
}
