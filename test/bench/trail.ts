import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { demoDataDir, removeDataDir } from '#runtime';
import { type BundleEntry, verifyBundle } from '#trail';
import { TestDatabase } from '../../libs/persistence/test-database.js';
import { bundleOf, LOG_VKEY, sampleLog } from '../../libs/trail/test/sample-log.js';
import type { Bench, BenchOptions, Result } from './result.js';
import { median, rounded } from './result.js';
import { appendRates } from './trail-append.js';
import { checkpointDelay } from './trail-checkpoints.js';
import { queryTimes } from './trail-queries.js';

const PAIRS = 3;
const VERIFIED = 50_000;

/** What the trail costs: appending beside plain inserts, verifying beside plain hashing, how far checkpoints are behind, how long lists take. */
export const trail: Bench = async (options) => {
  const ofDatabase = await withDatabase(async (database) => [
    ...(await appendRates(database, options)),
    await queryTimes(database, options),
  ]);
  return [...ofDatabase, await checkpointDelay(options), await verification(options)];
};

/** On the disk that a platform would use. */
async function withDatabase<Answer>(work: (database: TestDatabase) => Promise<Answer>): Promise<Answer> {
  const path = join(dirname(demoDataDir()), 'bench-trail');
  removeDataDir(path);
  mkdirSync(dirname(path), { recursive: true });
  const database = await TestDatabase.start(path);
  try {
    return await work(database);
  } finally {
    await database.stop();
  }
}

/** Of a bundle in memory; the baseline hashes each record's bytes with the platform's own SHA-256, and does nothing else. */
async function verification({ log }: BenchOptions): Promise<Result> {
  const sample = sampleLog(VERIFIED);
  const bundle = await bundleOf(sample);
  const pairs: { ours: number; plain: number }[] = [];
  for (let pair = 0; pair < PAIRS; pair++) {
    const ours = await perSecond(async () => {
      const report = await verifyBundle(bundle, { vkey: LOG_VKEY });
      if (report.status !== 'verified') throw new Error(report.message);
    });
    const plain = await perSecond(async () => hashAll(sample.entries));
    pairs.push({ ours, plain });
    log(`verify: ${ours.toFixed(0)} records/s, plain SHA-256 ${plain.toFixed(0)}/s`);
  }
  return {
    name: 'trail-verify',
    value: rounded(median(pairs.map(({ ours }) => ours)), 0),
    unit: 'records/s',
    baseline: rounded(median(pairs.map(({ plain }) => plain)), 0),
    ratio: rounded(median(pairs.map(({ ours, plain }) => ours / plain)), 3),
    records: VERIFIED,
    bytesPerRecord: rounded(bundle.length / VERIFIED, 0),
  };
}

async function perSecond(work: () => Promise<void>): Promise<number> {
  const from = performance.now();
  await work();
  return (1000 * VERIFIED) / (performance.now() - from);
}

function hashAll(entries: readonly BundleEntry[]): void {
  for (const { bytes } of entries) createHash('sha256').update(bytes).digest();
}
