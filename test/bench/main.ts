import { parseArgs } from 'node:util';
import { batchDecrypt } from './batch-decrypt.js';
import { decide } from './decide.js';
import { generateDataKey } from './generate-data-key.js';
import { overload } from './overload.js';
import type { Bench, Result } from './result.js';
import { revoke } from './revoke.js';
import { rewrap } from './rewrap.js';
import { sdk } from './sdk.js';
import { trail, TRAIL_PARTS } from './trail.js';

const BENCHES: Readonly<Record<string, Bench>> = {
  'generate-data-key': generateDataKey,
  'batch-decrypt': batchDecrypt,
  ...{ decide, overload, revoke, rewrap, sdk, trail },
};

const log = (line: string) => process.stderr.write(`${line}\n`);

/** `npm run bench -- [name] --json --seconds N --part P`: a part is one of the trail's; with --json stdout is one JSON array; everything else goes to stderr. */
async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { json: { type: 'boolean', default: false }, seconds: { type: 'string', default: '8' }, part: { type: 'string' } },
    allowPositionals: true,
  });
  const seconds = Number(values.seconds);
  const unknown = positionals.find((name) => !Object.hasOwn(BENCHES, name));
  if (unknown !== undefined || !(seconds >= 1) || (values.part !== undefined && !TRAIL_PARTS.includes(values.part))) {
    log(`usage: bench [${Object.keys(BENCHES).join('|')}] [--json] [--seconds N] [--part ${TRAIL_PARTS.join('|')}]`);
    return 2;
  }
  const results: Result[] = [];
  for (const [name, bench] of Object.entries(BENCHES)) {
    if (positionals.length === 0 || positionals.includes(name)) results.push(...(await bench({ seconds, log, part: values.part })));
  }
  process.stdout.write(values.json ? `${JSON.stringify(results)}\n` : `${results.map(readable).join('\n')}\n`);
  return 0;
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
