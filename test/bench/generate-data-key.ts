import { cpus } from 'node:os';
import { type Baseline, startBaseline } from './baseline.js';
import { canMeasureCpu, cpuTimes } from './cpu-time.js';
import { GENERATOR, generateLoad, type Load } from './load-generator.js';
import { type Bench, median, type Result, rounded } from './result.js';
import { countRecords, durability, startWorld, type World } from './world.js';

const CONNECTIONS = 128;
const PAIRS = 3;
const WARM_UP_SECONDS = 3;

interface Measurement extends Load {
  /** µs of CPU per answer, by process. */
  readonly cpu: Readonly<Record<string, number>>;
  readonly cpuSum: number;
}
interface Measured extends Measurement {
  readonly records: number;
}

/**
 * Durable, granted, HSM-executed GenerateDataKey beside an empty Nest route: same machine, same minute, same request, same node flags.
 * Every answer must have its record: counted in the database after each measurement.
 */
export const generateDataKey: Bench = async ({ seconds, log }) => {
  log('starting the platform and the empty route');
  const [world, baseline] = await Promise.all([startWorld(), startBaseline()]);
  try {
    await measureBaseline(baseline, world, WARM_UP_SECONDS);
    await measurePlatform(world, WARM_UP_SECONDS);
    const pairs: { empty: Measurement; ours: Measured }[] = [];
    for (let pair = 1; pair <= PAIRS; pair++) {
      const empty = await measureBaseline(baseline, world, seconds);
      const ours = await measurePlatform(world, seconds);
      pairs.push({ empty, ours });
      log(
        `pair ${pair}: empty route ${empty.perSecond.toFixed(0)}/s, GenerateDataKey ${ours.perSecond.toFixed(0)}/s, ${ours.answers} answers, ${ours.records} records`,
      );
    }
    return [await resultOf(pairs, world, seconds)];
  } finally {
    await Promise.all([baseline.stop(), world.stop()]);
  }
};

function measureBaseline({ url, pid }: Baseline, { call, apiKey }: World, seconds: number): Promise<Measurement> {
  return measure(url, apiKey, call, seconds, new Map([['baseline', pid]]));
}

async function measurePlatform(world: World, seconds: number): Promise<Measured> {
  const { platform, call, apiKey } = world;
  const processes = [...platform.processes].map(([name, { pid }]) => [name, pid ?? 0] as const);
  const before = await countRecords(world);
  const measurement = await measure(
    `${platform.urls.dataPlanes[0]}/v1/tenants/acme/data-keys`,
    apiKey,
    call,
    seconds,
    new Map([...processes, ['postgres', platform.postgres.pid ?? 0]]),
  );
  const records = (await countRecords(world)) - before;
  requireRecords(measurement.answers, records);
  return { ...measurement, records };
}

/** The generator hangs up with a call in flight on each connection: those may have a record that nobody was answered for. */
function requireRecords(answers: number, records: number): void {
  if (records < answers || records > answers + CONNECTIONS) throw new Error(`${answers} answers, but ${records} records.`);
}

async function measure(
  url: string,
  apiKey: string,
  call: object,
  seconds: number,
  processes: ReadonlyMap<string, number>,
): Promise<Measurement> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${apiKey}` };
  const before = canMeasureCpu ? cpuTimes(processes) : undefined;
  const load = await generateLoad({ url, headers, body: JSON.stringify(call), connections: CONNECTIONS, seconds });
  if (load.failures > 0) throw new Error(`${load.failures} of ${load.answers} calls to ${new URL(url).pathname} failed.`);
  const spent = before === undefined ? [] : [...cpuTimes(processes)].map(([name, us]) => [name, us - (before.get(name) ?? 0)] as const);
  const cpu = Object.fromEntries([...spent, ['generator', load.cpuUs] as const].map(([name, us]) => [name, rounded(us / load.answers, 2)]));
  return { ...load, cpu, cpuSum: Object.values(cpu).reduce((sum, us) => sum + us, 0) };
}

async function resultOf(pairs: readonly { empty: Measurement; ours: Measured }[], world: World, seconds: number): Promise<Result> {
  const of = (value: (pair: { empty: Measurement; ours: Measured }) => number, digits = 0) => rounded(median(pairs.map(value)), digits);
  const names = Object.keys(pairs[0]?.ours.cpu ?? {});
  return {
    name: 'generate-data-key',
    value: of(({ ours }) => ours.perSecond),
    unit: 'req/s',
    baseline: of(({ empty }) => empty.perSecond),
    ratio: of(({ empty, ours }) => ours.perSecond / empty.perSecond, 3),
    p50Ms: of(({ ours }) => ours.p50Ms, 2),
    p99Ms: of(({ ours }) => ours.p99Ms, 2),
    ...(canMeasureCpu && {
      cpuUsPerOp: of(({ ours }) => ours.cpuSum, 1),
      cpuUsPerOpByProcess: Object.fromEntries(names.map((name) => [name, of(({ ours }) => ours.cpu[name] ?? 0, 1)])),
      baselineCpuUsPerOp: of(({ empty }) => empty.cpuSum, 1),
    }),
    pairs: pairs.map(({ empty, ours }) => ({
      baseline: rounded(empty.perSecond, 0),
      value: rounded(ours.perSecond, 0),
      answers: ours.answers,
      records: ours.records,
    })),
    generator: GENERATOR,
    connections: CONNECTIONS,
    seconds,
    ...(await durability(world)),
    node: process.version,
    cores: cpus().length,
  };
}
