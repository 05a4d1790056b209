import { z } from 'zod';

const DEFAULT_OVERLAP_DAYS = 30;

// A tenant's own log (admins)
export const rotateLogKeyRequest = z
  .strictObject({
    overlapDays: z
      .int()
      .min(1)
      .max(365)
      .default(DEFAULT_OVERLAP_DAYS)
      .meta({ description: 'so long the older key goes on signing beside the new one: time for everybody who pinned it to follow' }),
  })
  .meta({ id: 'RotateLogKeyRequest' });
export type RotateLogKeyRequest = z.infer<typeof rotateLogKeyRequest>;

export const logKeyAnswer = z
  .object({
    number: z.int().meta({ description: 'from 1: which key of this log it is' }),
    vkey: z.string().meta({ description: 'the new verifier key (C2SP signed-note)' }),
    replaces: z.string().meta({ description: 'the verifier key that signs beside it until then' }),
    replacedAt: z.iso.datetime(),
  })
  .meta({ id: 'LogKey' });
export type LogKeyAnswer = z.infer<typeof logKeyAnswer>;

/** That a log's new key is the log's own: the record that names it, and its proof under a checkpoint that the key before it signed. */
export const keyLink = z
  .strictObject({
    vkey: z.string(),
    record: z.string().meta({ description: 'the exact text of a RotateLogKey record' }),
    proof: z.string().meta({ description: 'C2SP tlog-proof of that record' }),
  })
  .meta({ id: 'KeyLink' });
export type KeyLink = z.infer<typeof keyLink>;

export const DEFAULT_RETENTION_DAYS = 2557;
/** What MLPS 2.0 and the CIS benchmarks ask for. */
const MIN_RETENTION_DAYS = 180;

export const retentionRequest = z
  .strictObject({ days: z.int().min(MIN_RETENTION_DAYS).max(36_525).default(DEFAULT_RETENTION_DAYS) })
  .meta({ id: 'RetentionRequest' });
export type RetentionRequest = z.infer<typeof retentionRequest>;
export const retentionAnswer = z.object({ days: z.int() }).meta({ id: 'Retention' });
export type RetentionAnswer = z.infer<typeof retentionAnswer>;

export const pruneRequest = z
  .strictObject({
    minIndex: z
      .int()
      .min(256)
      .multipleOf(256)
      .meta({ description: 'records below it go: a multiple of 256, whole tiles (C2SP tlog-tiles)' }),
    exported: z
      .strictObject({ size: z.int().min(1), root: z.string().regex(/^[A-Za-z0-9+/]{43}=$/) })
      .meta({ description: 'size and root of the copy that you keep, as verified: a signed checkpoint of this log over all that goes' }),
  })
  .meta({ id: 'PruneRequest' });
export type PruneRequest = z.infer<typeof pruneRequest>;
export const pruneAnswer = z.object({ minIndex: z.int() }).meta({ id: 'Pruned' });
export type PruneAnswer = z.infer<typeof pruneAnswer>;
