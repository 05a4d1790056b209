import type { Conditions } from '#contract';
import { networkOf, networkWithin } from './networks.js';

type Name = keyof Conditions;
/** One condition of a rule. Each asks about one thing of a request: its labels, time, address, way to sign in, or justification. */
export type Part = { readonly [N in Name]: { readonly name: N; readonly asks: NonNullable<Conditions[N]> } }[Name];

const NAMES = [
  'encryptionContextEquals',
  'encryptionContextSubset',
  'notBefore',
  'notAfter',
  'weekly',
  'sourceCidr',
  'authMethod',
  'justification',
] as const satisfies readonly Name[];

/** Empty: no demand in `when`, no exception in `unless`. */
export const partsOf = (conditions: Conditions | undefined): readonly Part[] =>
  NAMES.flatMap((name) => (conditions?.[name] === undefined ? [] : [{ name, asks: conditions[name] } as Part]));

/**
 * Does whatever meets `inner` meet `outer`? Both ask about the same thing then, so they are unknown together, and it follows as well that
 * whatever fails `outer` fails `inner`. false: no, or not seen to be so.
 */
export function within(inner: Part, outer: Part): boolean {
  if (inner.name === 'encryptionContextEquals' && outer.name === 'encryptionContextSubset') return labelsMeet(inner.asks, outer.asks);
  if (inner.name !== outer.name) return false;
  return SAME_NAME[inner.name](inner.asks as never, outer.asks as never);
}

const SAME_NAME: { readonly [N in Name]: (inner: NonNullable<Conditions[N]>, outer: NonNullable<Conditions[N]>) => boolean } = {
  encryptionContextEquals: (inner, outer) => Object.keys(inner).length === Object.keys(outer).length && labelsMeet(inner, outer),
  encryptionContextSubset: (inner, outer) => labelsMeet(inner, outer),
  notBefore: (inner, outer) => Date.parse(inner) >= Date.parse(outer),
  notAfter: (inner, outer) => Date.parse(inner) <= Date.parse(outer),
  // Another zone is never seen to be within: their difference changes over the year.
  weekly: (inner, outer) => inner.tz === outer.tz && subset(inner.days, outer.days) && inner.from >= outer.from && inner.to <= outer.to,
  sourceCidr: (inner, outer) => {
    const wide = outer.map(networkOf);
    return inner.map(networkOf).every((one) => one !== undefined && wide.some((other) => other !== undefined && networkWithin(one, other)));
  },
  authMethod: subset,
  justification: (inner, outer) => subset(inner.anyOf, outer.anyOf) && (outer.requireTicket !== true || inner.requireTicket === true),
};

function subset(inner: readonly string[], outer: readonly string[]): boolean {
  return inner.every((item) => outer.includes(item));
}

type Labels = Readonly<Record<string, string | readonly string[]>>;

/** Every label that `outer` asks for is asked for by `inner`, with no value that `outer` would refuse. */
const labelsMeet = (inner: Labels, outer: Labels) =>
  Object.entries(outer).every(([name, values]) => Object.hasOwn(inner, name) && subset([inner[name] ?? []].flat(), [values].flat()));

/** If all of `strong` is known to be true, so is all of `weak`. */
export const impliesAll = (strong: readonly Part[], weak: readonly Part[]): boolean =>
  weak.every((outer) => strong.some((inner) => within(inner, outer)));

/** If something of `outer` is known to be false, so is something of `inner`. */
export const failsWith = (outer: readonly Part[], inner: readonly Part[]): boolean =>
  outer.every((wide) => inner.some((narrow) => within(narrow, wide)));
