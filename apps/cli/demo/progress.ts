import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { narrate, seconds } from './narrate.js';

const PARTS: Readonly<Record<string, string>> = {
  'postgres.log': 'PostgreSQL (embedded)',
  'set-up.log': 'database roles, schema and HSM token (SoftHSM)',
  'custodian.log': 'custodian (alone with the HSM)',
  'key-plane.log': 'key-plane, data-plane, auditor, worker',
};
const LOOK_EVERY_MS = 100;

/** Tells each part of a starting platform as its log file appears. Answers a function that ends it. */
export function tellProgress(dataDir: string): () => void {
  const started = performance.now();
  const told = new Set<string>();
  const timer = setInterval(() => {
    for (const [log, part] of Object.entries(PARTS)) {
      if (told.has(log) || !logsIn(dataDir).includes(log)) continue;
      told.add(log);
      narrate.line(`${seconds(performance.now() - started).padStart(6)}  ${part}`);
    }
  }, LOOK_EVERY_MS);
  return () => clearInterval(timer);
}

function logsIn(dataDir: string): string[] {
  try {
    return readdirSync(join(dataDir, 'logs'));
  } catch {
    return []; // not yet made
  }
}
