import { z } from 'zod';

/**
 * One line of text. Control characters would let a caller forge lines in whatever prints it, and PostgreSQL cannot store U+0000;
 * lone surrogates have no UTF-8.
 */
export const line = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'must be well-formed Unicode without control characters');

/** A description: line feeds and tabs belong here, and nowhere else. */
export const prose = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^([^\p{Cc}\p{Cs}]|[\n\t])*$/u, 'must be well-formed Unicode without control characters but line feeds and tabs');
