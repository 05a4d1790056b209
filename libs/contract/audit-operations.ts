import { z } from 'zod';
import { keyId, prefixedId } from './identifiers.js';
import { OPERATION_NAMES } from './operations.js';

export const listRecordsQuery = z
  .strictObject({
    fromSeq: z.coerce.number().int().min(0).default(0),
    limit: z.coerce.number().int().min(1).max(1000).default(100),
    op: z.enum(OPERATION_NAMES).optional(),
    outcome: z.enum(['succeeded', 'refused', 'failed']).optional(),
    keyId: keyId.optional(),
    requestId: prefixedId('req').optional(),
  })
  .meta({ id: 'ListRecordsQuery' });
export type ListRecordsQuery = z.infer<typeof listRecordsQuery>;

/** `items` are the records exactly as stored (schema v1), oldest first. */
export const recordsAnswer = z
  .object({
    size: z.int().meta({ description: 'records in the log when this was read' }),
    items: z.array(z.looseObject({ seq: z.int() })),
    nextSeq: z.int().optional().meta({
      description: 'the `fromSeq` that continues the list; while it is present there may be more, even if this page has few items or none',
    }),
  })
  .meta({ id: 'Records' });
export type RecordsAnswer = { size: number; items: unknown[]; nextSeq?: number };

export const checkpointAnswer = z.string().meta({ description: 'C2SP tlog-checkpoint: a signed note', id: 'Checkpoint' });
