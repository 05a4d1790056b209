import type { LintFinding } from '#contract';
import { finding, type Path, type Place } from './finding.js';

const FORBIDDEN_NAMES = ['__proto__', 'constructor', 'prototype'];

/**
 * What no member name and no text may be, wherever it stands: names that JavaScript treats specially, halves of surrogate pairs, which
 * have no UTF-8, and U+0000, which PostgreSQL cannot store. `value` comes from JSON, so it has no cycles.
 */
export function textFindings(value: unknown, place?: Place, path: Path = []): LintFinding[] {
  if (typeof value === 'string')
    return badText(value) ? [finding('G004', 'The text is not well-formed, or holds U+0000.', path, place)] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => {
    const here = [...path, Array.isArray(value) ? Number(name) : name];
    const found = textFindings(member, place, here);
    if (FORBIDDEN_NAMES.includes(name)) found.unshift(finding('G005', `${name} cannot be a name here.`, here, place));
    if (badText(name)) found.unshift(finding('G004', 'The name is not well-formed, or holds U+0000.', here, place));
    return found;
  });
}

const badText = (text: string) => !text.isWellFormed() || text.includes('\0');
