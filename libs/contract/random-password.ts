import { z } from 'zod';
import { asked, base64Text } from './data-operations.js';

/** Classes of a random password, and what is in them. */
export const PASSWORD_CLASSES = {
  lowercase: 'abcdefghijklmnopqrstuvwxyz',
  uppercase: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ',
  numbers: '0123456789',
  punctuation: '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~',
} as const;
export type PasswordClass = keyof typeof PASSWORD_CLASSES;
export const randomPasswordRequest = z
  .strictObject({
    length: z.int().min(8).max(128).default(32),
    excludeClasses: z
      .array(z.enum(Object.keys(PASSWORD_CLASSES) as PasswordClass[]))
      .max(3)
      .default([]),
    excludeCharacters: z
      .string()
      .regex(/^[\x20-\x7e]{0,95}$/, 'must be printable ASCII')
      .default(''),
    includeSpace: z.boolean().default(false),
    requireEachIncludedType: z.boolean().default(true).meta({ description: 'at least one of each class that is not excluded' }),
    justification: asked.justification,
  })
  .meta({ id: 'RandomPasswordRequest' });
export type RandomPasswordRequest = z.infer<typeof randomPasswordRequest>;
export const randomPasswordAnswer = z.object({ password: base64Text }).meta({ id: 'RandomPasswordAnswer' });
