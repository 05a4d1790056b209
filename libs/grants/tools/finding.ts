import type { LintFinding } from '#contract';
import { LINT_CODES, type LintCode } from './lint-codes.js';
import { quoted } from './plain-text.js';

export type Path = readonly PropertyKey[];

/** Where a value and its members stand in a text. */
export interface Place {
  /** From 1. */
  readonly line: number;
  readonly members: Map<string, Place>;
}

export const placeAt = (line: number): Place => ({ line, members: new Map() });

/** More than anybody reads; a hostile text must not make an answer of megabytes. */
const MOST_FINDINGS = 200;
const LONGEST_MESSAGE = 300;
const LONGEST_SEGMENT = 64;

/** One finding. The message quotes nothing unescaped: what stands in a policy must not forge lines of a terminal. */
export function finding(code: LintCode, message: string, path: Path = [], place?: Place): LintFinding {
  const line = place && lineOf(place, path);
  return {
    code,
    severity: LINT_CODES[code].severity,
    message: quoted(cut(message, LONGEST_MESSAGE)),
    path: quoted(path.map((segment) => cut(String(segment), LONGEST_SEGMENT)).join('.')),
    ...(line !== undefined && { line }),
  };
}

/** The line of what `path` names, or of the nearest value around it that the text holds. */
function lineOf(root: Place, path: Path): number {
  let place = root;
  for (const segment of path) {
    const next = place.members.get(String(segment));
    if (next === undefined) break;
    place = next;
  }
  return place.line;
}

const cut = (text: string, most: number) => (text.length > most ? `${text.slice(0, most)}…` : text);

/** Errors first where there are too many to tell. */
export function bounded(findings: readonly LintFinding[]): LintFinding[] {
  if (findings.length <= MOST_FINDINGS) return [...findings];
  const errors = findings.filter(({ severity }) => severity === 'error');
  const told = [...errors, ...findings.filter(({ severity }) => severity === 'warning')].slice(0, MOST_FINDINGS - 1);
  if (errors.length === 0) return told;
  return [...told, finding('G099', `${findings.length - told.length} more findings are not told.`)];
}

export const tooMany = (findings: readonly LintFinding[]): boolean => findings.length > MOST_FINDINGS;
export const hasError = (findings: readonly LintFinding[]): boolean => findings.some(({ severity }) => severity === 'error');
