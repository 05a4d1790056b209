import { KeywardError } from '#core';

export const MAX_AT_ONCE = 8;
export const MAX_WAITING = 100;

interface Line {
  /** The weight of what is under way. */
  busy: number;
  readonly waiting: { readonly weight: number; readonly go: () => void }[];
}

interface TurnsOptions {
  readonly atOnce?: number;
  /** Of one name; whoever comes after them is told so. */
  readonly waiting?: number;
  /** Of one name while others are about: so many more than all of them together. Default: as many as alone. */
  readonly beside?: number;
}

/**
 * So many calls under one name at once; others of it wait in order. Of stops, under their credential: they are never told "too many",
 * but without this one tenant's flood of them would hold the connections that another tenant's stop needs. Of calls and batches, under
 * their tenant, a large one as several: whoever sends many waits behind itself and not before others, and so that it does, nobody has many
 * more under way than everybody else.
 */
export class Turns {
  readonly #lines = new Map<string, Line>();
  readonly #crowded = new Set<Line>();
  readonly #about = new RecentNames();
  readonly #atOnce: number;
  readonly #mostWaiting: number;
  readonly #beside: number;
  #busy = 0;

  constructor({ atOnce = MAX_AT_ONCE, waiting = MAX_WAITING, beside = atOnce }: TurnsOptions = {}) {
    this.#atOnce = atOnce;
    this.#mostWaiting = waiting;
    this.#beside = beside;
  }

  /**
   * Resolves when it is this call's turn, with what ends the turn; that must be called exactly once. A call of some weight takes the place
   * of so many, up to all of them.
   * @throws KeywardError `unavailable` when too many wait already
   */
  async take(name: string, given = 1): Promise<() => void> {
    const weight = Math.min(given, this.#atOnce);
    this.#about.add(name);
    const line = this.#lines.get(name) ?? { busy: 0, waiting: [] };
    this.#lines.set(name, line);
    if (line.waiting.length === 0 && this.#hasRoom(line, weight)) this.#begin(line, weight);
    else if (line.waiting.length >= this.#mostWaiting)
      throw new KeywardError('unavailable', '', { reason: 'too many calls wait for their turn' });
    else {
      this.#crowded.add(line);
      await new Promise<void>((go) => line.waiting.push({ weight, go }));
    }
    return () => this.#end(name, line, weight);
  }

  /** Whoever has nothing under way begins, however heavy it is. */
  #hasRoom(line: Line, weight: number): boolean {
    if (line.busy === 0) return true;
    const most = this.#about.isOne ? this.#atOnce : Math.min(this.#atOnce, this.#beside + this.#busy - line.busy);
    return line.busy + weight <= most;
  }

  #begin(line: Line, weight: number): void {
    line.busy += weight;
    this.#busy += weight;
  }

  /** The turn passes to whoever of the same name waits longest; there may be room for others now, too. */
  #end(name: string, line: Line, weight: number): void {
    line.busy -= weight;
    this.#busy -= weight;
    this.#letIn(line);
    for (const other of this.#crowded) this.#letIn(other);
    if (line.busy === 0) this.#lines.delete(name);
  }

  #letIn(line: Line): void {
    for (let next = line.waiting[0]; next !== undefined && this.#hasRoom(line, next.weight); next = line.waiting[0]) {
      line.waiting.shift();
      this.#begin(line, next.weight);
      next.go();
    }
    if (line.waiting.length === 0) this.#crowded.delete(line);
  }
}

const RECENT_MS = 1000;

/** Who was here in this second or the one before: who asks for one thing after the other is about in between, too. */
class RecentNames {
  #since = performance.now();
  #now = new Set<string>();
  #before = new Set<string>();
  /** Whether only one name was. */
  isOne = true;

  add(name: string): void {
    const age = performance.now() - this.#since;
    if (age > RECENT_MS) {
      this.#before = age > 2 * RECENT_MS ? new Set() : this.#now;
      this.#now = new Set();
      this.#since += age;
    } else if (this.#now.has(name)) return;
    this.#now.add(name);
    this.isOne = this.#now.size === 1 && [...this.#before].every((other) => other === name);
  }
}
