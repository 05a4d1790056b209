import { randomBytes } from 'node:crypto';
import { PASSWORD_CLASSES, type RandomPasswordRequest, randomPasswordRequest } from '#contract';
import { randomPassword } from './random-password.js';

const wanted = (given: Partial<RandomPasswordRequest>) => randomPasswordRequest.parse(given);
const draw = (bytes: number): Promise<Uint8Array> => Promise.resolve(randomBytes(bytes));
const made = async (given: Partial<RandomPasswordRequest> = {}) => Buffer.from(await randomPassword(wanted(given), draw)).toString('ascii');
const has = (password: string, characters: string) => [...password].some((one) => characters.includes(one));

describe('a random password', () => {
  it.each([8, 32, 128])('has %i characters, and one of each class', async (length) => {
    for (let count = 0; count < 50; count++) {
      const password = await made({ length });
      expect(password).toHaveLength(length);
      for (const characters of Object.values(PASSWORD_CLASSES)) expect(has(password, characters)).toBe(true);
    }
  });

  it.each<[string, Partial<RandomPasswordRequest>, RegExp]>([
    ['no class that is excluded', { excludeClasses: ['punctuation', 'uppercase'] }, /^[a-z0-9]{32}$/],
    ['no character that is excluded', { excludeClasses: ['punctuation'], excludeCharacters: 'abcdefghijklmABC0' }, /^[n-zD-Z1-9]{32}$/],
    [
      'a space only where it may',
      { excludeClasses: ['punctuation', 'lowercase', 'uppercase'], includeSpace: true, length: 128 },
      /^[0-9 ]{128}$/,
    ],
    ['the last character of a class', { excludeCharacters: '123456789', excludeClasses: ['punctuation'], length: 8 }, /0/],
  ])('has %s', async (_, given, form) => {
    for (let count = 0; count < 20; count++) expect(await made(given)).toMatch(form);
  });

  it.each<[string, Partial<RandomPasswordRequest>]>([
    ['nothing of a class that is required', { excludeCharacters: PASSWORD_CLASSES.numbers }],
    [
      'nothing at all',
      { excludeClasses: ['lowercase', 'uppercase', 'punctuation'], excludeCharacters: '0123456789', requireEachIncludedType: false },
    ],
  ])('is refused where there is %s', async (_, given) => {
    await expect(made(given)).rejects.toMatchObject({ fields: [{ field: 'excludeCharacters' }] });
  });

  it.each([
    ['7 characters', { length: 7 }],
    ['129 characters', { length: 129 }],
    ['all classes excluded', { excludeClasses: ['lowercase', 'uppercase', 'numbers', 'punctuation'] }],
    ['characters beyond ASCII', { excludeCharacters: 'é' }],
  ])('is not asked for with %s', (_, given) => {
    expect(randomPasswordRequest.safeParse(given).success).toBe(false);
  });

  /** Every byte once: what is beyond the last whole multiple of the alphabet is thrown away, so each character comes equally often. */
  it('takes each character from equally many bytes', async () => {
    const given = { ...wanted({ length: 8 }), excludeClasses: [], requireEachIncludedType: false };
    const counts = new Map<string, number>();
    const bytes = Array.from({ length: 256 }, (_, byte) => byte);
    for (const byte of bytes) {
      let draws = 0;
      const asked = randomPassword(given, () =>
        Promise.resolve(Uint8Array.from(draws++ === 0 ? [byte, ...Array<number>(7).fill(0)] : [0])),
      );
      const [first] = Buffer.from(await asked).toString('ascii');
      if (byte < 256 - (256 % 94)) counts.set(first!, (counts.get(first!) ?? 0) + 1);
      else expect(first).toBe('a');
    }
    expect(new Set(counts.values())).toEqual(new Set([2]));
    expect(counts.size).toBe(94);
  });

  it('leaves no bytes of the generator behind', async () => {
    const drawn: Uint8Array[] = [];
    await randomPassword(wanted({}), async (bytes) => {
      drawn.push(await draw(bytes));
      return drawn.at(-1)!;
    });
    expect(drawn.every((bytes) => bytes.every((byte) => byte === 0))).toBe(true);
  });
});
