import type { z } from 'zod';
import { UnreadableRow } from '#core';

/** `SELECT keyward.name($1, …) AS answer`. */
export const calling = (name: string, values: readonly unknown[]): string =>
  `SELECT keyward.${name}(${values.map((_, index) => `$${index + 1}`).join(', ')}) AS answer`;

/** What a function of the database answered. @throws UnreadableRow; a schema's issues would quote the row */
export function parsed<Schema extends z.ZodType>(name: string, schema: Schema, answer: unknown): z.infer<Schema> {
  const { success, data } = schema.safeParse(answer);
  if (!success) throw new UnreadableRow(name);
  return data;
}
