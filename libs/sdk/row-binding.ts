import { boundContext, canonicalContext, contextLength, type EncryptionContext, MAX_CONTEXT_BYTES } from '#contract';
import { InvalidCall } from './errors.js';
import { validContext } from './valid-context.js';

const ROW = 'row';
const LENGTH_BYTES = 2;

/**
 * What fields of one tenant and context bind when each is bound to its row as well: the context with a pair `row` more. All of it but the
 * row itself is worked out once, because this is done for every field.
 */
export class RowBinding {
  readonly #before: Uint8Array;
  readonly #after: Uint8Array;
  readonly #room: number;

  /** @throws InvalidCall for a context that has a `row` already, or no room for one */
  constructor(tenant: string, context: EncryptionContext) {
    if (Object.hasOwn(context, ROW)) throw invalid('The context of these fields has a "row" already.');
    const whole = validContext({ ...context, [ROW]: '' });
    const side = (sign: 1 | -1) =>
      Object.fromEntries(Object.entries(context).filter(([name]) => Buffer.compare(Buffer.from(name), Buffer.from(ROW)) === sign));
    // The pair that ends it without its value, which begins with its length.
    const ownPair = canonicalContext({ [ROW]: '' }).subarray(0, -LENGTH_BYTES);
    this.#before = Buffer.concat([boundContext(tenant, side(-1)), ownPair]);
    this.#after = canonicalContext(side(1));
    this.#room = MAX_CONTEXT_BYTES - contextLength(whole);
  }

  /** @throws InvalidCall for a row that cannot be bound */
  bound(row: string): Uint8Array {
    const bytes = Buffer.from(row, 'utf8');
    if (!row.isWellFormed()) throw invalid('The row is not well-formed Unicode.');
    if (bytes.length > this.#room) throw invalid(`The row has more than the ${this.#room} bytes that are left for it.`);
    return Buffer.concat([this.#before, Uint8Array.of(bytes.length >> 8, bytes.length & 0xff), bytes, this.#after]);
  }
}

const invalid = (message: string) => new InvalidCall(message, { code: 'invalid-request', fields: [{ field: ROW, message }] });
