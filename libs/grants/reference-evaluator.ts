import type { Conditions } from '#contract';
import type { GrantDecision, GrantRequest, TenantPolicy } from '#core';

// From tests only. Written from policies/decisions.csv and the semantics, sharing nothing with the product's evaluator.
type Verdict = 'T' | 'F' | 'U';
type RuleText = {
  subjects: string[];
  objects: string[];
  operations: string[];
  when?: Conditions | undefined;
  unless?: Conditions | undefined;
};

const READ = ['Decrypt'];
const WRITE = ['Encrypt', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext'];

export function judge(conditions: Conditions, { context, at }: GrantRequest): Verdict[] {
  const { encryptionContextEquals: equals, encryptionContextSubset: subset, notBefore, notAfter } = conditions;
  const labels = context && new Map(Object.entries(context));
  const verdicts: (boolean | undefined)[] = [];
  if (equals)
    verdicts.push(
      labels && labels.size === Object.keys(equals).length && Object.keys(equals).every((name) => labels.get(name) === equals[name]),
    );
  if (subset)
    verdicts.push(labels && Object.keys(subset).every((name) => labels.has(name) && [subset[name]].flat().includes(labels.get(name))));
  const now = Number.isNaN(at) ? undefined : new Date(at);
  if (notBefore) verdicts.push(now && new Date(notBefore) <= now);
  if (notAfter) verdicts.push(now && now <= new Date(notAfter));
  return verdicts.map((verdict) => (verdict === undefined ? 'U' : verdict ? 'T' : 'F'));
}

const and = (all: Verdict[]): Verdict => (all.includes('F') ? 'F' : all.includes('U') ? 'U' : 'T');

/** The grants and guardrails that name this subject, operation and key, whatever their conditions. */
export function concerning({ document }: TenantPolicy, { subject, operation, keyId, aliases, tags }: GrantRequest) {
  const names = ['*', keyId, ...aliases, ...Object.keys(tags).map((name) => `tag:${name}=${tags[name]}`)];
  const prefixed = (object: string) => /^alias\/.*\*$/.test(object) && aliases.some((alias) => alias.indexOf(object.slice(0, -1)) === 0);
  const verbs = ['@all', operation, ...(READ.includes(operation) ? ['@read'] : []), ...(WRITE.includes(operation) ? ['@write'] : [])];
  const me = [
    subject,
    ...Object.entries(document?.roles ?? {}).flatMap(([role, members]) => (members.includes(subject) ? [`role:${role}`] : [])),
  ];
  const concerns = (rule: RuleText, who: string[]) =>
    rule.subjects.some((s) => who.includes(s)) &&
    rule.operations.some((o) => verbs.includes(o)) &&
    rule.objects.some((o) => names.includes(o) || prefixed(o));
  const [grants, guardrails] = [document?.grants ?? [], document?.guardrails ?? []];
  return { grants: grants.filter((rule) => concerns(rule, me)), guardrails: guardrails.filter((rule) => concerns(rule, [...me, '*'])) };
}

/** What the policy says, the slow and obvious way. `validUntil` is not judged here. */
export function referenceDecision(policy: TenantPolicy, request: GrantRequest): Omit<GrantDecision, 'validUntil'> {
  if (!/^(svc|wl):/.test(request.subject)) return { grant: undefined, guardrail: undefined, stop: undefined };
  const { grants, guardrails } = concerning(policy, request);
  const when = (rule: RuleText) => and(judge(rule.when ?? {}, request));
  const unless = (rule: RuleText) => (rule.unless && Object.keys(rule.unless).length > 0 ? and(judge(rule.unless, request)) : 'F');
  const { subject, keyId, context } = request;
  const stopped = policy.stops.find(({ target }) => {
    if (target.scope === 'everything') return true;
    if (target.scope === 'service') return subject === `svc:${target.service}`;
    if (target.scope === 'key') return keyId === target.keyId;
    return context === undefined || (Object.hasOwn(context, target.name) && context[target.name] === target.value);
  });
  return {
    grant: grants.find((rule) => when(rule) === 'T' && unless(rule) === 'F')?.id,
    guardrail: guardrails.find((rule) => when(rule) !== 'F' && unless(rule) !== 'T')?.id,
    stop: stopped?.stopId,
  };
}
