import type { Conditions, Grant, Guardrail, Lease, Limits, PolicyDocument } from '#contract';
import { type Part, partsOf } from './condition-sets.js';
import { quoted, word } from './plain-text.js';

type Roles = PolicyDocument['roles'];

/** One sentence a rule: grants, then guardrails, in document order. A description is its author's claim, and is not told. */
export const sentences = (document: PolicyDocument): string[] => [
  ...document.grants.map((grant) => grantSentence(grant, document.roles)),
  ...document.guardrails.map((guardrail) => guardrailSentence(guardrail, document.roles)),
];

export function grantSentence(grant: Grant, roles: Roles): string {
  const { subjects, objects, operations, limits, lease } = grant;
  const conditions = conditionsInWords(grant);
  return [
    `Allow ${subjectsInWords(subjects, roles)} to ${operationsInWords(operations)} with ${objectsInWords(objects)}`,
    ...(conditions === '' ? [] : [` ${conditions}`]),
    ...(limits === undefined ? [] : [`, ${limitsInWords(limits)}`]),
    ...(lease === undefined ? [] : [`, ${leaseInWords(lease)}`]),
  ].join('');
}

export function guardrailSentence(guardrail: Guardrail, roles: Roles): string {
  const { subjects, objects, operations } = guardrail;
  const conditions = conditionsInWords(guardrail);
  const scope = `Block ${subjectsInWords(subjects, roles)} from ${operationsInWords(operations, BLOCKED)} with ${objectsInWords(objects)}`;
  return conditions === '' ? scope : `${scope} ${conditions}`;
}

/** @param roles undefined: a role's members are not told */
export const subjectsInWords = (subjects: readonly string[], roles?: Roles): string =>
  listed(
    subjects.map((subject) =>
      subject.startsWith('role:') && roles ? roleInWords(subject, roles) : (EVERYONE.get(subject) ?? word(subject)),
    ),
  );

function roleInWords(subject: string, roles: Roles): string {
  const members = roles[subject.slice('role:'.length)] ?? [];
  return `${word(subject)} (${members.length === 0 ? 'nobody' : members.map(word).join(', ')})`;
}

const EVERYONE: ReadonlyMap<string, string> = new Map([['*', 'everyone']]);
const ALLOWED: ReadonlyMap<string, string> = new Map([
  ['@read', 'read'],
  ['@write', 'write'],
  ['@all', 'do everything'],
]);
const BLOCKED: ReadonlyMap<string, string> = new Map([
  ['@read', 'reading'],
  ['@write', 'writing'],
  ['@all', 'everything'],
]);

export const operationsInWords = (operations: readonly string[], names = ALLOWED): string =>
  listed(operations.map((operation) => names.get(operation) ?? word(operation)));

export const objectsInWords = (objects: readonly string[]): string => listed(objects.map(objectInWords), 'or');

function objectInWords(object: string): string {
  if (object === '*') return 'any key';
  return object.startsWith('tag:') ? `any key tagged ${quoted(object.slice('tag:'.length))}` : word(object);
}

/** `when …, unless …`; empty: always. */
export function conditionsInWords({ when, unless }: { when?: Conditions | undefined; unless?: Conditions | undefined }): string {
  return [clause('when', partsOf(when)), clause('unless', partsOf(unless))].filter((text) => text !== '').join(', ');
}

const clause = (name: string, parts: readonly Part[]) => (parts.length === 0 ? '' : `${name} ${parts.map(partInWords).join(' and ')}`);

export function limitsInWords({ perMinute, perDay }: Limits): string {
  const rates = [perMinute === undefined ? [] : `${perMinute} a minute`, perDay === undefined ? [] : `${perDay} a day`].flat();
  return `at most ${rates.join(' and ')}`;
}

export function leaseInWords({ maxAgeSeconds, maxUses, maxBytes }: Lease): string {
  const uses = maxUses === undefined ? [] : [`${maxUses} ${maxUses === 1 ? 'use' : 'uses'}`];
  const bytes = maxBytes === undefined ? [] : [`${maxBytes} bytes`];
  return `data keys kept for at most ${listed([`${maxAgeSeconds} s`, ...uses, ...bytes])}`;
}

export function partInWords(part: Part): string {
  switch (part.name) {
    case 'encryptionContextEquals':
      return Object.keys(part.asks).length === 0 ? 'without any label' : `labelled exactly ${labelsInWords(part.asks)}`;
    case 'encryptionContextSubset':
      return `the labels include ${labelsInWords(part.asks)}`;
    case 'notBefore':
      return `it is ${word(part.asks)} or later`;
    case 'notAfter':
      return `it is ${word(part.asks)} or earlier`;
    case 'weekly':
      return `it is ${listed(part.asks.days, 'or')} from ${part.asks.from} until before ${part.asks.to} in ${word(part.asks.tz)}`;
    case 'sourceCidr':
      return `the caller’s address is in ${listed(part.asks.map(quoted), 'or')}`;
    case 'authMethod':
      return `signed in by ${listed(part.asks, 'or')}`;
    case 'justification':
      return `the reason given is ${listed(part.asks.anyOf, 'or')}${part.asks.requireTicket === true ? ' with a ticket' : ''}`;
  }
}

/** `region=eu|uk`: one of the two. A bar or comma inside a value puts it in quotes. */
const labelsInWords = (labels: Readonly<Record<string, string | readonly string[]>>) =>
  Object.entries(labels)
    .map(([name, value]) => `${word(name)}=${[value].flat().map(word).join('|')}`)
    .join(', ');

export function listed(items: readonly string[], joint: 'and' | 'or' = 'and'): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} ${joint} ${items.at(-1)}`;
}
