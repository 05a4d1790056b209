import type { Conditions, EncryptionContext } from '#contract';

/** `unknown`: the request does not carry what the condition asks about. */
export type Truth = true | false | 'unknown';

/** What conditions may look at. */
export interface Circumstances {
  readonly context: EncryptionContext | undefined;
  /** Milliseconds of the server's clock. */
  readonly at: number;
}

export type Condition = (circumstances: Circumstances) => Truth;

/** One rule's conditions, compiled: pure synchronous closures, never text. */
export interface RuleConditions {
  readonly when: Condition;
  readonly unless: Condition;
  /** Milliseconds: each the last instant before a time condition changes its truth. */
  readonly edges: readonly number[];
}

type Pairs = Readonly<Record<string, string | readonly string[]>>;

const always: Condition = () => true;
const never: Condition = () => false;
const unknown: Condition = () => 'unknown';

/** Absent and empty conditions say nothing: no demand in `when`, no exception in `unless`. */
export function compileConditions(when: Conditions | undefined, unless: Conditions | undefined): RuleConditions {
  return { when: all(when) ?? always, unless: all(unless) ?? never, edges: [when, unless].flatMap(edgesOf) };
}

/** A grant applies only if everything that it asks is known to be so. */
export const surelyHolds = ({ when, unless }: RuleConditions, circumstances: Circumstances): boolean =>
  when(circumstances) === true && unless(circumstances) === false;

/** A guardrail or stop applies unless something is known to speak against it. */
export const possiblyHolds = ({ when, unless }: RuleConditions, circumstances: Circumstances): boolean =>
  when(circumstances) !== false && unless(circumstances) !== true;

/** All of them: one false makes it false whatever is unknown (Kleene's AND). */
function all(conditions: Conditions | undefined): Condition | undefined {
  const tests = testsOf(conditions ?? {});
  if (tests.length <= 1) return tests[0];
  return (circumstances) => {
    let truth: Truth = true;
    for (const test of tests) {
      const one = test(circumstances);
      if (one === false) return false;
      if (one === 'unknown') truth = 'unknown';
    }
    return truth;
  };
}

function testsOf({ encryptionContextEquals, encryptionContextSubset, notBefore, notAfter, ...others }: Conditions): readonly Condition[] {
  const tests: Condition[] = [];
  if (notBefore !== undefined) tests.push(since(Date.parse(notBefore)));
  if (notAfter !== undefined) tests.push(through(Date.parse(notAfter)));
  if (encryptionContextEquals !== undefined) tests.push(contextEquals(encryptionContextEquals));
  if (encryptionContextSubset !== undefined) tests.push(contextIncludes(encryptionContextSubset));
  // A condition of a newer release, read by this one during an upgrade: it must not silently become "always".
  if (Object.keys(others).length > 0) tests.push(unknown);
  return tests;
}

const since = (start: number): Condition => timed(start, (at) => at >= start);
const through = (end: number): Condition => timed(end, (at) => at <= end);

function timed(instant: number, test: (at: number) => boolean): Condition {
  if (!Number.isFinite(instant)) return unknown;
  return ({ at }) => (Number.isFinite(at) ? test(at) : 'unknown');
}

function contextEquals(pairs: Pairs): Condition {
  const includes = contextIncludes(pairs);
  const size = Object.keys(pairs).length;
  return (circumstances) =>
    circumstances.context !== undefined && Object.keys(circumstances.context).length !== size ? false : includes(circumstances);
}

/** In a known context an absent label is false, not unknown: a stop of one label must not stop calls that carry other labels. */
function contextIncludes(pairs: Pairs): Condition {
  const wanted = Object.entries(pairs);
  return ({ context }) => {
    if (context === undefined) return 'unknown';
    return wanted.every(([name, value]) => {
      const found = Object.hasOwn(context, name) ? context[name] : undefined;
      return found !== undefined && (typeof value === 'string' ? found === value : value.includes(found));
    });
  };
}

function edgesOf(conditions: Conditions | undefined): readonly number[] {
  const edges: number[] = [];
  if (conditions?.notBefore !== undefined) edges.push(Date.parse(conditions.notBefore) - 1);
  if (conditions?.notAfter !== undefined) edges.push(Date.parse(conditions.notAfter));
  return edges.filter(Number.isFinite);
}
