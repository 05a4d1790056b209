import { z } from 'zod';

/** Shapes in which records leave the platform; `jsonl` is the record itself, byte for byte. */
export const RECORD_FORMATS = ['jsonl', 'cloudevents', 'ocsf', 'cloudtrail', 'actiontrail'] as const;
export const recordFormat = z.enum(RECORD_FORMATS, { error: `must be one of ${RECORD_FORMATS.join(', ')}` });
export type RecordFormat = z.infer<typeof recordFormat>;
