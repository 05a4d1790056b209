import { z } from 'zod';

const time = z.iso.datetime().meta({ description: 'RFC 3339, UTC' });

const failingJob = z.object({
  subject: z.string().meta({ description: "the row's name, such as a key's id; empty where the tenant, or all of the kind, is the row" }),
  failures: z.int().meta({ description: 'in a row' }),
  failingSince: time,
  nextAttemptAt: time,
  lastError: z.string(),
});

const jobKindAnswer = z
  .object({
    kind: z.string(),
    lookedAt: time.optional().meta({ description: 'when it was looked for what is due; absent: never yet' }),
    nextAt: time.optional().meta({ description: 'when it is looked for next' }),
    doneAt: time.optional().meta({ description: 'to operators: when a job of it ended well last' }),
    done: z.int().optional().meta({ description: 'to operators: how many ended well' }),
    failing: z.int().meta({ description: "rows that fail; to operators those of all tenants, to others the tenant's own" }),
    failures: z.array(failingJob).meta({ description: "the tenant's own, those that fail longest first, at most 100" }),
  })
  .meta({ id: 'JobKind' });

export const jobsAnswer = z.object({ items: z.array(jobKindAnswer) }).meta({ id: 'Jobs' });
export type JobsAnswer = z.infer<typeof jobsAnswer>;
