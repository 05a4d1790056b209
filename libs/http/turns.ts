import { KeywardError } from '#core';

export const MAX_AT_ONCE = 8;
export const MAX_WAITING = 100;

interface Line {
  busy: number;
  readonly waiting: (() => void)[];
}

/**
 * So many calls of one credential at once; others of it wait in order. Stops are never told "too many": but without this one tenant's
 * flood of them would hold the connections that another tenant's stop needs.
 */
export class Turns {
  readonly #lines = new Map<string, Line>();

  /**
   * Resolves when it is this call's turn, with what ends the turn; that must be called exactly once.
   * @throws KeywardError `unavailable` when too many wait already
   */
  async take(credentialId: string): Promise<() => void> {
    const line = this.#lines.get(credentialId) ?? { busy: 0, waiting: [] };
    this.#lines.set(credentialId, line);
    if (line.busy < MAX_AT_ONCE) line.busy++;
    else if (line.waiting.length >= MAX_WAITING) throw new KeywardError('unavailable', '', { reason: 'too many stops wait' });
    else {
      await new Promise<void>((resolve) => line.waiting.push(resolve));
    }
    return () => this.#end(credentialId, line);
  }

  /** The turn passes to whoever waits longest. */
  #end(credentialId: string, line: Line): void {
    const next = line.waiting.shift();
    if (next !== undefined) return next();
    line.busy--;
    if (line.busy === 0) this.#lines.delete(credentialId);
  }
}
