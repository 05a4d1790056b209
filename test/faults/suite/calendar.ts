import type pg from 'pg';

const FUNCTIONS = [
  'due_rotations(text, text)',
  'rotate_key(bytea, text, text, uuid, uuid, timestamptz, text, bytea, text, text, bytea, bytea)',
];
const NOW = /clock_timestamp\(\)( \+ '\d+ days'::interval)?/g;

/** Longer than a rotation: each turn makes every rotating key due once. */
const TURN_DAYS = 8;

export interface Calendar {
  /** How often every rotating key was made due. */
  turns: number;
}

/** Moves the day on which keys are rotated, in the database's own functions, which ask nobody else. */
export async function turnCalendar(database: pg.Client, calendar: Calendar): Promise<void> {
  const days = ++calendar.turns * TURN_DAYS;
  for (const signature of FUNCTIONS) {
    const { rows } = await database.query<{ text: string }>('SELECT pg_get_functiondef($1::regprocedure) AS text', [
      `keyward.${signature}`,
    ]);
    await database.query(rows[0]!.text.replaceAll(NOW, `clock_timestamp() + '${days} days'::interval`));
  }
}

/** Nobody waits any longer: for the end of a key, nor for the next try of what failed. */
export async function hurry(database: pg.Client): Promise<void> {
  await database.query(`UPDATE keyward.cmk SET deletion_at = now() WHERE state = 'PendingDeletion' AND deletion_at > now()`);
  await database.query('UPDATE keyward.job_failure SET next_attempt_at = now() WHERE next_attempt_at > now()');
}

/** Rotations and ends of keys that are due and not done. */
export async function dueNow(database: pg.Client, { turns }: Calendar): Promise<{ readonly rotations: number; readonly ends: number }> {
  const { rows } = await database.query<{ rotations: number; ends: number }>(
    `SELECT (SELECT count(*)::integer FROM keyward.key_rotation WHERE next_at <= clock_timestamp() + make_interval(days => $1)) AS rotations,
      (SELECT count(*)::integer FROM keyward.cmk WHERE state = 'PendingDeletion') AS ends`,
    [turns * TURN_DAYS],
  );
  return rows[0]!;
}
