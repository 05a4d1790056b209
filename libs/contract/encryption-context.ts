import { z } from 'zod';
import { plainMap } from './plain-map.js';

/** Canonical bytes, all pairs together (kms-semantics: 8192 bytes, not characters). */
export const MAX_CONTEXT_BYTES = 8192;
/** One digest a pair goes into the record: the longest must still be one (core/record.spec.ts). */
export const MAX_CONTEXT_PAIRS = 240;

const RESERVED_PREFIXES = ['keyward:', 'aws-crypto-'];

const wellFormed = z.string().refine((text) => text.isWellFormed(), 'must be well-formed Unicode (no lone surrogates)');

const contextName = wellFormed
  .min(1, 'a name must not be empty')
  .refine(
    (name) => !RESERVED_PREFIXES.some((prefix) => name.startsWith(prefix)),
    'names that start with keyward: or aws-crypto- are reserved',
  );

/** Length of the canonical form (core/encryption-context.ts): two u16 lengths and the UTF-8 bytes of each pair. */
export function contextLength(context: Readonly<Record<string, string>>): number {
  return Object.entries(context).reduce((sum, [name, value]) => sum + 4 + Buffer.byteLength(name) + Buffer.byteLength(value), 0);
}

/** A flat map of strings that is bound to a ciphertext as additional authenticated data; order does not matter. */
export const encryptionContext = plainMap(contextName, wellFormed)
  .refine((context) => contextLength(context) <= MAX_CONTEXT_BYTES, `must be at most ${MAX_CONTEXT_BYTES} bytes in all`)
  .refine((context) => Object.keys(context).length <= MAX_CONTEXT_PAIRS, `must have at most ${MAX_CONTEXT_PAIRS} pairs`)
  .meta({ id: 'EncryptionContext', type: 'object', additionalProperties: { type: 'string' } });
export type EncryptionContext = Readonly<Record<string, string>>;
