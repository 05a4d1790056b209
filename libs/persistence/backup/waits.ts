import type pg from 'pg';
import type { TableShape } from './snapshot.js';

/** As long as the shortest that can be asked for. */
const WAIT = '7 days';

/** What ends for good when its time has come, unless somebody takes that back. */
const WAITS: readonly (readonly [table: string, endsAt: string, which: string])[] = [
  ['cmk', 'deletion_at', `state = 'PendingDeletion'`],
  ['secret', 'deletion_at', 'deletion_at IS NOT NULL'],
  ['off_boarding', 'ends_at', `step = 'Waiting'`],
];

/**
 * Rows of before do not know that an end was cancelled since, and its time may have come meanwhile: nothing ends before whoever may cancel it
 * had the shortest wait to do so again. What did end is known to the custodian, which has it destroyed again.
 */
export async function beginWaitsAnew(client: pg.Client, tables: readonly TableShape[]): Promise<void> {
  for (const [table, endsAt, which] of WAITS)
    if (tables.some((shape) => shape.table === table && shape.columns.includes(endsAt)))
      await client.query(
        `UPDATE keyward.${table} SET ${endsAt} = greatest(${endsAt}, clock_timestamp() + interval '${WAIT}') WHERE ${which}`,
      );
}
