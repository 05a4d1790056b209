import type { GrantDecision } from '#core';
import { CasbinGrants } from './casbin-grants.js';
import { readDecisionTable } from './decision-table.js';
import { readModel } from './model.js';
import { referenceDecision } from './reference-evaluator.js';

const rows = readDecisionTable('policies');
const allows = ({ grant, guardrail, stop }: Omit<GrantDecision, 'validUntil'>) =>
  grant !== undefined && guardrail === undefined && stop === undefined;

describe('policies/decisions.csv', () => {
  const grants = new CasbinGrants(readModel('policies/model.conf'));

  it.each(rows)('line $line: $why', ({ policy, request, want, allowed }) => {
    const decision = grants.compile(policy).decide(request);
    expect(decision).toEqual(want);
    expect(allows(decision)).toBe(allowed);
  });

  it.each(rows)('line $line by the reference evaluator: $why', ({ policy, request, want: { validUntil, ...rules } }) => {
    expect(referenceDecision(policy, request)).toEqual(rules);
  });
});
