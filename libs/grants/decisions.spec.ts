import type { GrantDecision } from '#core';
import { CasbinGrants } from './casbin-grants.js';
import { readDecisionTable } from './decision-table.js';
import { readModel } from './model.js';
import { referenceDecision } from './test/reference-evaluator.js';

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

  it.each(rows)('line $line, explained: $why', ({ policy, request, want }) => {
    const compiled = grants.compile(policy);
    const verdicts = compiled.explain(request);
    expect(verdicts.find(({ effect, applies }) => effect === 'deny' && applies)?.ruleId).toBe(want.guardrail);
    expect(verdicts.some(({ effect, applies }) => effect === 'allow' && applies)).toBe(want.grant !== undefined);
    if (allows(want)) expect(compiled.couldAllow(request)).toBe(true);
  });

  it.each(rows)('line $line by the reference evaluator: $why', ({ policy, request, want: { validUntil, ...rules } }) => {
    expect(referenceDecision(policy, request)).toEqual(rules);
  });
});
