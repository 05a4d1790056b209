import fc from 'fast-check';
import type { KeyId } from '#contract';
import { objectIn } from './selectors.js';

const key = (tags: Record<string, string>) => ({ keyId: 'key_1' as KeyId, aliases: [], tags });

describe('tag:name=value', () => {
  it.each([
    ['tag:a=b', { a: 'b' }, true],
    ['tag:a=b=c', { a: 'b=c' }, true],
    ['tag:a=b=c', { 'a=b': 'c' }, false],
    ['tag:a=', { a: '' }, true],
    ['tag:a=b', { a: 'B' }, false],
    ['tag:toString=x', {}, false],
    ['tag:__proto__=x', {}, false],
  ])('%s means a key tagged %j: %s', (pattern, tags, means) => {
    expect(objectIn(key(tags), pattern)).toBe(means);
  });

  it('never means two tags of one text', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '=', ':', '.'), minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(text, text, text, text, (name, value, otherName, otherValue) => {
        fc.pre(name !== otherName || value !== otherValue);
        const pattern = `tag:${name}=${value}`;
        expect(objectIn(key({ [name]: value }), pattern) && objectIn(key({ [otherName]: otherValue }), pattern)).toBe(false);
      }),
    );
  });
});
