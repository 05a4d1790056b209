export interface BenchOptions {
  /** Of each measurement; a bench makes several. */
  readonly seconds: number;
  readonly log: (line: string) => void;
  /** Only this one of a bench that has parts. */
  readonly part?: string | undefined;
  /** The largest size of what grows. */
  readonly to?: number | undefined;
}
export type Bench = (options: BenchOptions) => Promise<readonly Result[]>;

/** One figure beside its own baseline in the same run; fields that apply. Of several pairs: medians. */
export interface Result {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly baseline?: number;
  /** Of several pairs: the median of their own ratios. */
  readonly ratio?: number;
  readonly p50Ms?: number;
  readonly p99Ms?: number;
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

/** `share` 0.5 is the median, 0.99 what one of a hundred exceeds. @throws RangeError when there are no values */
export function percentile(values: readonly number[], share: number): number {
  const value = [...values].sort((a, b) => a - b)[Math.max(0, Math.ceil(share * values.length) - 1)];
  if (value === undefined) throw new RangeError('No values.');
  return value;
}

export const rounded = (value: number, digits: number): number => Number(value.toFixed(digits));
