import type { LintFinding } from '#contract';
import { finding, type Path, type Place, placeAt } from './finding.js';
import type { LintCode } from './lint-codes.js';

/** Deeper than any document: grants, rule, when, encryptionContextSubset, label, values. */
const DEEPEST = 12;

const WHITE = /[ \t\n\r]*/y;
const STRING = /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const WORD = /true|false|null/y;
const WORDS: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['true', true],
  ['false', false],
  ['null', null],
]);

export interface JsonReading {
  /** undefined: the text is no JSON. */
  readonly value: unknown;
  readonly place: Place;
  readonly findings: readonly LintFinding[];
}

interface Cursor {
  readonly text: string;
  at: number;
  line: number;
  readonly findings: LintFinding[];
}

/** Where reading ends; never leaves this file. */
class Unreadable extends Error {
  constructor(
    readonly code: LintCode,
    message: string,
    readonly path: Path,
  ) {
    super(message);
  }
}

/**
 * JSON (RFC 8259) with the line of every value, in one pass. JSON.parse would take the last of two equal names without a word, and
 * tells no places. A member called `__proto__` becomes an own member like any other. Never throws.
 * @param firstLine line of the text's first character, from 1
 */
export function readJson(text: string, firstLine = 1): JsonReading {
  const cursor: Cursor = { text, at: 0, line: firstLine, findings: [] };
  try {
    const { value, place } = readValue(cursor, []);
    if (cursor.at < text.length) throw new Unreadable('G001', 'There is something behind the end.', []);
    return { value, place, findings: cursor.findings };
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    const place = placeAt(cursor.line);
    return { value: undefined, place, findings: [...cursor.findings, finding(error.code, error.message, error.path, place)] };
  }
}

interface Read {
  readonly value: unknown;
  readonly place: Place;
}

function readValue(cursor: Cursor, path: Path): Read {
  skipWhite(cursor);
  if (path.length > DEEPEST) throw new Unreadable('G003', 'Nested too deep.', path);
  const place = placeAt(cursor.line);
  const value = readAny(cursor, path, place);
  skipWhite(cursor);
  return { value, place };
}

function readAny(cursor: Cursor, path: Path, place: Place): unknown {
  if (take(cursor, '{')) return readObject(cursor, path, place);
  if (take(cursor, '[')) return readArray(cursor, path, place);
  const string = match(cursor, STRING);
  if (string !== undefined) return JSON.parse(string);
  const number = match(cursor, NUMBER);
  if (number !== undefined) return Number(number);
  const literal = match(cursor, WORD);
  if (literal !== undefined) return WORDS.get(literal);
  throw new Unreadable('G001', cursor.at < cursor.text.length ? 'This is not JSON.' : 'The text ends too early.', path);
}

function readObject(cursor: Cursor, path: Path, place: Place): unknown {
  const members = new Map<string, unknown>();
  skipWhite(cursor);
  if (take(cursor, '}')) return {};
  do {
    skipWhite(cursor);
    const line = cursor.line;
    const text = match(cursor, STRING);
    if (text === undefined) throw new Unreadable('G001', 'Expected a member name in double quotes.', path);
    const name = JSON.parse(text) as string;
    const here = [...path, name];
    skipWhite(cursor);
    if (!take(cursor, ':')) throw new Unreadable('G001', 'Expected a colon.', here);
    const member = readValue(cursor, here);
    if (members.has(name)) cursor.findings.push(finding('G002', `${name} stands here twice.`, here, placeAt(line)));
    members.set(name, member.value);
    place.members.set(name, member.place);
  } while (take(cursor, ','));
  if (!take(cursor, '}')) throw new Unreadable('G001', 'Expected a comma or a closing brace.', path);
  return Object.fromEntries(members);
}

function readArray(cursor: Cursor, path: Path, place: Place): unknown {
  const items: unknown[] = [];
  skipWhite(cursor);
  if (take(cursor, ']')) return items;
  do {
    const item = readValue(cursor, [...path, items.length]);
    place.members.set(String(items.length), item.place);
    items.push(item.value);
  } while (take(cursor, ','));
  if (!take(cursor, ']')) throw new Unreadable('G001', 'Expected a comma or a closing bracket.', path);
  return items;
}

function take(cursor: Cursor, character: string): boolean {
  const there = cursor.text[cursor.at] === character;
  if (there) cursor.at += 1;
  return there;
}

function match(cursor: Cursor, pattern: RegExp): string | undefined {
  pattern.lastIndex = cursor.at;
  const found = pattern.exec(cursor.text)?.[0];
  if (found !== undefined) cursor.at += found.length;
  return found;
}

/** Lines can only end here: a JSON string has no raw line feed. */
function skipWhite(cursor: Cursor): void {
  for (const character of match(cursor, WHITE) ?? '') if (character === '\n') cursor.line += 1;
}
