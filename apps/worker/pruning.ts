import type { LogPruning } from '#core';
import type { JobKind } from './jobs/job-kind.js';

/** A long backlog goes over many jobs: one must end before a process that drains does. */
const STEPS_A_JOB = 50;

/** Takes away what a tenant's admin had pruned. A crash leaves whole tiles, and the next job goes on. */
export const pruneRecords = (logs: LogPruning): JobKind => ({
  ...{ name: 'prune-records', everyMs: 10_000 },
  run: async () => {
    for (let step = 0; step < STEPS_A_JOB; step++) if (!(await logs.pruneStep())) return await logs.dropEmptyMonths();
  },
});
