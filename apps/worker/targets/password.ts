import { randomInt } from 'node:crypto';
import { z } from 'zod';
import { TargetError } from './rotation-target.js';

const CLASSES = ['abcdefghijklmnopqrstuvwxyz', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', '0123456789', '!#$%&()*+,-./:;<=>?@[]^_{|}~'];

export const passwordOptions = {
  /** Characters. */
  length: z.int().min(8).max(128).default(32),
  excludeCharacters: z.string().max(94).default(''),
};

/** From 59 bits on, of 16 characters: fewer could be guessed. */
const FEWEST_CHARACTERS = 13;

/** At least one character of each class that is left. @throws TargetError `invalid` when too few are */
export function newPassword({ length, excludeCharacters }: { readonly length: number; readonly excludeCharacters: string }): string {
  const excluded = new Set(excludeCharacters);
  const classes = CLASSES.map((all) => [...all].filter((one) => !excluded.has(one))).filter((left) => left.length > 0);
  const all = classes.flat();
  if (all.length < FEWEST_CHARACTERS) throw new TargetError('invalid', 'options.excludeCharacters');
  const pick = (from: readonly string[]) => from[randomInt(from.length)]!;
  const characters = Array.from({ length }, (_, at) => pick(classes[at] ?? all));
  // Fisher–Yates: where the classes' own characters stand says nothing.
  for (let at = characters.length - 1; at > 0; at--) {
    const other = randomInt(at + 1);
    [characters[at], characters[other]] = [characters[other]!, characters[at]!];
  }
  return characters.join('');
}
