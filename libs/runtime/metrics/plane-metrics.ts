import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Appended, Changes, Trail, TrailEntry } from '#core';
import type { Config } from '../config.js';
import { ConfigurationError } from '../config.js';
import type { Health } from '../health.js';
import { Metrics } from './metrics.js';

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const MIN_TOKEN_CHARACTERS = 32;

/** What a process tells whoever has the token. */
export interface PlaneMetrics {
  readonly metrics: Metrics;
  /** Bytes of the token that a scrape presents. */
  readonly token: Uint8Array;
  /** Counts an answer. `operation` is undefined where none was asked for. */
  answered(operation: string | undefined, status: number, seconds: number): void;
  text(): Promise<string>;
}

/** Undefined where nobody is to scrape: without KEYWARD_METRICS_TOKEN_FILE. @throws ConfigurationError for a token that could be guessed */
export function planeMetrics({ process: name, metricsTokenFile }: Config, health: Health): PlaneMetrics | undefined {
  if (metricsTokenFile === undefined) return undefined;
  const token = readFileSync(metricsTokenFile, 'utf8').trim();
  if (token.length < MIN_TOKEN_CHARACTERS)
    throw new ConfigurationError(`KEYWARD_METRICS_TOKEN_FILE must hold at least ${MIN_TOKEN_CHARACTERS} characters.`);
  const metrics = new Metrics();
  aboutProcess(metrics, name);
  metrics.read('gauge', 'keyward_ready', 'Whether the process can serve: 1, or 0.', async () =>
    (await health.readiness()).status === 'ready' ? 1 : 0,
  );
  const requests = metrics.counter('keyward_requests_total', 'Answers, by operation and status.');
  const durations = metrics.histogram('keyward_request_seconds', 'Time from a request to its answer.', SECONDS);
  return {
    ...{ metrics, token: Buffer.from(token) },
    answered: (operation = 'none', status, seconds) => {
      requests.add({ operation, status: String(status) });
      durations.observe({ operation }, seconds);
    },
    text: () => metrics.text(),
  };
}

/** Wraps what records go through, and counts what became of each; what succeeded is what the HSM was used for. */
export function countedRecords(metrics: Metrics | undefined): { trail(trail: Trail): Trail; changes(changes: Changes): Changes } {
  if (metrics === undefined) return { trail: (trail) => trail, changes: (changes) => changes };
  const records = metrics.counter(
    'keyward_records_total',
    'Calls that reached the trail, by operation and outcome; `withheld`: not recorded, so not answered.',
  );
  const count = ({ body }: TrailEntry, appended: Appended | undefined) =>
    records.add({ operation: body.op, outcome: appended?.verdict === 'durable' ? body.outcome : 'withheld' }, body.count ?? 1);
  const counting = async (entry: TrailEntry, work: () => Promise<Appended>) => {
    let appended: Appended | undefined;
    try {
      return (appended = await work());
    } finally {
      count(entry, appended);
    }
  };
  return {
    trail: (trail) => ({
      append: (entry) => counting(entry, () => trail.append(entry)),
      appendAll: async (entries) => {
        let appended: readonly Appended[] = [];
        try {
          return (appended = await trail.appendAll(entries));
        } finally {
          entries.forEach((entry, at) => count(entry, appended[at]));
        }
      },
    }),
    changes: (changes) => ({ commit: (change) => counting(change, () => changes.commit(change)) }),
  };
}

function aboutProcess(metrics: Metrics, name: string): void {
  const lag = monitorEventLoopDelay({ resolution: 20 });
  lag.enable();
  metrics.read('gauge', 'keyward_process_info', 'One, of each process.', () => 1, { process: name, version: process.version });
  metrics.read('gauge', 'process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss());
  metrics.read('counter', 'process_cpu_seconds_total', 'Processor time used.', () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  metrics.read('gauge', 'keyward_event_loop_lag_seconds', 'Delay of the event loop since the last scrape, 99th percentile.', () => {
    const seconds = lag.percentile(99) / 1e9;
    lag.reset();
    return seconds;
  });
}
