import { z } from 'zod';
import { failedItem, joinFrame, joinItems, splitItems } from '#contract';
import { badAnswer, parsed, type Provenance, unframed } from './answers.js';
import { errorOf, type KeywardError } from './errors.js';
import type { WireAnswer } from './transport.js';

/** What one item of a batch came to. `error.retryable` says whether asking again may help; its siblings do not suffer from it. */
export type ItemResult<Answer> = Answer | { readonly error: KeywardError };

/** A batch as a frame: what is asked of each item, and the bytes of each, where the operation takes some (docs/formats.md). */
export function framedItems(asked: readonly object[], bytes: readonly Uint8Array[]): Uint8Array {
  const joined = joinItems(bytes);
  try {
    return joinFrame(Buffer.from(JSON.stringify({ items: asked })), joined);
  } finally {
    joined.fill(0);
  }
}

/** Takes an item's answer; `bytes` is what stood behind the JSON for it, a copy of its own. */
type ReadItem<Schema extends z.ZodObject, Answer> = (
  item: z.output<Schema>,
  provenance: Provenance,
  bytes: Uint8Array,
  index: number,
) => Answer;

/** The results in order, of answers in JSON. @throws ServerFault `bad-answer` when these are not answers to so many items */
export function itemResults<Schema extends z.ZodObject, Answer>(
  answer: WireAnswer,
  count: number,
  schema: Schema,
  read: ReadItem<Schema, Answer>,
): ItemResult<Answer>[] {
  return resultsOf(answer, parsed(itemsOf(count), answer), schema, (item, provenance, index) => read(item, provenance, NOTHING, index));
}

/** The same of answers in a frame. @throws ServerFault `bad-answer` when these are not answers to so many items; all bytes are wiped then */
export function framedResults<Schema extends z.ZodObject, Answer>(
  answer: WireAnswer,
  count: number,
  schema: Schema,
  read: ReadItem<Schema, Answer>,
): ItemResult<Answer>[] {
  const { json, bytes } = unframed(itemsOf(count), answer);
  const owned: Uint8Array[] = [];
  try {
    const each = splitItems(Buffer.from(bytes.buffer), count);
    if (each === undefined) throw badAnswer(answer, 'The answer has not the bytes of every item.');
    owned.push(...each.map((one) => Uint8Array.from(one)));
    return resultsOf(answer, json, schema, (item, provenance, index) => read(item, provenance, owned[index]!, index));
  } catch (error) {
    for (const one of owned) one.fill(0);
    throw error;
  } finally {
    bytes.fill(0);
  }
}

const NOTHING = new Uint8Array(0);
const place = z.int();
const itemsOf = (count: number) => z.object({ items: z.array(z.record(z.string(), z.unknown())).length(count) });

function resultsOf<Schema extends z.ZodObject, Answer>(
  answer: WireAnswer,
  { items }: { readonly items: readonly Readonly<Record<string, unknown>>[] },
  schema: Schema,
  read: (item: z.output<Schema>, provenance: Provenance, index: number) => Answer,
): ItemResult<Answer>[] {
  const requestId = String(answer.headers['x-request-id']);
  return items.map((item, index): ItemResult<Answer> => {
    if ('problem' in item) return { error: errorOfItem(ours(answer, failedItem, item)) };
    return read(ours(answer, schema, item), { record: ours(answer, place, item['record']), requestId }, index);
  });
}

function ours<Schema extends z.ZodType>(answer: WireAnswer, schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw badAnswer(answer, 'An item of the answer is not what this call answers.');
}

/** The error that an item of a batch was answered. */
export function errorOfItem({ problem, record }: z.output<typeof failedItem>): KeywardError {
  const { title, detail, code, status, requestId, retryable, errors, reason } = problem;
  return errorOf(detail ? `${title} ${detail}` : title, { code, status, requestId, retryable, fields: errors, reason, record });
}
