import { PLATFORM } from '#contract';
import type { Due, JobRhythm } from '#core';

/** One kind of timed work: a row of the table in kinds.ts. */
export interface JobKind extends JobRhythm {
  /**
   * What is due, by the database's clock, without what rests after a failure. A kind without it is due as a whole at each look.
   * @throws KeywardError unavailable
   */
  readonly due?: () => Promise<readonly Due[]>;
  /**
   * May be called twice for the same row, at the same time, and for one that is not due any more: it reads the row again, and what it
   * changes is compared with what it read. A rejection is a failure of this row, unless it is `NotNow`. What it takes along that is due too,
   * and fails, it tells by `fails`.
   */
  readonly run: (of: Due, fails: (other: Due, error: unknown) => Promise<void>) => Promise<void>;
}

/** Of a kind that is due as a whole, and of looks; no row is called so, not even the platform's own. */
export const WHOLE: Due = { tenant: PLATFORM, subject: '' };

/** Nothing was tried, so nothing failed: whoever would have to wait leaves its place to other jobs, and the next look finds the row again. */
export class NotNow extends Error {}
