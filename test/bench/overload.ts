import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { KeywardAdmin, KeywardClient } from '#sdk';
import { GENERATOR, generateLoad, type Load } from './load-generator.js';
import type { Bench, Result } from './result.js';
import { median, percentile, rounded } from './result.js';
import { countRecorded, grantedService, startWorld, type World } from './world.js';

const PEAK_CONNECTIONS = 64;
const OVERLOAD = 10;
const WARM_UP_SECONDS = 3;
const PAIRS = 3;
/** The noise begins so much before the quiet tenant is timed. */
const LEAD_SECONDS = 1;
/** The quiet tenant: so many calls in flight, of nothing but data keys. */
const QUIET = 4;

/** What the platform does when it is asked for more than it can, and what one tenant feels of another's noise. */
export const overload: Bench = async ({ seconds, log }) => {
  const world = await startWorld();
  try {
    return [await goodput(world, seconds, log), ...(await noise(world, seconds, log))];
  } finally {
    await world.stop();
  }
};

/** Ten times the calls in flight that fill it: how much is still answered well, and how everything else is turned away. */
async function goodput(world: World, seconds: number, log: (line: string) => void): Promise<Result> {
  const call = loadOf(world, world.platform.urls.dataPlanes[0]!);
  await generateLoad({ ...call, connections: PEAK_CONNECTIONS, seconds: WARM_UP_SECONDS });
  const pairs: { readonly peak: number; readonly under: number; readonly turnedAway: number }[] = [];
  for (let pair = 1; pair <= PAIRS; pair++) {
    const peak = well(await generateLoad({ ...call, connections: PEAK_CONNECTIONS, seconds }));
    const before = await countRecorded(world, 'GenerateDataKey');
    const load = await generateLoad({ ...call, connections: PEAK_CONNECTIONS * OVERLOAD, seconds });
    const answered = load.answers - load.failures;
    // Those that were hung up on when the time was over may have a record.
    await sleep(1000);
    const recorded = (await countRecorded(world, 'GenerateDataKey')) - before;
    if (recorded < answered) throw new Error(`${answered} answers, but ${recorded} records.`);
    pairs.push({ peak, under: well(load), turnedAway: load.failures });
    log(
      `pair ${pair}: ${peak.toFixed(0)}/s with ${PEAK_CONNECTIONS} in flight, ${well(load).toFixed(0)}/s with ${PEAK_CONNECTIONS * OVERLOAD}, ${load.failures} turned away, ${recorded} recorded of ${answered}`,
    );
  }
  return {
    name: 'overload-goodput',
    value: rounded(median(pairs.map(({ under }) => under)), 0),
    unit: 'req/s',
    baseline: rounded(median(pairs.map(({ peak }) => peak)), 0),
    ratio: rounded(median(pairs.map(({ peak, under }) => under / peak)), 3),
    turnedAway: pairs.map(({ turnedAway }) => turnedAway),
    peakMemoryMb: Object.fromEntries([...world.platform.processes].map(([name, { pid }]) => [name, peakMemoryOf(pid)])),
    ...{ connections: PEAK_CONNECTIONS * OVERLOAD, seconds, generator: GENERATOR },
  };
}

/** The quiet tenant's time to an answer beside each noise, and alone in the same minute. */
async function noise(world: World, seconds: number, log: (line: string) => void): Promise<Result[]> {
  const loud = await grantedService(world.platform, 'globex', 'loud');
  const results: Result[] = [];
  for (const [name, begin] of Object.entries(NOISES)) {
    const pairs: { readonly alone: number; readonly beside: number }[] = [];
    for (let pair = 1; pair <= PAIRS; pair++) {
      const alone = await quiet(world, seconds);
      const stop = new AbortController();
      const noisy = begin(world, loud, stop.signal, seconds + LEAD_SECONDS);
      await sleep(LEAD_SECONDS * 1000);
      const beside = await quiet(world, seconds);
      stop.abort();
      await noisy;
      pairs.push({ alone, beside });
      log(`${name}, pair ${pair}: p99 ${alone.toFixed(1)} ms alone, ${beside.toFixed(1)} ms beside it`);
    }
    results.push({
      name: `noisy-tenant-${name}`,
      value: rounded(median(pairs.map(({ beside }) => beside)), 2),
      unit: 'ms p99',
      baseline: rounded(median(pairs.map(({ alone }) => alone)), 2),
      ratio: rounded(median(pairs.map(({ alone, beside }) => beside / alone)), 2),
      ...{ connections: QUIET, seconds },
    });
  }
  return results;
}

