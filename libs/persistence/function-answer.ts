import type pg from 'pg';
import { z } from 'zod';
import { TrailUnavailable, UnreadableRow } from '#core';
import { sqlState } from './connection.js';

/** A rule, or a version, came in between: the next round looks again. */
export const IN_BETWEEN = new Set(['KW001', '40P01', '55P03']);

/** A time in JSON, in PostgreSQL's form of it. */
export const time = z.string().pipe(z.coerce.date());
/** The same in our form of it. */
export const isoTime = time.transform((at) => at.toISOString());
/** NULL is nothing. */
export const orNone = <Schema extends z.ZodType>(schema: Schema) => schema.nullable().transform((value) => value ?? undefined);

/** `SELECT keyward.name($1, …) AS answer`. */
export const calling = (name: string, values: readonly unknown[]): string =>
  `SELECT keyward.${name}(${values.map((_, index) => `$${index + 1}`).join(', ')}) AS answer`;

/** What a function of the database answered. @throws UnreadableRow; a schema's issues would quote the row */
export function parsed<Schema extends z.ZodType>(name: string, schema: Schema, answer: unknown): z.infer<Schema> {
  const { success, data } = schema.safeParse(answer);
  if (!success) throw new UnreadableRow(name);
  return data;
}

/**
 * The place of the record that a function made in the transaction of its change; undefined when it changed nothing, or must look again.
 * @throws TrailUnavailable `failed: …` with the SQLSTATE
 */
export async function recordedBy(pool: pg.Pool, name: string, values: readonly unknown[], failed: string): Promise<bigint | undefined> {
  return (await recorded(pool, calling(name, values), values, failed))?.[0];
}

/**
 * The same of a statement that calls one for each of several rows; undefined when all of them must look again.
 * @throws TrailUnavailable `failed: …` with the SQLSTATE
 */
export async function recorded(
  pool: pg.Pool,
  sql: string,
  values: readonly unknown[],
  failed: string,
): Promise<readonly (bigint | undefined)[] | undefined> {
  try {
    const { rows } = await pool.query<{ answer: string | null }>(sql, [...values]);
    return rows.map(({ answer }) => (answer === null ? undefined : BigInt(answer)));
  } catch (error) {
    if (IN_BETWEEN.has(sqlState(error) ?? '')) return undefined;
    throw new TrailUnavailable(`${failed}: ${sqlState(error) ?? 'outcome unknown'}`);
  }
}
