import { InvalidArgumentError } from 'commander';
import { secretReference } from '#contract';
import { UsageError } from '../exit-codes.js';
import type { Session } from '../session.js';

/** A secret that is wanted, or one field of one whose value is a JSON object, and where it goes. */
export interface Wanted {
  readonly secretId: string;
  readonly field: string | undefined;
  /** A variable, or a file. */
  readonly to: string;
}

/** How a place is called when nobody says, and what it may be called. */
export interface PlaceForm {
  readonly named: (words: readonly string[]) => string;
  readonly allowed: RegExp;
  readonly rule: string;
}

/** POSIX.1-2017 §8.1: what shells take. */
export const VARIABLE: PlaceForm = {
  named: (words) =>
    words
      .join('_')
      .toUpperCase()
      .replaceAll(/[^A-Z0-9_]/g, '_')
      .replace(/^(\d)/, '_$1'),
  allowed: /^[A-Za-z_][A-Za-z0-9_]*$/,
  rule: 'a variable is letters, digits and _, and begins with no digit',
};
export const FILE: PlaceForm = {
  named: (words) => words.join('.'),
  allowed: /^(?!\.)[A-Za-z0-9_.@+=-]{1,200}$/,
  rule: 'a file is letters, digits, _, ., @, +, = and -, in the folder itself',
};

/** `name`, `name#field`, and each with `=place` behind it. For an option that may be repeated. */
export const wantedAs =
  (form: PlaceForm) =>
  (text: string, before: readonly Wanted[] = []): readonly Wanted[] => {
    const equals = text.lastIndexOf('=');
    const [source, given] = equals < 0 ? [text, undefined] : [text.slice(0, equals), text.slice(equals + 1)];
    const [secretId = '', field] = source.split('#', 2);
    if (!secretReference.safeParse(secretId).success || field === '')
      throw new InvalidArgumentError('It must be NAME, NAME#FIELD, or either with =PLACE.');
    const to = given ?? form.named([secretId.split('/').at(-1) ?? '', ...(field === undefined ? [] : [field])]);
    if (!form.allowed.test(to)) throw new InvalidArgumentError(`${to === '' ? 'Nothing' : to} cannot be its place: ${form.rule}.`);
    if (before.some((one) => one.to === to)) throw new InvalidArgumentError(`${to} is given twice.`);
    return [...before, { secretId, field, to }];
  };

/** The bytes of each, in order; wipe them. @throws what reading the first one that fails throws, after saying which it is */
export async function bytesOf(session: Session, wanted: readonly Wanted[]): Promise<Buffer[]> {
  const secrets = session.secrets();
  try {
    const names = [...new Set(wanted.map(({ secretId }) => secretId))];
    const values = await secrets.getMany(
      session.tenant,
      names.map((secretId) => ({ secretId })),
    );
    try {
      return wanted.map(({ secretId, field }) => {
        const value = values[names.indexOf(secretId)]!;
        if ('error' in value) {
          session.say(`keyward: ${secretId} cannot be read.`);
          throw value.error;
        }
        return field === undefined ? Buffer.from(value.value) : fieldOf(Buffer.from(value.value), secretId, field);
      });
    } finally {
      for (const value of values) if (!('error' in value)) value.value.fill(0);
    }
  } finally {
    secrets.close();
  }
}

/** @throws UsageError without a word of the value */
function fieldOf(value: Buffer, secretId: string, field: string): Buffer {
  const parsed = objectIn(value);
  value.fill(0);
  const found = parsed !== undefined && Object.hasOwn(parsed, field) ? parsed[field] : undefined;
  if (typeof found === 'string') return Buffer.from(found);
  if (typeof found === 'number' || typeof found === 'boolean') return Buffer.from(String(found));
  throw new UsageError(`${secretId} is no JSON object with a text, a number or a truth value under ${field}.`);
}

function objectIn(value: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(value.toString('utf8'));
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
