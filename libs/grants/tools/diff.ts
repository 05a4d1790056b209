import type { Conditions, Grant, Guardrail, PolicyChange, PolicyDocument } from '#contract';
import { canonicalJson } from '#core';
import { type Part, partsOf } from './condition-sets.js';
import { allowsNoMore } from './coverage.js';
import { word } from './plain-text.js';
import {
  conditionsInWords,
  grantSentence,
  guardrailSentence,
  leaseInWords,
  limitsInWords,
  listed,
  objectsInWords,
  operationsInWords,
  partInWords,
  subjectsInWords,
} from './words.js';

const NO_POLICY: PolicyDocument = { schema: 'keyward.policy/1', roles: {}, grants: [], guardrails: [] };

/**
 * What publishing `to` over `from` changes, in sentences and as one word. `narrowing` is proven, not claimed: nothing is newly allowed,
 * whatever keys are called. `same`: each way nothing is. Everything else, and everything unsure, is `widening`.
 * @param from undefined: no policy, which allows nothing
 */
export function diff(from = NO_POLICY, to = NO_POLICY): { change: PolicyChange; sentences: string[] } {
  return { change: changeOf(from, to), sentences: [...roleChanges(from.roles, to.roles), ...ruleChanges(from, to)] };
}

function changeOf(from: PolicyDocument, to: PolicyDocument): PolicyChange {
  if (!allowsNoMore(from, to)) return 'widening';
  return allowsNoMore(to, from) ? 'same' : 'narrowing';
}

function roleChanges(from: PolicyDocument['roles'], to: PolicyDocument['roles']): string[] {
  const names = [...new Set([...Object.keys(from), ...Object.keys(to)])];
  return names.flatMap((name) => {
    const [before, after] = [membersOf(from, name), membersOf(to, name)];
    const role = `role ${word(name)}`;
    if (after === undefined) return [`Removes: ${role}`];
    if (before === undefined) return [`Adds: ${role} (${membersInWords(after)})`];
    const [gained, lost] = [missing(after, before), missing(before, after)];
    const moves = [
      gained.length > 0 ? `gains ${membersInWords(gained)}` : '',
      lost.length > 0 ? `loses ${membersInWords(lost)}` : '',
    ].filter(Boolean);
    if (moves.length > 0) return [`Changes ${role}: ${moves.join('; ')}`];
    return canonicalJson(before) === canonicalJson(after) ? [] : [`Changes ${role}: ${REORDERED}`];
  });
}

const REORDERED = 'writes the same in another way';
const membersOf = (roles: PolicyDocument['roles'], name: string) => (Object.hasOwn(roles, name) ? roles[name] : undefined);
const membersInWords = (members: readonly string[]) => (members.length === 0 ? 'nobody' : listed(members.map(word)));
const missing = (from: readonly string[], there: readonly string[]) => [...new Set(from.filter((item) => !there.includes(item)))];

const LISTS = [
  { name: 'grants', noun: 'grant', sentence: grantSentence },
  { name: 'guardrails', noun: 'guardrail', sentence: guardrailSentence },
] as const;

function ruleChanges(from: PolicyDocument, to: PolicyDocument): string[] {
  return LISTS.flatMap(({ name, noun, sentence }) => {
    const before = new Map<string, Grant | Guardrail>(from[name].map((rule) => [rule.id, rule]));
    const after = new Map<string, Grant | Guardrail>(to[name].map((rule) => [rule.id, rule]));
    const kept = (ids: Iterable<string>) => [...ids].filter((id) => before.has(id) && after.has(id)).join();
    return [
      ...[...before.values()]
        .filter(({ id }) => !after.has(id))
        .map((rule) => `Removes: ${noun} ${word(rule.id)}: ${sentence(rule, from.roles)}`),
      ...[...after.values()].flatMap((rule) => {
        const old = before.get(rule.id);
        if (old === undefined) return [`Adds: ${noun} ${word(rule.id)}: ${sentence(rule, to.roles)}`];
        const changes = changesOf(old, rule);
        return changes.length === 0 ? [] : [`Changes ${noun} ${word(rule.id)}: ${changes.join('; ')}`];
      }),
      ...(kept(before.keys()) === kept(after.keys()) ? [] : [`Changes the order of the ${name}`]),
    ];
  });
}

const NAMED_IN = [
  { name: 'subjects', verb: 'for', words: (items: readonly string[]) => subjectsInWords(items) },
  { name: 'objects', verb: 'with', words: (items: readonly string[]) => objectsInWords(items) },
  { name: 'operations', verb: 'to', words: (items: readonly string[]) => operationsInWords(items) },
] as const;

function changesOf(from: Grant, to: Grant): string[] {
  if (canonicalJson(from) === canonicalJson(to)) return [];
  const lists = NAMED_IN.flatMap(({ name, verb, words }) => {
    const [gained, lost] = [missing(to[name], from[name]), missing(from[name], to[name])];
    return [gained.length > 0 ? `also ${verb} ${words(gained)}` : '', lost.length > 0 ? `no longer ${verb} ${words(lost)}` : ''];
  });
  const changes = [
    ...lists,
    ...whenChanges(from.when, to.when),
    unlessChange(from.unless, to.unless),
    limitChange(from.limits, to.limits),
    leaseChange(from.lease, to.lease),
    from.description === to.description ? '' : 'another description',
  ].filter(Boolean);
  return changes.length === 0 ? [REORDERED] : changes;
}

/** Conditions are joined by "and": in `when`, each one that comes or goes says by itself what it does. */
function whenChanges(from: Conditions | undefined, to: Conditions | undefined): string[] {
  const [before, after] = [byName(from), byName(to)];
  return [...new Set([...before.keys(), ...after.keys()])].map((name) => {
    const [old, now] = [before.get(name), after.get(name)];
    if (now === undefined) return `no longer only when ${partInWords(old!)}`;
    if (old === undefined) return `newly only when ${partInWords(now)}`;
    return canonicalJson(old) === canonicalJson(now) ? '' : `when ${partInWords(now)}, before: when ${partInWords(old)}`;
  });
}

/** An exception is told as a whole: one condition less makes it larger. */
function unlessChange(from: Conditions | undefined, to: Conditions | undefined): string {
  if (canonicalJson(partsOf(from)) === canonicalJson(partsOf(to))) return '';
  const words = (unless: Conditions | undefined) => conditionsInWords({ unless }) || 'without exception';
  return `${words(to)}, before: ${words(from)}`;
}

const byName = (conditions: Conditions | undefined) => new Map<string, Part>(partsOf(conditions).map((part) => [part.name, part]));

function limitChange(from: Grant['limits'], to: Grant['limits']): string {
  if (canonicalJson(from ?? {}) === canonicalJson(to ?? {})) return '';
  const words = (limits: Grant['limits']) => (limits === undefined ? 'without a limit' : limitsInWords(limits));
  return `${words(to)}, before: ${words(from)}`;
}

function leaseChange(from: Grant['lease'], to: Grant['lease']): string {
  if (canonicalJson(from ?? {}) === canonicalJson(to ?? {})) return '';
  const words = (lease: Grant['lease']) => (lease === undefined ? 'without a lease' : leaseInWords(lease));
  return `${words(to)}, before: ${words(from)}`;
}
