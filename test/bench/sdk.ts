import { type ChildProcess, fork } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { type Bench, median, type Result, rounded } from './result.js';
import { startWorld } from './world.js';

const UNITS = { 'sdk-stream': 'MB/s', 'sdk-stream-files': 'MB/s', 'sdk-fields': 'fields/s' } as const;
type Name = keyof typeof UNITS;
const PAIRS = 15;
const FILE_BYTES = 256 * 1024 * 1024;

const told = z.object({ perCpuSecond: z.number(), perSecond: z.number() });
type Told = z.infer<typeof told>;

/**
 * What an ISV pays for the SDK beside node's own AES-256-GCM: a stream of 256 MB, and fields under a data key that is held. A second is one
 * of CPU: on one core, whatever else the machine does. Each side is a process of its own with the SDK in it, because what lives in a process
 * makes every stream in it dearer (ADR 6), and both take turns. `sdk-stream`, from memory to nowhere, is the figure for the SDK's stream beside
 * the raw pipeline; in `sdk-stream-files` most of the time is the files'.
 */
export const sdk: Bench = async ({ log }) => {
  log('starting the platform');
  const { platform, apiKey, call, stop } = await startWorld();
  const folder = mkdtempSync(join(tmpdir(), 'keyward-bench-'));
  const source = join(folder, 'source');
  writeFileSync(source, randomFillSync(Buffer.alloc(FILE_BYTES)));
  const scope = JSON.stringify({ tenant: 'acme', keyId: call.keyId, context: call.encryptionContext });
  const env = { SERVICE_KEY: apiKey, USES: platform.urls.dataPlanes[0]!, SCOPE: scope, SOURCE: source };
  const start = (side: string) => fork(new URL('./sdk-process.js', import.meta.url), [side], { env: { ...env, SINK: join(folder, side) } });
  const [ours, raw] = [start('ours'), start('raw')];
  try {
    const results: Result[] = [];
    for (const name of Object.keys(UNITS) as Name[]) results.push(await compared(name, ours, raw, log));
    return results;
  } finally {
    for (const service of [ours, raw]) service.disconnect();
    rmSync(folder, { recursive: true });
    await stop();
  }
};

/** Each run once to warm up, then in turns. */
async function compared(name: Name, ours: ChildProcess, raw: ChildProcess, log: (line: string) => void): Promise<Result> {
  for (const service of [raw, ours]) await run(service, name);
  const pairs: { baseline: Told; value: Told }[] = [];
  for (let pair = 1; pair <= PAIRS; pair++) {
    pairs.push({ baseline: await run(raw, name), value: await run(ours, name) });
    const { baseline, value } = pairs.at(-1)!;
    log(`${name}: raw AES-256-GCM ${baseline.perCpuSecond}, ours ${value.perCpuSecond}`);
  }
  const ratio = (of: (one: Told) => number) => rounded(median(pairs.map(({ value, baseline }) => of(value) / of(baseline))), 3);
  return {
    ...{ name, unit: UNITS[name], value: median(pairs.map(({ value }) => value.perCpuSecond)) },
    baseline: median(pairs.map(({ baseline }) => baseline.perCpuSecond)),
    ...{ ratio: ratio(({ perCpuSecond }) => perCpuSecond), ratioByTheClock: ratio(({ perSecond }) => perSecond) },
    pairs: pairs.map(({ value, baseline }) => ({ value: value.perCpuSecond, baseline: baseline.perCpuSecond })),
    ...{ node: process.version, cores: cpus().length },
  };
}

async function run(service: ChildProcess, name: Name): Promise<Told> {
  const ended = once(service, 'exit').then(([code]) => {
    throw new Error(`The measured process ended with code ${String(code)}.`);
  });
  ended.catch(() => undefined);
  const answered = once(service, 'message');
  service.send(name);
  const [answer] = await Promise.race([answered, ended]);
  return told.parse(answer);
}
