import type { TrailMonths } from '#core';
import type { JobKind } from './jobs/job-kind.js';

/** Partitions are there this long before their month: time enough for whoever reads that they could not be made. */
const MONTHS_AHEAD = 2;

/** Makes the trail's next months. No append waits for it. */
export const makeMonths = (partitions: TrailMonths): JobKind => ({
  ...{ name: 'make-months', everyMs: 3_600_000 },
  run: () => partitions.ensureMonths(MONTHS_AHEAD),
});
