import { readFileSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { UsageError } from './exit-codes.js';

/** The streams of one run: answers go to `out`, everything else that is said to `talk`. */
export interface Terminal {
  readonly in: Readable;
  readonly out: Writable;
  readonly talk: Writable;
  /** Whoever stops reading `out` has not got what the command was for: it fails. */
  cutIsFailure?: boolean;
}

/** The bytes of a file, or of stdin for `-`. @throws UsageError */
export const bytesFrom = async (terminal: Terminal, file: string): Promise<Buffer> =>
  file === '-' ? await buffer(terminal.in) : fileBytes(file);

/** @throws UsageError */
export function fileBytes(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch {
    throw new UsageError(`${file} cannot be read.`);
  }
}

/** Aligned columns under their names; nothing but a dash where there is no value. */
export function table(columns: readonly string[], rows: readonly (readonly (string | number | undefined)[])[]): string {
  const cells = [columns, ...rows.map((row) => row.map((cell) => printable(String(cell ?? '-'))))];
  const widths = columns.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)));
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** One `name  value` line a field that has a value; objects as JSON. */
export function fields(answer: object): string {
  const entries = Object.entries(answer).filter(([, value]) => value !== undefined && value !== '');
  const width = Math.max(...entries.map(([name]) => name.length));
  return entries
    .map(([name, value]) => `${name.padEnd(width)}  ${printable(typeof value === 'object' ? JSON.stringify(value) : String(value))}`)
    .join('\n');
}

/** Text of others must not move the cursor or forge a line. */
export const printable = (text: string): string => text.replaceAll(/\p{Cc}/gu, '�');

/** One a line, safe to show. */
export const lines = (sentences: readonly string[]): string => sentences.map(printable).join('\n');
