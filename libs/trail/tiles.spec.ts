import fc from 'fast-check';
import { z } from 'zod';
import { decodeEntries, decodeHashes, encodeEntries, tilePath } from './index.js';
import { vectors } from './test/vectors.js';

const paths = vectors('tile-paths.json', z.array(z.object({ desc: z.string(), index: z.int(), width: z.int(), want: z.string() })));

describe('tiles', () => {
  it.each(paths)('path: $desc', ({ index, width, want }) => {
    expect(tilePath('entries', index, width)).toBe(want);
  });

  it('give back the entries that they were made of', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 600 }), { maxLength: 20 }), (entries) => {
        expect(decodeEntries(encodeEntries(entries)).map((entry) => Array.from(entry))).toEqual(entries.map((entry) => Array.from(entry)));
      }),
    );
  });

  it('write lengths in two bytes, the high one first', () => {
    expect(Array.from(encodeEntries([Uint8Array.of(7), new Uint8Array(258)]).subarray(0, 6))).toEqual([0, 1, 7, 1, 2, 0]);
  });

  it('take an entry of 65,535 bytes and none longer', () => {
    expect(decodeEntries(encodeEntries([new Uint8Array(65_535)]))).toHaveLength(1);
    expect(() => encodeEntries([new Uint8Array(65_536)])).toThrow(RangeError);
  });

  it.each([[[0]], [[0, 2, 1]], [[0, 1, 9, 0]]])('refuse the entries %j, which are cut off', (bytes) => {
    expect(() => decodeEntries(Uint8Array.from(bytes))).toThrow(RangeError);
  });

  it('refuse half a hash', () => {
    expect(() => decodeHashes(new Uint8Array(48))).toThrow(RangeError);
  });
});
