import { z } from 'zod';

/**
 * What no line may have. Control characters and line separators would let a caller forge lines in whatever prints it, directional
 * controls the order of its words (CVE-2021-42574); PostgreSQL cannot store U+0000; lone surrogates have no UTF-8.
 */
export const LINE = /^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]*$/u;

/** One line of text. */
export const line = (max: number) => z.string().max(max).regex(LINE, 'must be well-formed Unicode without control characters');

/** A description: line feeds and tabs belong here, and nowhere else. */
export const prose = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^([^\p{Cc}\p{Cs}]|[\n\t])*$/u, 'must be well-formed Unicode without control characters but line feeds and tabs');
