import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WrappedKeyVersion } from '#core';
import { z } from 'zod';
import { bindingMessage } from './binding-message.js';
import { checkpointBody, signedNote } from './checkpoint-note.js';

const vectors = (name: string): unknown => JSON.parse(readFileSync(join(process.cwd(), 'test/vectors', name), 'utf8'));
const hex = (text: string) => Buffer.from(text, 'hex');

describe('the message under a key version’s MAC', () => {
  const cases = z
    .array(z.object({ desc: z.string(), version: z.record(z.string(), z.string()), want: z.string() }))
    .parse(vectors('custody-binding.json'));

  it.each(cases)('$desc', ({ version, want }) => {
    const row = { ...version, blob: hex(version.blob ?? '') } as unknown as WrappedKeyVersion;
    expect(bindingMessage(row).toString('hex')).toBe(want);
  });

  it('differs between all vectors', () => {
    expect(new Set(cases.map(({ want }) => want)).size).toBe(cases.length);
  });
});

describe('a checkpoint as a signed note', () => {
  const note = z.object({ desc: z.string(), origin: z.string(), size: z.string(), root: z.string() });
  const good = note.extend({ publicKey: z.string(), signature: z.string(), want: z.string() });
  const cases = z.array(z.union([good, note.extend({ wantErr: z.string() })])).parse(vectors('custody-checkpoint-note.json'));

  it.each(cases)('$desc', (vector) => {
    const body = () => checkpointBody(vector.origin, BigInt(vector.size), hex(vector.root));
    if ('wantErr' in vector) return expect(body).toThrow(RangeError);
    expect(signedNote(vector.origin, body(), hex(vector.publicKey), hex(vector.signature))).toBe(vector.want);
  });
});
