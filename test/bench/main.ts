import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { parseArgs } from 'node:util';
import { checkoutPath } from '#runtime';
import { batchDecrypt } from './batch-decrypt.js';
import { decide } from './decide.js';
import { generateDataKey } from './generate-data-key.js';
import { growth, GROWTH_PARTS } from './growth.js';
import { idleMemory } from './idle-memory.js';
import { overload } from './overload.js';
import { writeReport } from './report.js';
import type { Bench, Result } from './result.js';
import { revoke } from './revoke.js';
import { rewrap } from './rewrap.js';
import { rotation } from './rotation.js';
import { sdk } from './sdk.js';
import { trail, TRAIL_PARTS } from './trail.js';

const BENCHES: Readonly<Record<string, Bench>> = {
  'generate-data-key': generateDataKey,
  'batch-decrypt': batchDecrypt,
  'idle-memory': idleMemory,
  ...{ decide, growth, overload, revoke, rewrap, rotation, sdk, trail },
};
const PARTS = [...TRAIL_PARTS, ...GROWTH_PARTS];

const log = (line: string) => process.stderr.write(`${line}\n`);

/**
 * `npm run bench -- [name] --json --seconds N --part P --to N`: a part is one of the trail's or of growth's, which grows to `N`; with --json
 * stdout is one JSON array; everything else goes to stderr. `--report FILES` makes docs/benchmarks.md of what was printed.
 */
async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      report: { type: 'boolean', default: false },
      seconds: { type: 'string', default: '8' },
      part: { type: 'string' },
      to: { type: 'string' },
    },
    allowPositionals: true,
  });
  if (values.report) {
    writeReport(checkoutPath('docs'), positionals);
    return 0;
  }
  const { part } = values;
  const [seconds, to] = [Number(values.seconds), values.to === undefined ? undefined : Number(values.to)];
  const unknown = positionals.find((name) => !Object.hasOwn(BENCHES, name));
  const isWrong = unknown !== undefined || !(seconds >= 1) || (part !== undefined && !PARTS.includes(part));
  if (isWrong || (to !== undefined && !(Number.isSafeInteger(to) && to >= 1))) {
    log(`usage: bench [${Object.keys(BENCHES).join('|')}] [--json] [--seconds N] [--part ${PARTS.join('|')}] [--to N]`);
    log('       bench --report FILES');
    return 2;
  }
  const results: Result[] = [];
  for (const [name, bench] of Object.entries(BENCHES)) {
    if (positionals.length === 0 || positionals.includes(name)) results.push(...(await bench({ seconds, log, part, to })));
  }
  const machine = machineText();
  process.stdout.write(
    values.json ? `${JSON.stringify(results.map((one) => ({ ...one, machine })))}\n` : `${results.map(readable).join('\n')}\n`,
  );
  return 0;
}

function machineText(): string {
  const gigabytes = Math.round(totalmem() / 1e9);
  const load = Math.round(loadavg()[0] ?? 0);
  return `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${gigabytes} GB, ${type()} ${release()}, Node ${process.versions.node}, embedded PostgreSQL and SoftHSM; load average at the end ${load}`;
}

function readable({ name, value, unit, baseline, ratio, p50Ms, p99Ms, cpuUsPerOp }: Result): string {
  const parts = [
    `${value} ${unit}`,
    baseline === undefined ? [] : `${ratio ?? '?'} of the baseline's ${baseline}`,
    p50Ms === undefined ? [] : `p50 ${p50Ms} ms, p99 ${p99Ms ?? '?'} ms`,
    cpuUsPerOp === undefined ? [] : `${cpuUsPerOp} µs of CPU per operation`,
  ];
  return `${name}: ${parts.flat().join('; ')}`;
}

process.exitCode = await main();
