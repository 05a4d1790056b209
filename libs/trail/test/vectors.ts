import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** A vector file of test/vectors/trail, checked against its shape. */
export function vectors<Shape extends z.ZodType>(file: string, shape: Shape): z.infer<Shape> {
  return shape.parse(JSON.parse(readFileSync(join('test/vectors/trail', file), 'utf8')));
}

/** A case has either what it should give or how it should fail. */
export const cases = <Want extends z.ZodType>(want: Want, more: z.ZodRawShape = {}) =>
  z.array(z.object({ desc: z.string(), input: z.string(), want: want.optional(), wantErr: z.string().optional(), ...more }));
