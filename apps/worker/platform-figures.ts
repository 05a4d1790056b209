import type { FigureReads, PlatformFigures } from '#core';
import type { Metrics } from '#runtime';

/** The gauges of one scrape share a query. */
const REUSE_MS = 1000;

// biome-ignore format: an aligned table is read column by column
const GAUGES: readonly (readonly [name: string, of: keyof PlatformFigures, help: string])[] = [
  ['keyward_trail_records',                 'records',         'Records in all logs.'],
  ['keyward_trail_unsigned_records',        'unsigned',        'Records under no checkpoint yet.'],
  ['keyward_trail_checkpoint_lag_seconds',  'unsignedSeconds', 'Age of the oldest record under no checkpoint.'],
  ['keyward_jobs_failing',                  'failingJobs',     'Jobs that failed the last time.'],
  ['keyward_jobs_overdue_seconds',          'overdueSeconds',  'For how long a kind of job should have been looked at.'],
  ['keyward_deliveries_waiting_records',    'undelivered',     'Signed records that active sinks have not got.'],
];

/** What only the worker sees: the platform as a whole, by the database; and how far this host's clock is from that one's. */
export function platformFigures(metrics: Metrics, reads: FigureReads): void {
  let latest: Promise<PlatformFigures & { readonly offset: number }> | undefined;
  const read = () => (latest ??= measured(reads).finally(() => setTimeout(() => (latest = undefined), REUSE_MS).unref()));
  for (const [name, of, help] of GAUGES) metrics.read('gauge', name, help, async () => (await read())[of]);
  metrics.read('gauge', 'keyward_clock_offset_seconds', "This host's clock, less the database's.", async () => (await read()).offset);
}

async function measured(reads: FigureReads): Promise<PlatformFigures & { readonly offset: number }> {
  const before = Date.now();
  const figures = await reads.figures();
  return { ...figures, offset: (before + Date.now()) / 2000 - figures.now };
}
