import { z } from 'zod';
import { disclosureDigest, type ShownDisclosure, shownDisclosure } from './disclosure.js';
import { keyId, prefixedId } from './identifiers.js';
import { keyLink } from './log-operations.js';
import { OPERATION_NAMES, SYSTEM_OPERATIONS } from './operations.js';
import { line } from './text.js';

const time = z.iso.datetime({ offset: true }).transform((at) => new Date(at).toISOString());

export const listRecordsQuery = z
  .strictObject({
    fromSeq: z.coerce.number().int().min(0).default(0),
    limit: z.coerce.number().int().min(1).max(1000).default(100),
    from: time.optional().meta({ description: 'recorded at this time or later' }),
    to: time.optional().meta({ description: 'recorded before this time' }),
    op: z.enum([...OPERATION_NAMES, ...SYSTEM_OPERATIONS]).optional(),
    outcome: z.enum(['succeeded', 'refused', 'failed']).optional(),
    keyId: keyId.optional(),
    principal: line(128).optional().meta({ description: 'the name of a service or a person' }),
    requestId: prefixedId('req').optional(),
    asOf: z.coerce
      .number()
      .int()
      .min(0)
      .optional()
      .meta({ description: 'as if the log had only so many records; without it: as many as it has' }),
    cursor: z.string().max(128).optional().meta({ description: 'from the page before, beside the same filters' }),
  })
  .meta({ id: 'ListRecordsQuery' });
export type ListRecordsQuery = z.infer<typeof listRecordsQuery>;

/** `items` are the records exactly as stored (schema v1), oldest first. */
export const recordsAnswer = z
  .object({
    size: z.int().meta({ description: 'records in the log when this was read' }),
    asOf: z.int().meta({ description: 'the list ends here: all pages of one list show the same log, however it grows' }),
    items: z.array(z.looseObject({ seq: z.int() })),
    disclosures: z
      .array(shownDisclosure)
      .default([])
      .meta({ description: 'personal fields that these records carry and that are not erased' }),
    unreadable: z
      .array(disclosureDigest)
      .default([])
      .meta({ description: '`_sd` of these records for which something is stored that is no personal field: no honest plane does that' }),
    nextCursor: z.string().optional().meta({
      description: 'continues the list; while it is present there may be more, even if this page has few items or none',
    }),
  })
  .meta({ id: 'Records' });
export type RecordsAnswer = {
  size: number;
  asOf: number;
  items: unknown[];
  disclosures: ShownDisclosure[];
  unreadable: string[];
  nextCursor?: string;
};

export const checkpointAnswer = z.string().meta({ description: 'C2SP tlog-checkpoint: a signed note', id: 'Checkpoint' });

export const listCheckpointsQuery = z
  .strictObject({
    beforeSize: z.coerce.number().int().min(1).optional().meta({ description: 'continue before this size' }),
    limit: z.coerce.number().int().min(1).max(1000).default(100),
    spread: z.stringbool().default(false).meta({ description: 'evenly over the whole log, `limit` at most, instead of the newest' }),
  })
  .meta({ id: 'ListCheckpointsQuery' });
export type ListCheckpointsQuery = z.infer<typeof listCheckpointsQuery>;

/** Every checkpoint that was ever signed, the largest first. */
export const checkpointsAnswer = z
  .object({
    items: z.array(z.object({ size: z.int(), signedAt: z.iso.datetime({ precision: 6 }), note: checkpointAnswer })),
    nextBeforeSize: z.int().optional().meta({ description: 'the `beforeSize` that continues the list' }),
  })
  .meta({ id: 'Checkpoints' });
export type CheckpointsAnswer = z.infer<typeof checkpointsAnswer>;

/** `<level>` or `entries`, then the index in groups of three digits, then `.p/<width>` for a tile that is not full (C2SP tlog-tiles). */
const TILE = /^(entries|[0-6])\/((?!x000)(?:x[0-9]{3}\/){0,4}[0-9]{3})(?:\.p\/([1-9][0-9]{0,2}))?$/;
/** Entries and hashes a full tile has (C2SP tlog-tiles). */
export const TILE_WIDTH = 256;

/** What stands behind `tile/` in a path. */
export const tilePath = z.object({
  '*': z.string().transform((path, context): TileName => {
    const [, level, digits, part] = TILE.exec(path) ?? [];
    const width = part === undefined ? TILE_WIDTH : Number(part);
    if (level !== undefined && digits !== undefined && width <= TILE_WIDTH && (part === undefined || width < TILE_WIDTH))
      return { level: level === 'entries' ? level : Number(level), index: Number(digits.replaceAll(/\D/g, '')), width };
    context.addIssue({
      code: 'custom',
      message: 'must be <level or entries>/<index> of C2SP tlog-tiles, with .p/<width> where it is not full',
    });
    return z.NEVER;
  }),
});
export interface TileName {
  readonly level: number | 'entries';
  readonly index: number;
  /** Hashes or entries in it: 256, or fewer. */
  readonly width: number;
}
export const tileAnswer = z
  .string()
  .meta({ description: 'C2SP tlog-tiles: hashes of 32 bytes, or entries each after its length in two bytes' });

export const logAnswer = z
  .object({
    logId: z.string(),
    origin: z.string().meta({ description: 'the first line of its checkpoints' }),
    vkeys: z.array(z.string()).meta({ description: 'verifier keys (C2SP signed-note), the newest first; pin yours from elsewhere' }),
    rotations: z
      .array(keyLink)
      .meta({ description: 'how each key followed from the one before it, the oldest first; those that a checkpoint covers' }),
    minIndex: z.int().meta({ description: 'records below it were pruned under the retention; their hashes are kept' }),
    retentionDays: z.int().meta({ description: 'so long records are kept at least' }),
    signedSize: z.int().meta({ description: 'records under the newest checkpoint' }),
  })
  .meta({ id: 'Log' });
export type LogAnswer = z.infer<typeof logAnswer>;
