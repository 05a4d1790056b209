import { z } from 'zod';
import { failedItem } from '#contract';
import { parsed, type Provenance, takePlaintexts } from './answers.js';
import { errorOf, type KeywardError } from './errors.js';
import type { WireAnswer } from './transport.js';

/** What one item of a batch came to. `error.retryable` says whether asking again may help; its siblings do not suffer from it. */
export type ItemResult<Answer> = Answer | { readonly error: KeywardError };

const JOINED = Buffer.from(',');

/** One body out of the items' own, which are wiped. */
export function batchBody(items: readonly Uint8Array[]): Uint8Array {
  const pieces = items.flatMap((item, index) => (index === 0 ? [item] : [JOINED, item]));
  const body = Buffer.concat([Buffer.from('{"items":['), ...pieces, Buffer.from(']}')]);
  for (const item of items) item.fill(0);
  return body;
}

/**
 * The results in order. Plaintexts are taken out of the body as bytes, in the order in which they stand there.
 * @throws ServerFault `bad-answer` when these are not answers to so many items
 */
export function itemResults<Schema extends z.ZodObject, Answer>(
  answer: WireAnswer,
  count: number,
  schema: Schema,
  read: (item: z.output<Schema>, provenance: Provenance, plaintext: Uint8Array, index: number) => Answer,
): ItemResult<Answer>[] {
  const plaintexts = takePlaintexts(answer);
  try {
    const requestId = String(answer.headers['x-request-id']);
    const item = schema.extend({ record: z.int() });
    const { items } = parsed(z.object({ items: z.array(z.union([failedItem, item])).length(count) }), answer);
    // Each to its own item, or none to any.
    if (items.filter((one) => 'plaintext' in one).length !== plaintexts.length)
      throw errorOf('The answer carries no readable plaintexts.', { code: 'bad-answer', requestId });
    let next = 0;
    return items.map((one, index): ItemResult<Answer> => {
      if ('problem' in one) return { error: errorOfItem(failedItem.parse(one)) };
      const { record, ...used } = item.parse(one);
      return read(schema.parse(used), { record: z.int().parse(record), requestId }, 'plaintext' in one ? plaintexts[next++]! : NONE, index);
    });
  } catch (error) {
    for (const plaintext of plaintexts) plaintext.fill(0);
    throw error;
  }
}

const NONE = new Uint8Array(0);

function errorOfItem({ problem, record }: z.output<typeof failedItem>): KeywardError {
  const { title, detail, code, status, requestId, retryable, errors, reason } = problem;
  return errorOf(detail ? `${title} ${detail}` : title, { code, status, requestId, retryable, fields: errors, reason, record });
}
