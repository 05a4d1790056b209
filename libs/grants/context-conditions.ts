import type { EncryptionContext } from '#contract';
import { RecordedContext } from '#core';
import type { Condition } from './truth.js';

type Context = EncryptionContext | RecordedContext;
type Pairs = Readonly<Record<string, string | readonly string[]>>;

/** Exactly these labels. */
export function contextEquals(pairs: Readonly<Record<string, string>>): Condition {
  const includes = contextIncludes(pairs);
  const size = Object.keys(pairs).length;
  return (circumstances) => {
    const { context } = circumstances;
    return context !== undefined && sizeOf(context) !== size ? false : includes(circumstances);
  };
}

/** In a known context an absent label is false, not unknown: a stop of one label must not stop calls that carry other labels. */
export function contextIncludes(pairs: Pairs): Condition {
  const wanted = Object.entries(pairs).map(([name, values]) => [name, typeof values === 'string' ? [values] : [...values]] as const);
  return ({ context }) => {
    if (context === undefined) return 'unknown';
    return wanted.every(([name, values]) => values.some((value) => has(context, name, value)));
  };
}

/** A label may be called `size` or `has`: only the class tells a recorded context. */
const sizeOf = (context: Context): number => (context instanceof RecordedContext ? context.size : Object.keys(context).length);

function has(context: Context, name: string, value: string): boolean {
  return context instanceof RecordedContext ? context.has(name, value) : Object.hasOwn(context, name) && context[name] === value;
}
