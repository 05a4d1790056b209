import type { Handlers } from '../pipeline.js';
import type { Reads } from '../ports/reads.js';

/** What is done by the clock: one list, whoever's it is. */
export const jobHandlers = ({ reads }: { readonly reads: Pick<Reads, 'jobs'> }): Handlers<'ListJobs'> => ({
  ListJobs: async ({ call }) => ({ answer: await reads.jobs(call.tenant), details: {} }),
});
