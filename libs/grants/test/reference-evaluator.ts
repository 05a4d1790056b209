import type { ConditionName, Conditions, Lease, Limits, RuleVerdict } from '#contract';
import { type GrantDecision, type GrantRequest, RecordedContext, type TenantPolicy } from '#core';

// From tests only. Written from policies/decisions.csv and the semantics, sharing nothing with the product's evaluator.
type Verdict = 'T' | 'F' | 'U';
interface RuleText {
  id: string;
  subjects: string[];
  objects: string[];
  operations: string[];
  when?: Conditions | undefined;
  unless?: Conditions | undefined;
  limits?: Limits | undefined;
  lease?: Lease | undefined;
}

const READ = ['Decrypt', 'ReEncryptFrom', 'VerifyMac', 'Verify', 'GetPublicKey', 'AsymmetricDecrypt'];
const WRITE = ['Encrypt', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext', 'ReEncryptTo', 'GenerateMac', 'Sign', 'AsymmetricEncrypt'];

/** undefined: unknown. */
const JUDGES: { [Name in ConditionName]: (asked: NonNullable<Conditions[Name]>, request: GrantRequest) => boolean | undefined } = {
  encryptionContextEquals: (equals, { context }) => {
    const labels = labelsOf(context);
    return labels && labels.size === Object.keys(equals).length && Object.keys(equals).every((name) => labels.get(name) === equals[name]);
  },
  encryptionContextSubset: (subset, { context }) => {
    const labels = labelsOf(context);
    return labels && Object.keys(subset).every((name) => labels.has(name) && [subset[name]].flat().includes(labels.get(name)));
  },
  notBefore: (time, { at }) => (Number.isNaN(at) ? undefined : new Date(time) <= new Date(at)),
  notAfter: (time, { at }) => (Number.isNaN(at) ? undefined : new Date(at) <= new Date(time)),
  weekly: ({ tz, days, from, to }, { at }) => {
    if (Number.isNaN(at)) return undefined;
    // Swedes write 2026-03-29 03:00:00: the zone's calendar, read as if it were UTC's.
    const [date, time] = new Date(at).toLocaleString('sv-SE', { timeZone: tz }).split(' ');
    const today = (['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const)[new Date(`${date}T00:00:00Z`).getUTCDay()];
    return days.some((day) => day === today) && time! >= `${from}:00` && time! < `${to}:00`;
  },
  sourceCidr: (networks, { sourceAddress }) => {
    const caller = bitsOf(sourceAddress ?? '');
    return caller === undefined
      ? undefined
      : networks.some((network) => {
          const [address, prefix] = network.split('/');
          const bits = bitsOf(address!)!;
          return bits.length === caller.length && caller.startsWith(bits.slice(0, Number(prefix ?? bits.length)));
        });
  },
  authMethod: (methods, { authMethod }) => (authMethod === undefined ? undefined : methods.some((method) => method === authMethod)),
  justification: ({ anyOf, requireTicket }, { justification }) => {
    if (justification === undefined) return undefined;
    return justification !== null && anyOf.includes(justification.code) && !(requireTicket === true && justification.ticket === undefined);
  },
};

/** A recorded context is judged by the pairs that the test knows it was made from. */
function labelsOf(context: GrantRequest['context']): Map<string, string> | undefined {
  if (context instanceof RecordedContext) throw new Error('The reference evaluator judges plain contexts.');
  return context && new Map(Object.entries(context));
}

/** 32 or 128 digits 0 and 1. */
function bitsOf(address: string): string | undefined {
  if (/^(0|[1-9]\d*)(\.(0|[1-9]\d*)){3}$/.test(address)) return bits(address.split('.').map(Number), 8);
  if (!/^[0-9a-fA-F:.]+$/.test(address) || !address.includes(':')) return undefined;
  const [head = '', tail] = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) => `${hex(a, b)}:${hex(c, d)}`).split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':'));
  const gap = tail === undefined ? [] : Array<string>(8 - groups(head).length - groups(tail).length).fill('0');
  const six = bits(
    [...groups(head), ...gap, ...groups(tail ?? '')].map((group) => Number.parseInt(group, 16)),
    16,
  );
  return six.startsWith('0'.repeat(80) + '1'.repeat(16)) ? six.slice(96) : six;
}
const bits = (numbers: number[], width: number): string => numbers.map((number) => number.toString(2).padStart(width, '0')).join('');
const hex = (high: string, low: string): string => (Number(high) * 256 + Number(low)).toString(16);

