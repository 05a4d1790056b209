import { stringify } from 'csv-stringify/sync';
import type { Grant, Guardrail, PolicyDocument } from '#contract';
import { canonicalJson } from '#core';
import { visibleJson } from './plain-text.js';

/** A document does not know its tenant, and Casbin needs a domain that is not empty. */
const DOMAIN = 'tenant';
const HEADER = '# keyward.policy/1: p, id, sub, dom, obj, act, cond, eft; g, member, role, dom\n';

/**
 * One line for each subject of a rule: objects and operations are lists with spaces between (their names have none), so that a
 * document of 32 KiB cannot become a text of gigabytes. `cond` is canonical JSON of all else that a rule has.
 * A role without members is a line of itself: to Casbin, as to us, that says nothing about anybody.
 */
export function toCsv({ roles, grants, guardrails }: PolicyDocument): string {
  const lines = [
    ...grants.flatMap((rule) => ruleLines(rule, 'allow')),
    ...guardrails.flatMap((rule) => ruleLines(rule, 'deny')),
    ...Object.keys(roles)
      .sort()
      .flatMap((name) => roleLines(`role:${name}`, roles[name] ?? [])),
  ];
  return HEADER + stringify(lines, { delimiter: ', ' });
}

function ruleLines(rule: Grant | Guardrail, effect: 'allow' | 'deny'): string[][] {
  const cond = conditionCell(rule);
  const { id, subjects, objects, operations } = rule;
  return subjects.map((subject) => ['p', id, subject, DOMAIN, objects.join(' '), operations.join(' '), cond, effect]);
}

const roleLines = (role: string, members: readonly string[]) =>
  (members.length === 0 ? [role] : members).map((member) => ['g', member, role, DOMAIN]);

/** Casbin reads a file line by line and joins columns while parentheses are open: neither may come from what somebody described. */
function conditionCell({ id: _id, subjects: _subjects, objects: _objects, operations: _operations, ...rest }: Grant | Guardrail): string {
  const json = visibleJson(canonicalJson(rest));
  return parenthesesBalanced(json) ? json : json.replaceAll('(', '\\u0028').replaceAll(')', '\\u0029');
}

export const parenthesesBalanced = (text: string): boolean => text.split('(').length === text.split(')').length;
