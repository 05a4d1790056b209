import { newPassword } from './password.js';

const LETTERS = 'abcdefghijklmnopqrstuvwxyz';

describe('a new password', () => {
  it('has the length, a character of each class that is left, and none that is excluded', () => {
    for (let turn = 0; turn < 200; turn++) {
      const password = newPassword({ length: 16, excludeCharacters: `0O1l${LETTERS.slice(0, 5)}` });
      expect(password).toMatch(/^[^0O1la-e]{16}$/);
      for (const one of [/[a-z]/, /[A-Z]/, /[0-9]/, /[^A-Za-z0-9]/]) expect(password).toMatch(one);
    }
  });

  it('is not made of too few characters', () => {
    const but = (left: string) =>
      Array.from({ length: 94 }, (_, at) => String.fromCharCode(0x21 + at))
        .filter((one) => !left.includes(one))
        .join('');
    expect(newPassword({ length: 16, excludeCharacters: but('0123456789abc') })).toMatch(/^[0-9abc]{16}$/);
    for (const left of ['0123456789ab', 'a', ''])
      expect(() => newPassword({ length: 16, excludeCharacters: but(left) })).toThrow('invalid: options.excludeCharacters');
  });
});
