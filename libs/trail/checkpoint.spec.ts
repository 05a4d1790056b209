import { z } from 'zod';
import { formatCheckpointBody, logIdOf, parseCheckpoint } from './index.js';
import { base64, fromBase64 } from './octets.js';
import { LOG_ID, ORIGIN } from './test/sample-log.js';
import { cases, vectors } from './test/vectors.js';

const checkpoints = vectors('checkpoints.json', cases(z.object({ origin: z.string(), size: z.string(), root: z.string() })));

describe('checkpoints', () => {
  it.each(checkpoints)('$desc', ({ input, want, wantErr }) => {
    if (want === undefined) return expect(() => parseCheckpoint(input)).toThrow(expect.objectContaining({ code: wantErr }));
    const { origin, size, root, note } = parseCheckpoint(input);
    expect({ origin, size: size.toString(), root: base64(root) }).toEqual(want);
    expect(formatCheckpointBody({ origin, size: BigInt(want.size), root: fromBase64(want.root) })).toBe(note.body);
  });

  it.each([
    ['a root of another length', { origin: ORIGIN, size: 1n, root: new Uint8Array(31) }],
    ['a negative size', { origin: ORIGIN, size: -1n, root: new Uint8Array(32) }],
    ['an origin with a line of its own', { origin: `${ORIGIN}\n5`, size: 1n, root: new Uint8Array(32) }],
  ])('are not made of %s', (_, head) => {
    expect(() => formatCheckpointBody(head)).toThrow('not a checkpoint');
  });

  it('name their log at the end of the origin', () => {
    expect(logIdOf(ORIGIN)).toBe(LOG_ID);
  });

  it.each([
    `example.com/audit/${LOG_ID}/`,
    `example.com/${LOG_ID}`,
    `/audit/${LOG_ID}`,
    `a/b/audit/${LOG_ID}`,
    'example.com/audit/log_1',
    `x\n/audit/${LOG_ID}`,
  ])('are of no log of ours with the origin %j', (origin) => {
    expect(() => logIdOf(origin)).toThrow('not a checkpoint');
  });
});
