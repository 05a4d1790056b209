import fc from 'fast-check';
import { Needles } from './needles.js';

/** Few values, so that parts of needles stand everywhere. */
const bytes = (minLength: number, maxLength: number) =>
  fc.array(fc.integer({ min: 0, max: 2 }), { minLength, maxLength }).map((values) => Buffer.from(values));

describe('the search for many byte strings', () => {
  it('finds what one search after another would find', () => {
    fc.assert(
      fc.property(fc.array(bytes(4, 9), { minLength: 1, maxLength: 8 }), bytes(0, 120), (needles, haystack) => {
        expect(new Needles(needles).foundIn(haystack)).toBe(needles.some((needle) => haystack.includes(needle)));
      }),
      { numRuns: 60 },
    );
  });

  it('finds a needle at the very end, and at the beginning', () => {
    const needle = Buffer.from('needle of some length');
    const hay = Buffer.alloc(1000, 'hay');
    const needles = new Needles([needle, Buffer.from('another one of them')]);
    expect(needles.foundIn(hay)).toBe(false);
    expect(needles.foundIn(Buffer.concat([hay, needle]))).toBe(true);
    expect(needles.foundIn(Buffer.concat([needle, hay]))).toBe(true);
    expect(needles.foundIn(Buffer.concat([hay, needle.subarray(0, -1)]))).toBe(false);
  });
});
