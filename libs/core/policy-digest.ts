import { createHash } from 'node:crypto';
import type { PolicyDocument } from '#contract';

/**
 * One text for equal documents (RFC 8785 for what JSON can carry): members sorted by the UTF-16 code units of their names at every level,
 * no white space; absent members and `undefined` are the same. Written out, because an object with re-ordered members would still
 * print integer-like names first.
 */
export function canonicalPolicy(document: PolicyDocument): string {
  return canonical(document);
}

/** SHA-256 of the canonical document, hex: what a record names. */
export const policyDigest = (document: PolicyDocument): string => createHash('sha256').update(canonicalPolicy(document)).digest('hex');

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  members.sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`;
}
