import { type ConditionName, type Conditions, grant } from '#contract';
import type { z } from 'zod';
import { contextEquals, contextIncludes } from './context-conditions.js';
import { fromNetworks } from './networks.js';
import { type Circumstances, type Condition, type Truth, unknown } from './truth.js';
import { inWeek } from './weekly.js';

/** One condition as it is stated, compiled. */
export interface Stated {
  readonly in: 'when' | 'unless';
  /** undefined: one of a newer release, read by this one during an upgrade. */
  readonly condition: ConditionName | undefined;
  readonly test: Condition;
}

/** One rule's conditions, compiled: pure synchronous closures, never text. */
export interface RuleConditions {
  readonly when: Condition;
  readonly unless: Condition;
  readonly stated: readonly Stated[];
  /** Milliseconds: each the last instant before a time condition changes its truth. */
  readonly edges: readonly number[];
  /** A weekly window may change its truth at every full minute. */
  readonly byTheMinute: boolean;
}

interface Compiled {
  readonly test: Condition;
  readonly edge?: number;
  readonly byTheMinute?: true;
}
type Compile = (asked: unknown) => Compiled;

const UNKNOWN: Compiled = { test: unknown };
const always: Condition = () => true;
const never: Condition = () => false;

const { shape } = grant.shape.when.unwrap();
const CONDITIONS: { readonly [Name in ConditionName]: Compile } = {
  encryptionContextEquals: reading(shape.encryptionContextEquals.unwrap(), (pairs) => ({ test: contextEquals(pairs) })),
  encryptionContextSubset: reading(shape.encryptionContextSubset.unwrap(), (pairs) => ({ test: contextIncludes(pairs) })),
  notBefore: reading(shape.notBefore.unwrap(), (time) => since(Date.parse(time))),
  notAfter: reading(shape.notAfter.unwrap(), (time) => through(Date.parse(time))),
  weekly: reading(shape.weekly.unwrap(), (window) => ({ test: inWeek(window), byTheMinute: true })),
  sourceCidr: reading(shape.sourceCidr.unwrap(), (networks) => ({ test: fromNetworks(networks) })),
  authMethod: reading(shape.authMethod.unwrap(), (methods) => ({ test: provenBy(methods) })),
  justification: reading(shape.justification.unwrap(), (asked) => ({ test: justifiedBy(asked) })),
};
const KNOWN: ReadonlyMap<string, ConditionName> = new Map(Object.keys(CONDITIONS).map((name) => [name, name as ConditionName]));

/**
 * Absent and empty conditions say nothing: no demand in `when`, no exception in `unless`. What this release cannot read is unknown:
 * it must not silently become "always". Never throws.
 * @param when Conditions or undefined, as the document has them
 */
export function compileConditions(when: unknown, unless: unknown): RuleConditions {
  const inWhen = statements('when', when);
  const inUnless = statements('unless', unless);
  const stated = [...inWhen, ...inUnless];
  return {
    when: all(inWhen) ?? always,
    unless: all(inUnless) ?? never,
    stated: stated.map(({ in: place, condition, test }) => ({ in: place, condition, test })),
    edges: stated.flatMap(({ edge }) => (edge === undefined ? [] : [edge])),
    byTheMinute: stated.some(({ byTheMinute }) => byTheMinute === true),
  };
}

/** A grant applies only if everything that it asks is known to be so. A guardrail or stop that surely holds blocks whatever is unknown. */
export const surelyHolds = ({ when, unless }: RuleConditions, circumstances: Circumstances): boolean =>
  when(circumstances) === true && unless(circumstances) === false;

/** A guardrail or stop applies unless something is known to speak against it. */
export const possiblyHolds = ({ when, unless }: RuleConditions, circumstances: Circumstances): boolean =>
  when(circumstances) !== false && unless(circumstances) !== true;

/** All of them: one false makes it false whatever is unknown (Kleene's AND). */
function all(tests: readonly Compiled[]): Condition | undefined {
  if (tests.length <= 1) return tests[0]?.test;
  return (circumstances) => {
    let truth: Truth = true;
    for (const { test } of tests) {
      const one = test(circumstances);
      if (one === false) return false;
      if (one === 'unknown') truth = 'unknown';
    }
    return truth;
  };
}

function statements(place: Stated['in'], conditions: unknown): (Stated & Compiled)[] {
  if (conditions === undefined) return [];
  if (typeof conditions !== 'object' || conditions === null || Array.isArray(conditions))
    return [{ in: place, condition: undefined, ...UNKNOWN }];
  return Object.entries(conditions).flatMap(([name, asked]: [string, unknown]) => {
    if (asked === undefined) return [];
    const condition = KNOWN.get(name);
    return [{ in: place, condition, ...(condition === undefined ? UNKNOWN : CONDITIONS[condition](asked)) }];
  });
}

/** Reads by the contract's own schema. */
function reading<Asked>(schema: z.ZodType<Asked>, compile: (asked: Asked) => Compiled): Compile {
  return (asked) => {
    const read = schema.safeParse(asked);
    if (!read.success) return UNKNOWN;
    try {
      return compile(read.data);
    } catch {
      return UNKNOWN; // a zone or network that this machine's libraries do not know
    }
  };
}

const since = (start: number): Compiled => ({ test: timed((at) => at >= start), edge: start - 1 });
const through = (end: number): Compiled => ({ test: timed((at) => at <= end), edge: end });
const timed =
  (test: (at: number) => boolean): Condition =>
  ({ at }) =>
    Number.isFinite(at) ? test(at) : 'unknown';

const provenBy =
  (methods: readonly string[]): Condition =>
  ({ authMethod }) =>
    authMethod === undefined ? 'unknown' : methods.includes(authMethod);

function justifiedBy({ anyOf, requireTicket }: NonNullable<Conditions['justification']>): Condition {
  const codes = new Set<string>(anyOf);
  return ({ justification }) => {
    if (justification === undefined) return 'unknown';
    if (justification === null || !codes.has(justification.code)) return false;
    return requireTicket !== true || (justification.ticket ?? '') !== '';
  };
}
