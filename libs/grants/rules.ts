import type { Grant, Guardrail, StopTarget } from '#contract';
import type { ActiveStop, TenantPolicy } from '#core';
import { compileConditions, type RuleConditions } from './conditions.js';

/** One grant, guardrail or stop, ready to be matched. */
export interface Rule {
  readonly id: string;
  readonly effect: 'allow' | 'deny';
  readonly subjects: readonly string[];
  readonly objects: readonly string[];
  readonly operations: readonly string[];
  /** Names `conditions` in a row; unique in the policy, also if two rules should share an id. */
  readonly conditionsId: string;
  readonly conditions: RuleConditions;
}

/** Grants, then guardrails, each in document order, then stops: so the first rule that speaks is the one the tenant reads first. */
export function rulesOf({ document, stops }: TenantPolicy): readonly Rule[] {
  return [
    ...(document?.grants ?? []).map((grant, index) => documentRule(grant, 'allow', `grant-${index}`)),
    ...(document?.guardrails ?? []).map((guardrail, index) => documentRule(guardrail, 'deny', `guardrail-${index}`)),
    ...stops.map(stopRule),
  ];
}

function documentRule(
  { id, subjects, objects, operations, when, unless }: Grant | Guardrail,
  effect: Rule['effect'],
  conditionsId: string,
): Rule {
  return { id, effect, subjects, objects, operations, conditionsId, conditions: compileConditions(when, unless) };
}

/** A stop is a guardrail that no policy version contains, so publishing, rolling back or importing one cannot lift it. */
function stopRule({ stopId, target }: ActiveStop): Rule {
  return {
    id: stopId,
    effect: 'deny',
    subjects: [target.scope === 'service' ? `svc:${target.service}` : '*'],
    objects: [target.scope === 'key' ? target.keyId : '*'],
    operations: ['@all'],
    conditionsId: stopId,
    conditions: compileConditions(stoppedLabel(target), undefined),
  };
}

const stoppedLabel = (target: StopTarget) =>
  target.scope === 'context' ? { encryptionContextSubset: { [target.name]: target.value } } : undefined;
