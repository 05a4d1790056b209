import { z } from 'zod';
import { newPassword, passwordOptions } from './password.js';
import type { RotationTarget } from './rotation-target.js';

/** Text, or an object one of whose fields is renewed. */
export const freeValue = z.union([z.string().min(1), z.record(z.string(), z.json())]);
type FreeValue = z.infer<typeof freeValue>;

export const renewalOptions = z.strictObject({ ...passwordOptions, field: z.string().min(1).max(128).default('password') });

/** The same value with another random password in its place. */
export const renewed = (current: FreeValue, options: z.infer<typeof renewalOptions>): FreeValue =>
  typeof current === 'string' ? newPassword(options) : { ...current, [options.field]: newPassword(options) };

const nothing = () => Promise.resolve();

/** A value that nobody but its readers has to learn: a new one by schedule, and no target. */
export const schedule: RotationTarget<undefined, FreeValue, z.infer<typeof renewalOptions>> = {
  kind: 'schedule',
  ports: [],
  connection: z.undefined(),
  value: freeValue,
  options: renewalOptions,
  create: ({ current, options }) => renewed(current, options),
  apply: nothing,
  test: nothing,
  revert: nothing,
  retire: nothing,
};
