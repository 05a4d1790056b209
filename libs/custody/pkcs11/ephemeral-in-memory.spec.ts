import { ImportRefused } from '../import-refused.js';
import type { KeyHandle } from './cryptoki.js';
import { ephemeralInMemory } from './ephemeral-in-memory.js';
import type { OpenToken } from './open-token.js';

describe('an ephemeral key in memory', () => {
  it('is wiped where a module left the leading zero away', () => {
    const encoded = Buffer.alloc(511, 7);
    const token = { holder: Buffer.alloc(1), cryptoki: { decrypt: () => encoded }, operate: <T>(work: () => T) => work() };
    const take = () => ephemeralInMemory(token as unknown as OpenToken, Buffer.alloc(1) as KeyHandle, Buffer.alloc(512));
    expect(take).toThrow(ImportRefused);
    expect(encoded.equals(Buffer.alloc(511))).toBe(true);
  });
});
