import type pg from 'pg';

/** Text of a function in the database, and what stands there instead. */
export type FunctionCut = readonly [signature: string, find: string, put: string];

/** The fence: a record under rules that have changed meanwhile is told stale, and not stored. */
export const FENCE: FunctionCut = ['trail_append', 'THEN -1', 'THEN 0'];

/**
 * Takes guards out of functions of schema `keyward`; answers what puts them back.
 * @throws Error where there is nothing to cut: a control that switches nothing off proves nothing
 */
export async function cutFunctions(database: pg.Client, ...cuts: readonly FunctionCut[]): Promise<(database: pg.Client) => Promise<void>> {
  const whole = new Map<string, string>();
  for (const [name, find, put] of cuts) {
    const { rows } = await database.query<{ definition: string }>(
      "SELECT pg_get_functiondef(oid) AS definition FROM pg_proc WHERE proname = $1 AND pronamespace = 'keyward'::regnamespace",
      [name],
    );
    const [{ definition } = { definition: '' }] = rows;
    if (!definition.includes(find)) throw new Error(`There is nothing to cut in ${name}: ${find}`);
    if (!whole.has(name)) whole.set(name, definition);
    await database.query(definition.replaceAll(find, put));
  }
  return async (later) => {
    for (const definition of whole.values()) await later.query(definition);
  };
}
