import { type Grant, type Guardrail, type Lease, type PolicyDocument, policyDocument, type StopTarget, stopTarget } from '#contract';
import type { ActiveStop, GeneratedGrant, LimitedGrant, TenantPolicy } from '#core';
import { compileConditions, type RuleConditions } from './conditions.js';
import { contextIncludes } from './context-conditions.js';

/** One grant, guardrail or stop, ready to be matched. */
export interface Rule {
  readonly id: string;
  readonly kind: 'grant' | 'guardrail' | 'stop';
  readonly subjects: readonly string[];
  readonly objects: readonly string[];
  readonly operations: readonly string[];
  /** Names `conditions` in a row; unique in the policy. */
  readonly conditionsId: string;
  readonly conditions: RuleConditions;
  /** Of a grant that may allow only so many calls. */
  readonly limited: LimitedGrant | undefined;
  readonly lease: Lease | undefined;
}

export interface PolicyRules {
  readonly roles: PolicyDocument['roles'];
  /** Grants, then guardrails, each in document order, then stops: so the first rule that speaks is the one the tenant reads first. */
  readonly rules: readonly Rule[];
}

const always = compileConditions(undefined, undefined);

/**
 * A copy of everything that a policy says, in the form that is matched.
 * A document counts as a whole or not at all: a guardrail that this release cannot read may be the one that matters. Only conditions may
 * be of a newer release; they are unknown.
 * @throws Error for what is no policy document
 */
export function rulesOf({ document, stops, generated = [] }: TenantPolicy): PolicyRules {
  const besides = [...generated.map(generatedRule), ...stops.map(stopRule)];
  if (document === undefined) return { roles: {}, rules: besides };
  const { grants, guardrails } = document;
  const bare = policyDocument.parse({ ...document, grants: grants.map(unconditional), guardrails: guardrails.map(unconditional) });
  return {
    roles: bare.roles,
    rules: [
      ...bare.grants.map((rule, index) => grantRule(rule, index, grants[index])),
      ...bare.guardrails.map((rule, index) => documentRule('guardrail', rule, index, guardrails[index])),
      ...besides,
    ],
  };
}

function unconditional({ when: _when, unless: _unless, ...rule }: Grant | Guardrail) {
  return rule;
}

function grantRule(rule: Grant, index: number, stated: Grant | undefined): Rule {
  const lease = rule.lease && Object.freeze(rule.lease);
  const limited = rule.limits && Object.freeze({ ruleId: rule.id, limits: Object.freeze(rule.limits), ...(lease && { lease }) });
  return { ...documentRule('grant', rule, index, stated), limited, lease };
}

function documentRule(
  kind: Rule['kind'],
  { id, subjects, objects, operations }: Grant | Guardrail,
  index: number,
  stated: Pick<Grant, 'when' | 'unless'> | undefined,
): Rule {
  const conditions = compileConditions(stated?.when, stated?.unless);
  return { id, kind, subjects, objects, operations, conditionsId: `${kind}-${index}`, conditions, limited: undefined, lease: undefined };
}

/** Two of one id differ in nothing. */
const generatedRule = ({ id, subject, keyId, operation }: GeneratedGrant): Rule => ({
  ...{ id, kind: 'grant', subjects: [subject], objects: [keyId], operations: [operation] },
  ...{ conditionsId: `generated-${id}`, conditions: always, limited: undefined, lease: undefined },
});

/** A stop is a guardrail that no policy version contains, so publishing, rolling back or importing one cannot lift it. */
function stopRule({ stopId, target: stated }: ActiveStop, index: number): Rule {
  const known = stopTarget.safeParse(stated);
  // A scope of a newer release: better too much is stopped than too little.
  const target: StopTarget = known.success ? known.data : { scope: 'everything' };
  return {
    id: stopId,
    kind: 'stop',
    subjects: [target.scope === 'service' ? `svc:${target.service}` : '*'],
    objects: [target.scope === 'key' ? target.keyId : '*'],
    operations: ['@all'],
    conditionsId: `stop-${index}`,
    conditions: target.scope === 'context' ? { ...always, when: contextIncludes({ [target.name]: target.value }) } : always,
    limited: undefined,
    lease: undefined,
  };
}
