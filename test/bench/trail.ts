import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { demoDataDir, removeDataDir } from '#runtime';
import { nodeSpeed } from '#sdk';
import { type BundleEntry, verifyBundle } from '#trail';
import { TestDatabase } from '../../libs/persistence/test-database.js';
import { bundleOf, checkpointOver, entryAt, LOG_VKEY, type SampleLog } from '../../libs/trail/test/sample-log.js';
import type { Bench, BenchOptions, Result } from './result.js';
import { median, rounded } from './result.js';
import { appendRates } from './trail-append.js';
import { checkpointDelay } from './trail-checkpoints.js';
import { queryTimes } from './trail-queries.js';

const PAIRS = 3;
const VERIFIED = 50_000;

type Part = (options: BenchOptions) => Promise<readonly Result[]>;
const PARTS: Readonly<Record<string, Part>> = {
  append: (options) => withDatabase((database) => appendRates(database, options)),
  queries: (options) => withDatabase(async (database) => [await queryTimes(database, options)]),
  checkpoints: async (options) => [await checkpointDelay(options)],
  verify: async (options) => [await verification(options)],
};
export const TRAIL_PARTS: readonly string[] = Object.keys(PARTS);

/** What the trail costs: appending beside plain inserts, how long lists take, how far checkpoints are behind, verifying beside plain hashing. */
export const trail: Bench = async (options) => {
  const results: Result[] = [];
  for (const [name, run] of Object.entries(PARTS))
    if (options.part === undefined || options.part === name) results.push(...(await run(options)));
  return results;
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
  const sample = busyLog(VERIFIED);
  const bundle = await bundleOf(sample);
  const pairs: { ours: number; plain: number }[] = [];
  for (let pair = 0; pair < PAIRS; pair++) {
    const ours = await perSecond(async () => {
      const report = await verifyBundle(bundle, { vkey: LOG_VKEY, ...nodeSpeed });
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

/** As many services write it: keys, contexts, callers and requests differ. */
function busyLog(count: number): SampleLog {
  const id = (kind: string, n: number) =>
    `${kind}_${n
      .toString(32)
      .replaceAll(/[ilou]/g, 'x')
      .padStart(26, '0')}` as never;
  const digest = (n: number) => createHash('sha256').update(String(n)).digest('base64url').slice(0, 22);
  const entries = Array.from({ length: count }, (_, seq) =>
    entryAt(seq, {
      body: {
        id: id('rec', seq),
        durationUs: 300 + (seq % 977),
        key: { id: id('key', seq % 61), versionId: id('kver', seq % 61), state: 'Enabled', aliasUsed: `alias/${seq % 61}` as never },
        crypto: { context: [digest(seq), digest(-seq)], plaintextSize: '≤64' },
        request: { requestId: id('req', seq), source: digest(seq % 7) },
      },
    }),
  );
  return { checkpoint: checkpointOver(entries), vkeys: [LOG_VKEY], entries };
}

async function perSecond(work: () => Promise<void>): Promise<number> {
  const from = performance.now();
  await work();
  return (1000 * VERIFIED) / (performance.now() - from);
}

function hashAll(entries: readonly BundleEntry[]): void {
  for (const { bytes } of entries) createHash('sha256').update(bytes).digest();
}
