import { MAX_REASON_CHARACTERS, type RecordBody } from '#contract';
import { utf8 } from './octets.js';

/** Of the stored record; a tlog-tiles entry could have 65,535. */
export const MAX_RECORD_BYTES = 8192;
/** For `{"seq":…,"recordedAt":"…","writer":"…",` with the longest values, in place of the body's `{`. */
const SPLICE_BYTES = 192;
export const MAX_BODY_BYTES = MAX_RECORD_BYTES - SPLICE_BYTES;

const SPLICED = ['seq', 'recordedAt', 'writer'] as const;

export type EncodingProblem = 'unprintable' | 'too-long' | 'spliced-field';

/** The body could not be stored, or would spoil its log for verifiers; nothing was appended. */
export class RecordUnencodable extends Error {
  constructor(readonly code: EncodingProblem) {
    super(`A record cannot be encoded: ${code}.`);
    this.name = 'RecordUnencodable';
  }
}

/**
 * The bytes of a record as a plane appends it: JSON.stringify's own spelling, UTF-8, at most 8,000 bytes.
 * On the hot path, so it checks only what the type cannot: what PostgreSQL's jsonb refuses fails a whole batch, with other tenants' records.
 * @throws RecordUnencodable
 */
export function encodeRecord(body: RecordBody): Uint8Array {
  if (SPLICED.some((name) => name in body)) throw new RecordUnencodable('spliced-field');
  const text = JSON.stringify(body);
  if (!isPrintable(text)) throw new RecordUnencodable('unprintable');
  if (text.length > MAX_BODY_BYTES || (body.error && body.error.reason.length > MAX_REASON_CHARACTERS))
    throw new RecordUnencodable('too-long');
  const bytes = utf8(text);
  if (bytes.length > MAX_BODY_BYTES) throw new RecordUnencodable('too-long');
  return bytes;
}

/**
 * JSON.stringify escapes lone surrogates and the controls below U+0020, so any escape but `\"` and `\\` betrays them; the others that
 * no line may have (contract/text.ts) it leaves as they are.
 */
function isPrintable(text: string): boolean {
  if (/[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/.test(text)) return false;
  return !text.includes('\\') || !text.replaceAll(/\\["\\]/g, '').includes('\\');
}
