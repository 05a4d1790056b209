import { z } from 'zod';
import { DISCLOSURE_NAMES, disclosureName } from './disclosure.js';
import { line } from './text.js';

const seq = z.int().min(0);

export const erasePersonalFieldsRequest = z
  .strictObject({
    fromSeq: seq.default(0),
    toSeq: seq.optional().meta({ description: 'not included; without it: all until now' }),
    principal: line(128)
      .min(1)
      .optional()
      .meta({ description: 'only of this person or service: as caller, and as whom a change is about' }),
    fields: z
      .array(disclosureName)
      .min(1)
      .refine((names) => new Set(names).size === names.length, 'must name each once')
      .default([...DISCLOSURE_NAMES]),
  })
  .refine(({ toSeq, principal }) => toSeq !== undefined || principal !== undefined, {
    path: ['principal'],
    error: 'is needed, or toSeq: everything that the log knows of everybody is not erased by leaving both out',
  })
  .refine(({ fromSeq, toSeq = Number.POSITIVE_INFINITY }) => fromSeq < toSeq, { path: ['toSeq'], error: 'must be after fromSeq' })
  .meta({ id: 'ErasePersonalFieldsRequest' });
export type ErasePersonalFieldsRequest = z.infer<typeof erasePersonalFieldsRequest>;

export const erasureAnswer = z
  .object({
    fromSeq: seq,
    toSeq: seq.optional(),
    fields: z.array(disclosureName),
    erased: z.int().meta({ description: 'values with their salts; the records that carry their digests are as they were' }),
  })
  .meta({ id: 'Erasure' });
export type ErasureAnswer = z.infer<typeof erasureAnswer>;
