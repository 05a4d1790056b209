import type { ArgumentMetadata, PipeTransform } from '@nestjs/common';
import { z } from 'zod';
import { type FieldError, InvalidRequest } from '#core';

/** A caller learns of its first mistakes; a body made of nothing else must not become a long answer. */
const MAX_FIELD_ERRORS = 20;
/** Names come from the caller too: enough of one to recognise it. */
const MAX_FIELD_NAME = 80;

/**
 * Parses what carries a schema (`@Body({ schema })`, `@Param`, `@Query`); Nest hands the schema over by its Standard Schema support.
 * @throws InvalidRequest naming the fields, never their values
 */
export class SchemaPipe implements PipeTransform {
  transform(value: unknown, { schema, type }: ArgumentMetadata): unknown {
    return schema instanceof z.ZodType ? parsed(schema, value, type === 'body' ? 'body' : '') : value;
  }
}

/** `whole` names the value itself where no field is at fault. @throws InvalidRequest naming the fields, never their values */
export function parsed<Value>(schema: z.ZodType<Value>, value: unknown, whole: string): Value {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new InvalidRequest(fieldErrors(result.error.issues, whole));
}

/** One entry a field: its path joined by dots (`whole` for the value itself), and what it must be. */
export function fieldErrors(issues: readonly z.core.$ZodIssue[], whole: string): FieldError[] {
  const errors = issues.flatMap((issue): FieldError[] => {
    // The field that nobody asked for is the one to name, not the object around it.
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => ({ field: nameOf([...issue.path, key], whole), message: 'is not a field of this request' }));
    if (issue.code === 'invalid_key')
      return [{ field: nameOf(issue.path, whole), message: issue.issues[0]?.message ?? 'is not a valid name' }];
    return [{ field: nameOf(issue.path, whole), message: issue.message }];
  });
  return errors.slice(0, MAX_FIELD_ERRORS);
}

function nameOf(path: readonly PropertyKey[], whole: string): string {
  const name = path.length === 0 ? whole : path.map(String).join('.');
  const short = name.length > MAX_FIELD_NAME ? `${name.slice(0, MAX_FIELD_NAME)}…` : name;
  return short.toWellFormed();
}
