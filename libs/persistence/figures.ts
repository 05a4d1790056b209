import type pg from 'pg';
import { z } from 'zod';
import type { FigureReads, PlatformFigures } from '#core';
import { reading } from './database-error.js';
import { parsed } from './function-answer.js';

const figures = z.object({
  ...{ now: z.number(), records: z.number(), unsigned: z.number(), unsignedSeconds: z.number() },
  ...{ failingJobs: z.number(), overdueSeconds: z.number(), undelivered: z.number() },
});

/** The worker's (migration 0170). */
export class DatabaseFigures implements FigureReads {
  constructor(private readonly pool: pg.Pool) {}

  async figures(): Promise<PlatformFigures> {
    const { rows } = await reading(() => this.pool.query<{ answer: unknown }>('SELECT keyward.platform_figures() AS answer'));
    return parsed('platform_figures', figures, rows[0]?.answer);
  }
}
