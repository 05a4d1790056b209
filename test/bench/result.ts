export interface BenchOptions {
  /** Of each measurement; a bench makes several. */
  readonly seconds: number;
  readonly log: (line: string) => void;
}
export type Bench = (options: BenchOptions) => Promise<Result>;

/** One bench beside its own baseline in the same run. Medians over the pairs. */
export interface Result {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly baseline: number;
  /** The median of the pairs' own ratios. */
  readonly ratio: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** All processes together, the load generator included; absent where there is no /proc. */
  readonly cpuUsPerOp?: number;
  readonly [more: string]: unknown;
}

/** The middle value; of an even number the lower middle one. @throws RangeError when there is none */
export function median(values: readonly number[]): number {
  const middle = [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)];
  if (middle === undefined) throw new RangeError('No values.');
  return middle;
}

export const rounded = (value: number, digits: number): number => Number(value.toFixed(digits));
