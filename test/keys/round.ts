import type { Due } from '#core';
import type { JobKind } from '../../apps/worker/jobs/job-kind.js';

/** What a worker does of these kinds in one look, without a queue. */
export async function round(kinds: readonly JobKind[], onFailure: (error: unknown, of: Due) => void): Promise<void> {
  const fails = async (of: Due, error: unknown) => onFailure(error, of);
  for (const { due, run } of kinds) for (const of of await due!()) await run(of, fails).catch((error: unknown) => onFailure(error, of));
}