/** One condition, if it is stated. */
export function judge(name: ConditionName, conditions: Conditions, request: GrantRequest): Verdict {
  const verdict = (JUDGES[name] as (asked: unknown, asking: GrantRequest) => boolean | undefined)(conditions[name], request);
  return verdict === undefined ? 'U' : verdict ? 'T' : 'F';
}

export const statedNames = (conditions: Conditions | undefined): ConditionName[] => Object.keys(conditions ?? {}) as ConditionName[];

function and(conditions: Conditions, request: GrantRequest): Verdict {
  const all = statedNames(conditions).map((name) => judge(name, conditions, request));
  return all.includes('F') ? 'F' : all.includes('U') ? 'U' : 'T';
}

/** The grants and guardrails that name this subject, operation and key, whatever their conditions. */
export function concerning({ document }: TenantPolicy, { subject, operation, keyId, aliases, tags }: GrantRequest) {
  const names = [
    '*',
    ...(keyId === undefined ? [] : [keyId]),
    ...aliases,
    ...Object.keys(tags).flatMap((name) => (name.includes('=') ? [] : [`tag:${name}=${tags[name]}`])),
  ];
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

const isCaller = ({ subject }: GrantRequest): boolean => /^(svc|wl):/.test(subject);

/** What the policy says, the slow and obvious way. `validUntil` is not judged here. */
export function referenceDecision(policy: TenantPolicy, request: GrantRequest): Omit<GrantDecision, 'validUntil'> {
  if (!isCaller(request)) return { grant: undefined, limited: [], guardrail: undefined, stop: undefined };
  const { grants, guardrails } = concerning(policy, request);
  const allowing = grants.filter((rule) => applies(rule, 'allow', request));
  const unlimited = allowing.filter((rule: RuleText) => rule.limits === undefined);
  const { subject, keyId, context } = request;
  const stopped = policy.stops.find(({ target }) => {
    if (target.scope === 'everything') return true;
    if (target.scope === 'service') return subject === `svc:${target.service}`;
    if (target.scope === 'key') return keyId === target.keyId;
    return labelsOf(context) === undefined || labelsOf(context)?.get(target.name) === target.value;
  });
  return {
    grant: [...unlimited, ...allowing][0]?.id,
    lease: [...unlimited, ...allowing][0]?.lease,
    limited: unlimited.length > 0 ? [] : allowing.map(({ id, limits, lease }) => ({ ruleId: id, limits: limits!, lease })),
    guardrail: guardrails.find((rule) => applies(rule, 'deny', request))?.id,
    stop: stopped?.stopId,
  };
}

function applies(rule: RuleText, effect: 'allow' | 'deny', request: GrantRequest): boolean {
  const when = and(rule.when ?? {}, request);
  const unless = statedNames(rule.unless).length === 0 ? 'F' : and(rule.unless!, request);
  return effect === 'allow' ? when === 'T' && unless === 'F' : when !== 'F' && unless !== 'T';
}

/** How each rule that concerns the request took it. */
export function referenceVerdicts(policy: TenantPolicy, request: GrantRequest): RuleVerdict[] {
  if (!isCaller(request)) return [];
  const words = { T: 'true', F: 'false', U: 'unknown' } as const;
  const verdict = (rule: RuleText, effect: 'allow' | 'deny'): RuleVerdict => ({
    ruleId: rule.id,
    effect,
    applies: applies(rule, effect, request),
    conditions: (['when', 'unless'] as const).flatMap((place) =>
      statedNames(rule[place]).map((condition) => ({ in: place, condition, truth: words[judge(condition, rule[place]!, request)] })),
    ),
  });
  const { grants, guardrails } = concerning(policy, request);
  return [...grants.map((rule) => verdict(rule, 'allow')), ...guardrails.map((rule) => verdict(rule, 'deny'))];
}
