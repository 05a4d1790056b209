import type { z } from 'zod';
import { problem, splitFrame } from '#contract';
import { errorOf, type ErrorCode, type KeywardError } from './errors.js';
import type { WireAnswer } from './transport.js';

/** Where the trail tells of a call. */
export interface Provenance {
  readonly requestId: string;
  /** Position of the call's record in the tenant's trail. */
  readonly record: number;
}

/** The same where an answer need not have a record: reads of the trail have none. */
export interface Told {
  readonly requestId?: string | undefined;
  readonly record?: number | undefined;
}
export const toldBy = (answer: WireAnswer): Told => ({ requestId: textHeader(answer, 'x-request-id'), record: recordOf(answer) });

/** @throws the typed error of an answer that is not a success; its body is wiped */
export function succeeded(answer: WireAnswer): WireAnswer {
  if (answer.status >= 200 && answer.status < 300) return answer;
  try {
    throw errorFrom(answer);
  } finally {
    answer.body.fill(0);
  }
}

/** @throws ServerFault `bad-answer` without a record: no record, no answer */
export function provenanceOf(answer: WireAnswer): Provenance {
  const record = recordOf(answer);
  const requestId = textHeader(answer, 'x-request-id');
  if (record === undefined || requestId === undefined) throw badAnswer(answer, 'The answer names no record in the trail.');
  return { requestId, record };
}

/** A JSON body by its schema; the body is wiped. @throws ServerFault `bad-answer` */
export function parsed<Schema extends z.ZodType>(schema: Schema, answer: WireAnswer): z.output<Schema> {
  try {
    const result = schema.safeParse(jsonOf(answer.body));
    if (result.success) return result.data;
  } finally {
    answer.body.fill(0);
  }
  throw badAnswer(answer, 'The answer is not what this call answers.');
}

/**
 * A frame taken apart: its JSON by the schema, and a copy of its bytes, which are the caller's to wipe. The body is wiped.
 * @throws ServerFault `bad-answer`
 */
export function unframed<Schema extends z.ZodType>(schema: Schema, answer: WireAnswer): { json: z.output<Schema>; bytes: Uint8Array } {
  const parts = splitFrame(answer.body);
  const bytes = Uint8Array.from(parts?.bytes ?? []);
  parts?.bytes.fill(0);
  try {
    return { json: parsed(schema, { ...answer, body: parts?.json ?? Buffer.alloc(0) }), bytes };
  } catch (error) {
    bytes.fill(0);
    throw error;
  } finally {
    answer.body.fill(0);
  }
}

/**
 * A data key of `length` bytes that is not all zero, or nothing: a server that wiped its buffer too early answers zeros.
 * @throws ServerFault `bad-answer`
 */
export function soundDataKey(dataKey: Uint8Array, length: number, { requestId, record }: Partial<Provenance> = {}): Uint8Array {
  if (dataKey.length === length && dataKey.some((byte) => byte !== 0)) return dataKey;
  dataKey.fill(0);
  throw errorOf('The data key that was answered is short or all zero; it must not be used.', { code: 'bad-answer', requestId, record });
}

function errorFrom(answer: WireAnswer): KeywardError {
  const given = problem.safeParse(jsonOf(answer.body));
  const told = { status: answer.status, record: recordOf(answer), retryAfterMs: retryAfterOf(answer) };
  if (given.success) {
    const { title, detail, code, requestId, retryable, errors, reason } = given.data;
    return errorOf(detail ? `${title} ${detail}` : title, { ...told, code, requestId, retryable, fields: errors, reason });
  }
  // Not from a plane but from something in between, or from a newer one.
  const code = BY_STATUS[answer.status] ?? 'bad-answer';
  const retryable = code === 'unavailable' || code === 'too-many-requests';
  return errorOf(`The answer was HTTP ${answer.status} without a problem document.`, {
    ...told,
    code,
    retryable,
    requestId: textHeader(answer, 'x-request-id'),
  });
}

const BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  401: 'unauthenticated',
  429: 'too-many-requests',
  502: 'unavailable',
  503: 'unavailable',
  504: 'unavailable',
};

export const badAnswer = (answer: WireAnswer, message: string) =>
  errorOf(message, { code: 'bad-answer', status: answer.status, requestId: textHeader(answer, 'x-request-id'), record: recordOf(answer) });

function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined; // the schema says no to it
  }
}

function textHeader(answer: WireAnswer, name: string): string | undefined {
  const value = answer.headers[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function recordOf(answer: WireAnswer): number | undefined {
  const text = textHeader(answer, 'keyward-record');
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** Seconds or a date (RFC 9110 §10.2.3), in milliseconds from now. */
function retryAfterOf(answer: WireAnswer): number | undefined {
  const text = textHeader(answer, 'retry-after');
  if (text === undefined) return undefined;
  const wait = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isNaN(wait) ? undefined : Math.max(0, wait);
}
