import { z } from 'zod';

/**
 * A map from names to values that refuses `__proto__`: zod's record silently drops that name, and whoever wrote it would believe
 * that it is bound, or that it narrows a grant.
 */
export function plainMap<Value extends z.ZodType>(name: z.ZodString, value: Value) {
  return z
    .unknown()
    .superRefine((map, issue) => {
      if (typeof map === 'object' && map !== null && Object.hasOwn(map, '__proto__'))
        issue.addIssue({ code: 'custom', message: '__proto__ is refused', path: ['__proto__'] });
    })
    .pipe(z.record(name, value));
}
