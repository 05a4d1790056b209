import type pg from 'pg';
import { z } from 'zod';
import { tenantId } from '#contract';
import type { Due, JobLedger, JobRhythm } from '#core';
import { reading } from './database-error.js';
import { parsed } from './function-answer.js';

const claimed = z.array(
  z.object({ kind: z.string(), failing: z.boolean(), retries: z.array(z.object({ tenant: tenantId, subject: z.string() })) }),
);

/** The worker's (migration 0081). */
export class DatabaseJobLedger implements JobLedger {
  constructor(private readonly pool: pg.Pool) {}

  async claim(kinds: readonly JobRhythm[]): ReturnType<JobLedger['claim']> {
    const values = [kinds.map(({ name }) => name), kinds.map(({ everyMs }) => interval(everyMs))];
    const { rows } = await reading(() => this.pool.query('SELECT * FROM keyward.claim_job_kinds($1, $2)', values));
    return parsed('claim_job_kinds', claimed, rows);
  }

  async done(kind: string, { tenant, subject }: Due): Promise<void> {
    await reading(() => this.pool.query('SELECT keyward.job_done($1, $2, $3)', [kind, tenant, subject]));
  }

  async failed(kind: string, { tenant, subject }: Due, error: string, pausesMs: readonly number[]): Promise<void> {
    const values = [kind, tenant, subject, error, pausesMs.map(interval)];
    await reading(() => this.pool.query('SELECT keyward.job_failed($1, $2, $3, $4, $5)', values));
  }
}

const interval = (milliseconds: number): string => `${milliseconds} milliseconds`;
