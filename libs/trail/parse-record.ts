import { type TrailRecord, trailRecord } from '#contract';
import { MAX_RECORD_BYTES } from './encode-record.js';
import { fromUtf8 } from './octets.js';

export type RecordProblem = 'too-long' | 'not-utf8' | 'not-json' | 'not-canonical' | 'not-schema';

export class RecordRefused extends Error {
  constructor(
    readonly code: RecordProblem,
    detail: string,
    cause?: unknown,
  ) {
    super(detail, { cause });
    this.name = 'RecordRefused';
  }
}

/**
 * Reads a stored record as strictly as a verifier must: UTF-8, one JSON object, spelt exactly as JSON.stringify spells it, schema v1.
 * @throws RecordRefused
 */
export const parseRecord = (bytes: Uint8Array): TrailRecord => parseRecordText(recordText(bytes));

/** The text of at most 8,192 bytes. @throws RecordRefused */
export function recordText(bytes: Uint8Array): string {
  if (bytes.length > MAX_RECORD_BYTES) throw new RecordRefused('too-long', `It has more than ${MAX_RECORD_BYTES} bytes.`);
  return textOf(bytes);
}

/** The record that is spelt so. @throws RecordRefused */
export function parseRecordText(text: string): TrailRecord {
  const value = jsonOf(text);
  // The last of two equal names would win for one reader and the first for another; with one spelling there can be no second name.
  if (JSON.stringify(value) !== text)
    throw new RecordRefused('not-canonical', 'A name stands twice, or it is not spelt as JSON.stringify would.');
  const parsed = trailRecord.safeParse(value);
  if (!parsed.success)
    throw new RecordRefused('not-schema', `${parsed.error.issues[0]?.path.join('.')}: ${parsed.error.issues[0]?.message}`, parsed.error);
  return parsed.data;
}

function textOf(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch (cause) {
    throw new RecordRefused('not-utf8', 'It is not UTF-8.', cause);
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new RecordRefused('not-json', 'It is not JSON.', cause);
  }
}
