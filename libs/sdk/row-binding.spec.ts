import fc from 'fast-check';
import { boundContext, encryptionContext, MAX_CONTEXT_BYTES } from '#contract';
import { InvalidCall } from './errors.js';
import { RowBinding } from './row-binding.js';

const text = fc.string({ unit: 'binary', maxLength: 12 });
const name = fc.oneof(text, fc.constantFrom('r', 'ro', 'rov', 'rox', 'row ', 'rowa', 'a', 'z'));
const context = fc.dictionary(name, text).filter((pairs) => encryptionContext.safeParse(pairs).success && !Object.hasOwn(pairs, 'row'));

it('is the context with a pair more, as anybody else would write it', () => {
  fc.assert(
    fc.property(context, text, (pairs, row) => {
      const bound = new RowBinding('acme', pairs).bound(row);
      expect(Buffer.compare(bound, boundContext('acme', { ...pairs, row }))).toBe(0);
    }),
  );
});

it.each<[string, () => unknown]>([
  ['a context with a row of its own', () => new RowBinding('acme', { row: '1' })],
  ['a lone surrogate', () => new RowBinding('acme', {}).bound('\ud800')],
  ['a row that is too long', () => new RowBinding('acme', {}).bound('x'.repeat(MAX_CONTEXT_BYTES - 6))],
  ['a context that leaves no room', () => new RowBinding('acme', { a: 'x'.repeat(MAX_CONTEXT_BYTES - 5) })],
])('refuses %s', (_, attempt) => {
  expect(attempt).toThrow(InvalidCall);
});

it('takes the longest row that fits', () => {
  expect(new RowBinding('acme', {}).bound('x'.repeat(MAX_CONTEXT_BYTES - 7))).toHaveLength(2 + 4 + MAX_CONTEXT_BYTES);
});
