import { DATA_OPERATIONS, type Grant, type GrantedOperation, type Guardrail, type PolicyDocument, SECRET_USES } from '#contract';
import type { ActiveStop, GrantRequest, TenantPolicy, WhoCan } from '#core';
import { objectIn, operationIn } from '../selectors.js';
import { partsOf } from './condition-sets.js';
import { word } from './plain-text.js';
import { namedBy } from './subjects.js';
import { conditionsInWords, leaseInWords, limitsInWords, listed } from './words.js';

type Key = Pick<GrantRequest, 'keyId' | 'secret' | 'aliases' | 'tags'>;

/** GetRandomPassword is about no secret. */
const OF_SECRETS = SECRET_USES.filter((operation) => operation !== 'GetRandomPassword');

/**
 * Everyone whom some grant lets use this key, or this secret, as it is called now: one entry a grant and caller, in document order. Operations that a
 * guardrail or stop takes away under all circumstances are left out; what they take away under some is told in words.
 */
export function whoCan({ document, stops }: TenantPolicy, key: Key): WhoCan[] {
  if (document === undefined) return [];
  const guardrails = document.guardrails
    .filter(({ objects }) => reaches(objects, key))
    .map((rule) => ({ rule, subjects: new Set(namedBy(rule.subjects, document.roles).map(({ subject }) => subject)) }));
  return document.grants
    .filter(({ objects }) => reaches(key.secret === undefined ? objects : objects.filter((object) => object !== '*'), key))
    .flatMap((grant) => entriesOf(grant, document, guardrails, stops, key));
}

interface Guarding {
  readonly rule: Guardrail;
  readonly subjects: ReadonlySet<string>;
}

const reaches = (objects: readonly string[], key: Key) => objects.some((object) => objectIn(key, object));
const covers = (rule: Guardrail, operation: GrantedOperation) => rule.operations.some((pattern) => operationIn(operation, pattern));
const unconditional = ({ when, unless }: Guardrail) => partsOf(when).length === 0 && partsOf(unless).length === 0;

function entriesOf(
  grant: Grant,
  { roles }: PolicyDocument,
  guardrails: readonly Guarding[],
  stops: readonly ActiveStop[],
  key: Key,
): WhoCan[] {
  const granted = (key.secret === undefined ? DATA_OPERATIONS : OF_SECRETS).filter((operation) => covers(grant, operation));
  return namedBy(grant.subjects, roles).flatMap(({ subject, role }) => {
    if (subject === '*' || stops.some((stop) => stopsAll(stop, subject, key))) return [];
    const concerning = guardrails.filter(({ subjects }) => subjects.has('*') || subjects.has(subject)).map(({ rule }) => rule);
    const operations = granted.filter((operation) => !concerning.some((rule) => unconditional(rule) && covers(rule, operation)));
    if (operations.length === 0) return [];
    const partial = concerning.filter((rule) => !unconditional(rule) && operations.some((operation) => covers(rule, operation)));
    return [
      {
        subject,
        role: role?.slice('role:'.length),
        operations,
        grant: grant.id,
        conditions: remaining(grant),
        except: [...partial.map((rule) => guardrailInWords(rule, operations)), ...stops.flatMap(labelStopInWords)],
      },
    ];
  });
}

function stopsAll({ target }: ActiveStop, subject: string, key: Key): boolean {
  switch (target.scope) {
    case 'everything':
      return true;
    case 'service':
      return subject === `svc:${target.service}`;
    case 'key':
      return target.keyId === key.keyId;
    case 'context':
      return false;
  }
}

const remaining = (grant: Grant) =>
  [conditionsInWords(grant), grant.limits ? limitsInWords(grant.limits) : '', grant.lease ? leaseInWords(grant.lease) : '']
    .filter((text) => text !== '')
    .join(', ');

function guardrailInWords(rule: Guardrail, granted: readonly GrantedOperation[]): string {
  const blocked = granted.filter((operation) => covers(rule, operation));
  const scope = blocked.length === granted.length ? '' : `${listed(blocked)} `;
  return `guardrail ${word(rule.id)} blocks ${scope}${conditionsInWords(rule)}`;
}

const labelStopInWords = ({ stopId, target }: ActiveStop) =>
  target.scope === 'context'
    ? [`stop ${stopId} blocks what is labelled ${word(target.name)}=${word(target.value)}, and what can have no labels`]
    : [];
