import type { Grant, Guardrail, PolicyDocument } from '#contract';
import { operationIn } from '../selectors.js';
import { failsWith, impliesAll, partsOf } from './condition-sets.js';
import { leasesNoLonger, sameLease } from './lease-coverage.js';
import { type Scope, scopesOf } from './scope.js';

type Stands = (wanted: Scope, cover: Scope) => boolean;

/** Combinations that are looked at for one rule before the answer is "not seen to be so": policies are hostile too. */
const MOST_COMBINATIONS = 20_000;

/**
 * Does `to` surely allow nothing that `from` refuses, whatever keys are called and whatever is unknown? Sound, not complete: every grant
 * of `to` must lie within grants of `from`, and every guardrail of `from` within guardrails of `to`. Not computed, so taken for wider:
 * grants that only together make up another, equal windows of two time zones, conditions that contradict each other.
 * A counter belongs to a rule's id: what a limited grant covers may only be allowed by that id, and not more often.
 * A lease is the answering grant's: none may come to answer with a longer one what another answered.
 */
export function allowsNoMore(from: PolicyDocument, to: PolicyDocument): boolean {
  const [before, after] = [scopesOf(from.grants, from), scopesOf(to.grants, to)];
  return (
    everyCovered(after, before, grantStands) &&
    everyCovered(scopesOf(from.guardrails, from), scopesOf(to.guardrails, to), guardrailStands) &&
    leasesNoLonger(before, after, allowsAllOf)
  );
}

/** Whatever `one` would allow, `cover` allows, and has room for. */
const allowsAllOf = (cover: Scope, one: Scope) => coveredByOne(one, cover) && grantStands(one, cover);

/** Rules that another one of the same effect makes superfluous, each with that one; of two equal rules, the later. */
export function superfluous(rules: readonly (Grant | Guardrail)[], document: PolicyDocument, effect: 'allow' | 'deny') {
  const stands = effect === 'allow' ? grantStands : guardrailStands;
  const scopes = scopesOf(rules, document);
  const does = (one: Scope, other: Scope) => coveredByOne(other, one) && stands(other, one) && sameLease(one.rule, other.rule);
  return scopes.flatMap((scope, index) => {
    const other = scopes.find((one, at) => at !== index && does(one, scope) && (at < index || !does(scope, one)));
    return other === undefined ? [] : [{ index, rule: scope.rule, other: other.rule }];
  });
}

/** Is all of the grant's scope blocked without conditions? */
export function blockedCompletely(grant: Grant, document: PolicyDocument): boolean {
  const blocking = document.guardrails.filter(({ when, unless }) => partsOf(when).length === 0 && partsOf(unless).length === 0);
  return blocking.length > 0 && everyCovered(scopesOf([grant], document), scopesOf(blocking, document), () => true);
}

/** A grant applies when `when` is known to be true and `unless` known to be false (no `unless` always is). */
const grantStands: Stands = (wanted, cover) =>
  impliesAll(wanted.when, cover.when) &&
  (cover.unless.length === 0 || (wanted.unless.length > 0 && failsWith(wanted.unless, cover.unless))) &&
  withinLimits(wanted.rule, cover.rule);

/** A guardrail applies unless `when` is known to be false or `unless` known to be true (no `unless` never is). */
const guardrailStands: Stands = (wanted, cover) =>
  failsWith(cover.when, wanted.when) &&
  (cover.unless.length === 0 || (wanted.unless.length > 0 && impliesAll(cover.unless, wanted.unless)));

function withinLimits(wanted: Grant, cover: Grant): boolean {
  if (cover.limits === undefined) return true;
  const allowed = (limit: number | undefined) => limit ?? Number.POSITIVE_INFINITY;
  return (
    wanted.id === cover.id &&
    allowed(wanted.limits?.perMinute) <= allowed(cover.limits.perMinute) &&
    allowed(wanted.limits?.perDay) <= allowed(cover.limits.perDay)
  );
}

const everyCovered = (wanted: readonly Scope[], covers: readonly Scope[], stands: Stands): boolean =>
  wanted.every((one) =>
    covered(
      one,
      covers.filter((cover) => stands(one, cover)),
    ),
  );

const hasSubject = ({ subjects }: Scope, subject: string) => subjects.has('*') || subjects.has(subject);
const hasObject = ({ objects }: Scope, object: string) => objects.some((wide) => objectWithin(object, wide));
/** A collective name is never within the operations that it means today: it will mean those of later releases too. */
const hasOperation = ({ operations }: Scope, operation: string) => operations.some((wide) => operationIn(operation, wide));

const coveredByOne = ({ subjects, objects, operations }: Scope, cover: Scope): boolean =>
  operations.every((operation) => hasOperation(cover, operation)) &&
  objects.every((object) => hasObject(cover, object)) &&
  subjects.values().every((subject) => hasSubject(cover, subject));

/** Each dimension's names, each as the set (bits) of the covers that have it: every combination must share one. */
function covered(wanted: Scope, covers: readonly Scope[]): boolean {
  if (covers.some((cover) => coveredByOne(wanted, cover))) return true;
  const who = masks([...wanted.subjects], covers, hasSubject);
  const what = masks(wanted.objects, covers, hasObject);
  const how = masks(wanted.operations, covers, hasOperation);
  if (who.length * what.length * how.length > MOST_COMBINATIONS) return false;
  return who.every((a) => what.every((b) => how.every((c) => (a & b & c) !== 0n)));
}

function masks(names: readonly string[], covers: readonly Scope[], has: (cover: Scope, name: string) => boolean): readonly bigint[] {
  const found = names.map((name) => covers.map((cover) => (has(cover, name) ? '1' : '0')).join(''));
  return [...new Set(found)].map((bits) => BigInt(`0b0${bits}`));
}

/** Does every key or secret that `narrow` means, whatever its names, have to be meant by `wide`? A grant of `*` means keys only. */
export function objectWithin(narrow: string, wide: string): boolean {
  if (wide === narrow) return true;
  if (wide === '*') return !narrow.startsWith('secret:');
  const isPrefix = (kind: string) => wide.startsWith(kind) && wide.endsWith('*') && narrow.startsWith(kind);
  if (!isPrefix('alias/') && !isPrefix('secret:')) return false;
  return narrow.replace(/\*$/, '').startsWith(wide.slice(0, -1));
}
