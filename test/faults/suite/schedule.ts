import { seeded } from '../random.js';
import { FAULTS } from './faults.js';

/** One fault of a plan: when it begins after the one before, whom it hits, for how long. */
export interface Planned {
  readonly fault: string;
  readonly victim: string;
  readonly afterMs: number;
  readonly forMs: number;
  /** For the fault's own choices. */
  readonly seed: number;
}

const MOST_BETWEEN_MS = 900;
const SHORTEST_MS = 150;
const LONGEST_MS = 2500;
/** Longer than a plane waits for the database, now and then. */
const LONG = { share: 0.1, ms: 7000 };

/** The same for the same seed, on every machine: what cannot be had here is drawn all the same, and left out when its turn comes. */
export function planOf(seed: number, faults: number): Planned[] {
  const random = seeded(seed);
  const deck = Object.entries(FAULTS).flatMap(([name, { weight }]) => Array.from({ length: weight }, () => name));
  const one = <Value>(values: readonly Value[]): Value => values[Math.floor(random() * values.length)]!;
  return Array.from({ length: faults }, () => {
    const fault = one(deck);
    return {
      ...{ fault, victim: one(FAULTS[fault]!.victims) },
      afterMs: Math.round(random() * MOST_BETWEEN_MS),
      forMs: Math.round(random() < LONG.share ? LONG.ms : SHORTEST_MS + random() * (LONGEST_MS - SHORTEST_MS)),
      seed: Math.floor(random() * 2 ** 31),
    };
  });
}