type Loud = Awaited<ReturnType<typeof grantedService>>;
type Noise = (world: World, loud: Loud, signal: AbortSignal, seconds: number) => Promise<unknown>;

/** What a tenant can do to be a nuisance, as fast as it can. */
const NOISES: Readonly<Record<string, Noise>> = {
  'rsa-4096': ({ platform }, { admin }, signal) =>
    insistently(4, signal, () =>
      new KeywardAdmin({ apiKey: admin, keyPlane: platform.urls.keyPlane }).createKey('globex', { keySpec: 'RSA_4096' }),
    ),
  batches: (world, loud, _, seconds) => {
    const item = { keyId: world.call.keyId, encryptionContext: world.call.encryptionContext };
    return storm(world, loud, 'data-keys/batch', { items: Array(500).fill(item) }, 8, seconds);
  },
  refusals: (world, loud, _, seconds) => storm(world, loud, 'data-keys', { keyId: 'alias/nothing' }, 64, seconds),
  export: async ({ platform }, { admin }, signal) => {
    const { keyPlane, auditor } = platform.urls;
    const { apiKey } = await new KeywardAdmin({ apiKey: admin, keyPlane }).issueCredential('globex', {
      principal: 'otto',
      role: 'auditor',
    });
    const otto = new KeywardAdmin({ apiKey: apiKey ?? '', keyPlane, auditor });
    return await insistently(4, signal, () => otto.listRecords('globex', { limit: 100 }));
  },
};

/** From a process of its own: in this one it would hold up the very calls that are timed. */
function storm({ platform }: World, { apiKey }: Loud, path: string, body: object, connections: number, seconds: number): Promise<Load> {
  const url = `${platform.urls.dataPlanes[0]}/v1/tenants/globex/${path}`;
  return generateLoad({ ...{ url, connections, seconds }, ...asJson(apiKey, body) });
}

/** So many at once, again and again, whatever comes of it. */
function insistently(atOnce: number, signal: AbortSignal, ask: () => Promise<unknown>): Promise<unknown> {
  const loop = async () => {
    while (!signal.aborted) await ask().catch(() => undefined);
  };
  return Promise.all(Array.from({ length: atOnce }, loop));
}

/** p99 in ms of the quiet tenant, every one of whose calls is answered. */
async function quiet({ platform, apiKey, call }: World, seconds: number): Promise<number> {
  const client = new KeywardClient({ apiKey, url: platform.urls.dataPlanes[0]!, attempts: 1 });
  const times: number[] = [];
  const until = performance.now() + seconds * 1000;
  const loop = async () => {
    while (performance.now() < until) {
      const askedAt = performance.now();
      const { plaintext } = await client.generateDataKey({ tenant: 'acme', keyId: call.keyId, context: call.encryptionContext });
      plaintext.fill(0);
      times.push(performance.now() - askedAt);
    }
  };
  await Promise.all(Array.from({ length: QUIET }, loop));
  client.close();
  return percentile(times, 0.99);
}

function loadOf({ apiKey, call }: World, dataPlane: string) {
  return { url: `${dataPlane}/v1/tenants/acme/data-keys`, ...asJson(apiKey, call) };
}

const asJson = (apiKey: string, body: object) => ({
  headers: { 'content-type': 'application/json', authorization: `Bearer ${apiKey}` },
  body: Buffer.from(JSON.stringify(body)),
});

const well = ({ answers, failures, perSecond }: Load): number => (perSecond * (answers - failures)) / Math.max(1, answers);

/** proc_pid_status(5): the most that the process ever had in memory, MiB. */
function peakMemoryOf(pid: number | undefined): number | undefined {
  try {
    return Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024);
  } catch {
    return undefined;
  }
}
