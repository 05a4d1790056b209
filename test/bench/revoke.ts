import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { demoDataDir, removeDataDir } from '#runtime';
import { authorityOver } from '../faults/authority.js';
import { closeAndOpen } from '../faults/close-and-open.js';
import { KINDS_OF_CHANGE } from '../faults/kinds-of-change.js';
import { startIssuer } from '../faults/token-issuer.js';
import { onboarded } from '../stories/onboarded.js';
import { type Bench, percentile, type Result, rounded } from './result.js';

const KINDS = ['a stop of the service', 'rule'];
const DATA_PLANES = 2;
/** As often as a closing change. */
const COMMIT_EVERY_MS = 50;

/**
 * What it takes to stop, to the receipt, and to withdraw a grant, to the answer, while 128 clients ask two data planes for data keys;
 * beside a plain commit of one row on a connection of its own, meanwhile. `late`: what was accepted behind a change that closed.
 */
export const revoke: Bench = async ({ seconds, log }) => {
  log(`starting a platform with ${DATA_PLANES} data planes`);
  const dataDir = join(dirname(demoDataDir()), 'bench');
  removeDataDir(dataDir);
  mkdirSync(dirname(dataDir), { recursive: true });
  const issuer = await startIssuer();
  const world = await onboarded({ dataDir, dataPlanes: DATA_PLANES });
  try {
    const authority = await authorityOver(world, issuer);
    const results: Result[] = [];
    let late = 0;
    for (const name of KINDS) {
      const commits: number[] = [];
      const kind = KINDS_OF_CHANGE[name]!(authority);
      const committing = () => commitMeanwhile(world.platform.superuserUrl, seconds, commits);
      const run = await closeAndOpen(authority, kind, { seconds, changes: 20, meanwhile: committing });
      late += run.violations.lateRecords + run.violations.lateAnswers;
      log(`${name}: ${run.changes} changes, ${run.rate}/s, ${run.underLoad} under load; ${run.answers} calls`);
      results.push(figures(name === 'rule' ? 'revoke-rule' : 'revoke', run.closingMs, commits));
    }
    await authority.end();
    return [{ name: 'late', value: late, unit: 'operations' }, ...results];
  } finally {
    await world.stop();
    await issuer.stop();
    removeDataDir(dataDir);
  }
};

function figures(name: string, tookMs: readonly number[], commitsMs: readonly number[]): Result {
  const [p50Ms, baseline] = [percentile(tookMs, 0.5), percentile(commitsMs, 0.5)];
  return {
    ...{ name, value: rounded(p50Ms, 2), unit: 'ms', baseline: rounded(baseline, 2), ratio: rounded(p50Ms / baseline, 2) },
    ...{ p50Ms: rounded(p50Ms, 2), p99Ms: rounded(percentile(tookMs, 0.99), 2), changes: tookMs.length },
  };
}

async function commitMeanwhile(connectionString: string, seconds: number, tookMs: number[]): Promise<void> {
  const database = new pg.Client({ connectionString });
  await database.connect();
  try {
    await database.query('CREATE TABLE IF NOT EXISTS bench_commit (at timestamptz)');
    const end = performance.now() + 1000 * seconds;
    while (performance.now() < end) {
      const from = performance.now();
      await database.query('INSERT INTO bench_commit VALUES (clock_timestamp())');
      tookMs.push(performance.now() - from);
      await sleep(COMMIT_EVERY_MS);
    }
  } finally {
    await database.end();
  }
}
