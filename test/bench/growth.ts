import { type Bench, type BenchOptions, median, percentile, type Result, rounded } from './result.js';
import { filledLog, moreKeys, moreTenants } from './growth-world.js';
import { encryptedFields, latenciesOf, type Target, targetsOf } from './growth-load.js';
import { startWorld, type World } from './world.js';

/** At each point: so many callers, each with one call in flight, several times for so long. */
const CALLERS = 8;
const SLICES = 5;
const SAMPLES = { batches: [1, 10, 100, 500], connections: [1, 8, 32, 128, 512] } as const;

interface Axis {
  /** The largest size unless `--to` says otherwise: a minute or two on a small machine. */
  readonly to: number;
  readonly from: number;
  /** Grows the world to `size`, and says what is called then. */
  readonly grow: (world: World, size: number) => Promise<readonly Target[]>;
}

/** What must not make calls slower, by how much there is of it. */
const GROWING: Readonly<Record<string, Axis>> = {
  tenants: { from: 1, to: 30, grow: moreTenants },
  keys: { from: 1, to: 300, grow: moreKeys },
  records: { from: 1000, to: 30_000, grow: filledLog },
};
/** What does make them slower, and by how much. */
const SAMPLED: Readonly<Record<string, (world: World, options: BenchOptions) => Promise<Result[]>>> = { batches, connections };

export const GROWTH_PARTS: readonly string[] = [...Object.keys(GROWING), ...Object.keys(SAMPLED)];

/**
 * Curves: GenerateDataKey by the number of tenants, of keys in one tenant and of records in one log, its p99 beside that of the smallest
 * size; and by connections; and Decrypt by the size of the batch. Each axis has a platform of its own, and grows by tens.
 */
export const growth: Bench = async (options) => {
  const results: Result[] = [];
  for (const part of GROWTH_PARTS.filter((name) => options.part === undefined || options.part === name)) {
    const world = await startWorld();
    try {
      const axis = GROWING[part];
      results.push(...(axis === undefined ? await SAMPLED[part]!(world, options) : await curve(part, axis, world, options)));
    } finally {
      await world.stop();
    }
  }
  return results;
};

async function curve(
  part: string,
  { from, to, grow }: Axis,
  world: World,
  { seconds, log, to: wanted = to }: BenchOptions,
): Promise<Result[]> {
  const results: Result[] = [];
  for (const size of byTens(from, wanted)) {
    const targets = await grow(world, size);
    await latenciesOf(world, targets, CALLERS, 1);
    const slices: number[][] = [];
    for (let slice = 0; slice < SLICES; slice++) slices.push(await latenciesOf(world, targets, CALLERS, seconds / SLICES));
    const [p50, p99] = [0.5, 0.99].map((share) => rounded(median(slices.map((times) => percentile(times, share))), 2)) as [number, number];
    const baseline = results[0]?.value ?? p99;
    results.push({
      ...{ name: `growth-${part}`, value: p99, unit: 'ms (p99)', baseline, ratio: rounded(p99 / baseline, 3), p50Ms: p50, p99Ms: p99 },
      ...{ size, callers: CALLERS, answers: slices.flat().length },
    });
    log(`growth-${part}: ${size}: p50 ${p50} ms, p99 ${p99} ms`);
  }
  return results;
}

/** 1, 10, 100 … and `to` itself. */
const byTens = (from: number, to: number): number[] => (from >= to ? [to] : [from, ...byTens(Math.min(from * 10, to), to)]);

async function connections(world: World, { seconds, log }: BenchOptions): Promise<Result[]> {
  const results: Result[] = [];
  const targets = targetsOf(world, ['acme']);
  for (const size of SAMPLES.connections) {
    await latenciesOf(world, targets, size, 1);
    results.push(rateOf('connections', size, 1, await latenciesOf(world, targets, size, seconds), seconds));
    log(`growth-connections: ${size}: ${results.at(-1)!.value}/s`);
  }
  return results;
}

async function batches(world: World, { seconds, log }: BenchOptions): Promise<Result[]> {
  const results: Result[] = [];
  for (const size of SAMPLES.batches) {
    const targets = await encryptedFields(world, size);
    await latenciesOf(world, targets, CALLERS, 1);
    results.push(rateOf('batches', size, size, await latenciesOf(world, targets, CALLERS, seconds), seconds));
    log(`growth-batches: ${size}: ${results.at(-1)!.value} items/s`);
  }
  return results;
}

function rateOf(part: string, size: number, items: number, times: readonly number[], seconds: number): Result {
  return {
    ...{
      name: `growth-${part}`,
      value: Math.round((times.length * items) / seconds),
      unit: items === 1 && part === 'connections' ? 'req/s' : 'items/s',
    },
    ...{ p50Ms: rounded(percentile(times, 0.5), 2), p99Ms: rounded(percentile(times, 0.99), 2), size, answers: times.length },
  };
}
