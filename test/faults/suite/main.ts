import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { TWICE } from './controls.js';
import { startFaultWorld } from './fault-world.js';
import { FaultRun } from './round.js';

const SHOWN = 20;
const tell = (line: string) => process.stderr.write(`${line}\n`);

/** `npm run test:faults -- --seed N --rounds N --faults N`: see docs/testing.md. Round r of seed N is round 1 of seed N + r - 1. */
async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      rounds: { type: 'string', default: '3' },
      faults: { type: 'string', default: '12' },
    },
  });
  const [seed, rounds, faults] = [values.seed, values.rounds, values.faults].map(Number) as [number, number, number];
  if (![seed, rounds, faults].every((value) => Number.isSafeInteger(value) && value >= 0)) {
    tell('usage: test:faults [--seed N] [--rounds N] [--faults N], whole numbers');
    return 2;
  }
  const folder = mkdtempSync(join(tmpdir(), 'kw-ledger-'));
  const world = await startFaultWorld([TWICE]);
  // Else mounts stay behind.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void world.stop().finally(() => process.exit(1)));
  let failed = false;
  try {
    for (const what of world.missing) tell(`left out: ${what}`);
    const run = await FaultRun.on(world, join(folder, 'ledger.jsonl'));
    for (let round = 0; round < rounds && !failed; round++) {
      tell(`round ${round + 1} of ${rounds}, seed ${seed + round}`);
      const { findings, calls, statuses } = await run.round({ seed: seed + round, faults, tell: (line) => tell(`  ${line}`) });
      tell(`  ${calls} calls ${JSON.stringify(statuses)}`);
      for (const [property, found] of Object.entries(findings)) {
        failed = true;
        tell(`  AGAINST ${property}: ${found.length}`);
        for (const line of found.slice(0, SHOWN)) tell(`    ${line}`);
      }
      if (failed) tell(`again: npm run test:faults -- --seed ${seed + round} --rounds 1 --faults ${faults}`);
    }
    await run.end();
  } finally {
    if (failed) {
      cpSync(world.onboarded.platform.dataDir.logs, join(folder, 'logs'), { recursive: true });
      tell(`the ledger and every process's log: ${folder}`);
    }
    await world.stop();
  }
  if (!failed) rmSync(folder, { recursive: true });
  process.stdout.write(`${failed ? 'FAILED' : 'passed'}: seeds ${seed} to ${seed + rounds - 1}\n`);
  return failed ? 1 : 0;
}

process.exitCode = await main();
