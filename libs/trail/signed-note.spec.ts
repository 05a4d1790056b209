import { sign } from 'node:crypto';
import { z } from 'zod';
import { composeNote, keyId, NoteRefused, parseNote, parseVkey, verifyNote, vkey } from './index.js';
import { hex } from './octets.js';
import { keyFrom } from './test/sample-log.js';
import { cases, vectors } from './test/vectors.js';

const keyVectors = vectors('verifier-keys.json', cases(z.object({ name: z.string(), keyId: z.string(), publicKey: z.string() })));
const noteVectors = vectors(
  'signed-notes.json',
  z.array(
    z.object({
      desc: z.string(),
      input: z.string(),
      vkeys: z.array(z.string()),
      want: z.array(z.string()).optional(),
      wantErr: z.string().optional(),
    }),
  ),
);

describe('verifier keys', () => {
  it.each(keyVectors)('$desc', ({ input, want, wantErr }) => {
    if (want === undefined) return expect(() => parseVkey(input)).toThrow(wantErr);
    const key = parseVkey(input);
    expect({ name: key.name, keyId: hex(key.keyId), publicKey: hex(key.publicKey) }).toEqual(want);
    expect(vkey(key.name, key.publicKey, key.type)).toBe(input);
    expect(hex(keyId(key.name, key.publicKey, key.type))).toBe(want.keyId);
  });
});

describe('signed notes', () => {
  const read = async (text: string, vkeys: readonly string[]) =>
    (await verifyNote(parseNote(text), vkeys.map(parseVkey))).map(({ name }) => name);

  it.each(noteVectors)('$desc', async ({ input, vkeys, want, wantErr }) => {
    if (want !== undefined) return expect(await read(input, vkeys)).toEqual(want);
    await expect(read(input, vkeys)).rejects.toMatchObject({ name: 'NoteRefused', code: wantErr });
  });

  it('verify as they were composed', async () => {
    const { publicKey, privateKey } = keyFrom(7);
    const body = 'first line\n\nè subito sera\n';
    const text = composeNote(body, 'example.com/log', publicKey, sign(null, Buffer.from(body), privateKey));
    expect(parseNote(text).body).toBe(body);
    expect(await read(text, [vkey('example.com/log', publicKey)])).toEqual(['example.com/log']);
  });

  it.each([
    ['no newline at its end', 'text'],
    ['a carriage return', 'text\r\n'],
    ['nothing', ''],
  ])('cannot be composed of a body with %s', (_, body) => {
    expect(() => composeNote(body, 'name', new Uint8Array(32), new Uint8Array(64))).toThrow(NoteRefused);
  });
});
