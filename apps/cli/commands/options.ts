import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Justification, justification, JUSTIFICATIONS } from '#contract';
import { UsageError } from '../exit-codes.js';

/** A whole number from `min` on, for option parsers. */
export const wholeNumber =
  (min: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!/^\d{1,15}$/.test(text) || value < min) throw new InvalidArgumentError(`It must be a whole number from ${min} on.`);
    return value;
  };

/** An option that may be repeated. */
export const several = (value: string, before: readonly string[]): readonly string[] => [...before, value];

/** `--vkey`, once a key: a log whose key was rotated has several, and what it signed before stays as it was signed. */
export const vkeysOption = () =>
  new Option('--vkey <key>', "the log's verifier key as you noted it earlier; repeated: any of them")
    .argParser(several)
    .default([], 'the one in the file of --credentials');

/** `name=value`; the value may hold `=` as well. */
export function pair(text: string): readonly [name: string, value: string] {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be name=value.');
  return [text.slice(0, at), text.slice(at + 1)];
}

/** `--context name=value`, as often as there are pairs; the same name twice is refused. */
export const contextOption = (flag = 'context') =>
  new Option(`--${flag} <name=value>`, 'a pair of the encryption context; may be repeated').default({}).argParser(addPair);

function addPair(text: string, before: Readonly<Record<string, string>>): Record<string, string> {
  const [name, value] = pair(text);
  if (Object.hasOwn(before, name)) throw new InvalidArgumentError(`${name} is given twice.`);
  // Not by assignment: `__proto__` would vanish instead of being refused by the server.
  return Object.fromEntries([...Object.entries(before), [name, value]]);
}

/** `--limit` and `--cursor` of every list. */
export const paged = (command: Command): Command =>
  command.option('--limit <n>', 'how many at most', wholeNumber(1)).option('--cursor <text>', 'go on where a list ended');

export interface PageOptions {
  readonly limit?: number;
  readonly cursor?: string;
}

/** Bytes written as base64, with or without line breaks. @throws UsageError */
export function fromBase64(text: string): Buffer {
  const compact = text.replaceAll(/\s/g, '');
  const bytes = Buffer.from(compact, 'base64');
  if (compact === '' || bytes.toString('base64') !== compact) throw new UsageError('The input is not base64.');
  return bytes;
}

/** `--dry-run` and `--justification` of every call that uses a key. */
export const asking = (command: Command): Command =>
  command
    .option('--dry-run', 'say only whether it would be allowed: no key is used')
    .option('--justification <code[:ticket]>', 'why, if the grant asks for it', justificationIn);

/** What a dry run says if nothing stands against the call. */
export const ALLOWED = 'It would be allowed.';

export interface Asking {
  readonly dryRun?: true;
  readonly justification?: Justification;
}

/** `CODE` or `CODE:ticket`. */
export function justificationIn(text: string): Justification {
  const [, code, ticket] = /^([A-Z_]+)(?::(.+))?$/.exec(text) ?? [];
  const checked = justification.safeParse({ code, ticket });
  if (!checked.success) throw new InvalidArgumentError(`It must be CODE or CODE:ticket; the codes are ${JUSTIFICATIONS.join(', ')}.`);
  return checked.data;
}

/** Several values in one argument, by commas. */
export const listed = (text: string): string[] => text.split(',').filter((part) => part !== '');
