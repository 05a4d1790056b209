import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpus } from 'node:os';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { type Bench, median, type Result, rounded } from './result.js';
import { startWorld } from './world.js';

const pair = z.object({ name: z.string(), value: z.number(), baseline: z.number() });
type Pair = z.infer<typeof pair>;

const UNITS = { 'sdk-stream': 'MB/s', 'sdk-fields': 'fields/s' } as const;

/**
 * What an ISV pays for the SDK beside node's own AES-256-GCM: a stream of 256 MB, and fields under a data key that is held. A second is one
 * of CPU: on one core, whatever else the machine does.
 */
export const sdk: Bench = async ({ log }) => {
  log('starting the platform');
  const { platform, apiKey, call, stop } = await startWorld();
  try {
    const scope = { tenant: 'acme', keyId: call.keyId, context: call.encryptionContext };
    const env = { SERVICE_KEY: apiKey, USES: platform.urls.dataPlanes[0]!, SCOPE: JSON.stringify(scope) };
    const pairs = await measured(env, log);
    return Object.entries(UNITS).map(([name, unit]) =>
      resultOf(
        name,
        unit,
        pairs.filter((one) => one.name === name),
      ),
    );
  } finally {
    await stop();
  }
};

async function measured(env: Readonly<Record<string, string>>, log: (line: string) => void): Promise<Pair[]> {
  const service = spawn(process.execPath, [new URL('./sdk-process.js', import.meta.url).pathname], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exit = once(service, 'exit');
  const pairs: Pair[] = [];
  for await (const line of createInterface({ input: service.stdout })) {
    const one = pair.parse(JSON.parse(line));
    pairs.push(one);
    log(`${one.name}: raw AES-256-GCM ${one.baseline}, ours ${one.value}`);
  }
  if ((await exit)[0] !== 0) throw new Error('The measured process failed.');
  return pairs;
}

function resultOf(name: string, unit: string, told: readonly Pair[]): Result {
  const pairs = told.map(({ value, baseline }) => ({ value, baseline }));
  return {
    ...{ name, unit, pairs },
    value: median(pairs.map(({ value }) => value)),
    baseline: median(pairs.map(({ baseline }) => baseline)),
    ratio: rounded(median(pairs.map(({ value, baseline }) => value / baseline)), 3),
    node: process.version,
    cores: cpus().length,
  };
}
