import type { z } from 'zod';
import { InvalidRequest, type KeywardError } from '#core';
import { fieldErrors } from './validation.js';

/** The items of a batch for the pipeline: what could not be read is refused there, by itself, and recorded. */
export const itemsOf = <Input>(batch: {
  readonly items: readonly z.ZodSafeParseResult<Input>[];
}): ({ readonly input: Input } | { readonly error: KeywardError })[] =>
  batch.items.map((item) => (item.success ? { input: item.data } : { error: new InvalidRequest(fieldErrors(item.error.issues, 'item')) }));
