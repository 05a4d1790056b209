import type { z } from 'zod';
import type { OperationName } from '#contract';
import { type BatchItem, type InputOf, InvalidRequest } from '#core';
import { fieldErrors } from './validation.js';

/** The items of a batch for the pipeline: what could not be read is refused there, by itself, and recorded. */
export const itemsOf = <Operation extends OperationName>(batch: {
  readonly items: readonly z.ZodSafeParseResult<InputOf<Operation>>[];
}): BatchItem<Operation>[] =>
  batch.items.map((item) => (item.success ? { input: item.data } : { error: new InvalidRequest(fieldErrors(item.error.issues, 'item')) }));
