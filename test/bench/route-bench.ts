import { cpus } from 'node:os';
import { type DataOperation, FRAME_TYPE } from '#contract';
import { type Baseline, startBaseline } from './baseline.js';
import { canMeasureCpu, cpuTimes } from './cpu-time.js';
import { GENERATOR, generateLoad, type Load, type LoadCall } from './load-generator.js';
import { type Bench, median, type Result, rounded } from './result.js';
import { countRecorded, durability, startWorld, type World } from './world.js';

/** Of the empty route, and of a route that answers one operation a request. */
export const CONNECTIONS = 128;
const PAIRS = 3;
const WARM_UP_SECONDS = 3;

/** JSON, or a frame (docs/formats.md). */
export type Body = string | Uint8Array;

/** One route under load. */
export interface RouteUnderTest {
  readonly name: string;
  readonly unit: string;
  /** Behind `/v1/tenants/acme/`. */
  readonly path: string;
  readonly operation: DataOperation;
  readonly connections: number;
  /** Operations in one request. */
  readonly items: number;
  /** The bodies for the route and for the empty one. */
  readonly bodies: (world: World) => Promise<{ readonly ours: Body; readonly empty: Body }>;
}
type Bodies = Awaited<ReturnType<RouteUnderTest['bodies']>>;

interface Measurement extends Load {
  /** µs of CPU per answer, by process. */
  readonly cpu: Readonly<Record<string, number>>;
  readonly cpuSum: number;
}
interface Measured extends Measurement {
  readonly records: number;
}

/**
 * A route of the data plane beside an empty Nest route: same machine, same minute, same node flags. Every operation that was answered must
 * have its record: counted in the database after each measurement. The generator loads both from one thread and shares their cores; what it
 * takes itself is among the processes of each: on neither side may it be what the figure waits for.
 */
export const routeBench =
  (route: RouteUnderTest): Bench =>
  async ({ seconds, log }) => {
    log('starting the platform and the empty route');
    const [world, baseline] = await Promise.all([startWorld(), startBaseline()]);
    try {
      const bodies = await route.bodies(world);
      await measureBaseline(baseline, world, bodies, WARM_UP_SECONDS);
      await measurePlatform(world, route, bodies, WARM_UP_SECONDS);
      const pairs: Pair[] = [];
      for (let pair = 1; pair <= PAIRS; pair++) {
        const empty = await measureBaseline(baseline, world, bodies, seconds);
        const ours = await measurePlatform(world, route, bodies, seconds);
        pairs.push({ empty, ours });
        log(
          `pair ${pair}: empty route ${empty.perSecond.toFixed(0)}/s, ${route.name} ${ours.perSecond.toFixed(0)} ${route.unit}, ${ours.answers} answers, ${ours.records} recorded`,
        );
      }
      return [await resultOf(route, pairs, world, seconds)];
    } finally {
      await Promise.all([baseline.stop(), world.stop()]);
    }
  };

interface Pair {
  readonly empty: Measurement;
  readonly ours: Measured;
}

function measureBaseline({ url, pid }: Baseline, { apiKey }: World, { empty }: Bodies, seconds: number): Promise<Measurement> {
  return measure({ url, apiKey, body: empty, connections: CONNECTIONS, seconds }, new Map([['baseline', pid]]));
}

async function measurePlatform(world: World, route: RouteUnderTest, bodies: Bodies, seconds: number): Promise<Measured> {
  const { platform, apiKey } = world;
  const { path, operation, connections, items } = route;
  const processes = [...platform.processes].map(([name, { pid }]) => [name, pid ?? 0] as const);
  const before = await countRecorded(world, operation);
  const url = `${platform.urls.dataPlanes[0]}/v1/tenants/acme/${path}`;
  const measurement = await measure(
    { url, apiKey, body: bodies.ours, connections, seconds },
    new Map([...processes, ['postgres', platform.postgres.pid ?? 0]]),
    items,
  );
  const records = (await countRecorded(world, operation)) - before;
  requireRecords(measurement.answers * items, records, connections * items);
  return { ...measurement, records };
}

/** The generator hangs up with a call in flight on each connection: those may have a record that nobody was answered for. */
function requireRecords(answered: number, recorded: number, inFlight: number): void {
  if (recorded < answered || recorded > answered + inFlight) throw new Error(`${answered} operations answered, but ${recorded} recorded.`);
}

async function measure(
  { apiKey, body, ...call }: Omit<LoadCall, 'headers' | 'body'> & { readonly apiKey: string; readonly body: Body },
  processes: ReadonlyMap<string, number>,
  items = 1,
): Promise<Measurement> {
  const type = typeof body === 'string' ? 'application/json' : FRAME_TYPE;
  const headers = { 'content-type': type, authorization: `Bearer ${apiKey}` };
  const before = canMeasureCpu ? cpuTimes(processes) : undefined;
  const load = await generateLoad({ ...call, headers, body: Buffer.from(body) });
  if (load.failures > 0) throw new Error(`${load.failures} of ${load.answers} calls to ${new URL(call.url).pathname} failed.`);
  const spent = before === undefined ? [] : [...cpuTimes(processes)].map(([name, us]) => [name, us - (before.get(name) ?? 0)] as const);
  const each = [...spent, ['generator', load.cpuUs] as const].map(([name, us]) => [name, rounded(us / load.answers / items, 2)] as const);
  const cpu = Object.fromEntries(each);
  return { ...load, perSecond: load.perSecond * items, cpu, cpuSum: Object.values(cpu).reduce((sum, us) => sum + us, 0) };
}

async function resultOf(route: RouteUnderTest, pairs: readonly Pair[], world: World, seconds: number): Promise<Result> {
  const of = (value: (pair: Pair) => number, digits = 0) => rounded(median(pairs.map(value)), digits);
  const byProcess = (side: keyof Pair) =>
    Object.fromEntries(Object.keys(pairs[0]?.[side].cpu ?? {}).map((name) => [name, of((pair) => pair[side].cpu[name] ?? 0, 1)]));
  return {
    name: route.name,
    value: of(({ ours }) => ours.perSecond),
    unit: route.unit,
    baseline: of(({ empty }) => empty.perSecond),
    ratio: of(({ empty, ours }) => ours.perSecond / empty.perSecond, 3),
    p50Ms: of(({ ours }) => ours.p50Ms, 2),
    p99Ms: of(({ ours }) => ours.p99Ms, 2),
    ...(canMeasureCpu && {
      cpuUsPerOp: of(({ ours }) => ours.cpuSum, 1),
      cpuUsPerOpByProcess: byProcess('ours'),
      baselineCpuUsPerOp: of(({ empty }) => empty.cpuSum, 1),
      baselineCpuUsPerOpByProcess: byProcess('empty'),
    }),
    pairs: pairs.map(({ empty, ours }) => ({
      baseline: rounded(empty.perSecond, 0),
      value: rounded(ours.perSecond, 0),
      answers: ours.answers,
      records: ours.records,
    })),
    generator: GENERATOR,
    connections: route.connections,
    items: route.items,
    seconds,
    ...(await durability(world)),
    node: process.version,
    cores: cpus().length,
  };
}
