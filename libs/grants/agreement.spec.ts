import fc from 'fast-check';
import { alias, type Conditions, DATA_OPERATIONS, keyId, policyDocument, stopId, tenantId } from '#contract';
import type { GrantDecision, GrantRequest, TenantPolicy } from '#core';
import { CasbinGrants } from './casbin-grants.js';
import { readModel } from './model.js';
import { concerning, judge, referenceDecision } from './reference-evaluator.js';

const seed = Number(process.env['KEYWARD_TEST_SEED'] ?? Date.now() % 2 ** 31);
const POLICIES = 640;
const REQUESTS_EACH = 50;

const KEYS = ['1', '2', '3'].map((n) => keyId.parse(`key_${n.padStart(26, '0')}`));
const ALIASES = ['alias/a', 'alias/a/b', 'alias/ab', 'alias/c'].map((name) => alias.parse(name));
const SERVICES = ['svc:billing', 'svc:search', 'wl:prod/backup'];
const LABELS = ['purpose', 'region', 'constructor'];
const VALUES = ['x', 'y', ''];
/** Ten instants a day apart; conditions and clocks share them, so that edges are hit. */
const DAY = 86_400_000;
const START = Date.UTC(2026, 2, 1);
const instant = fc.integer({ min: 0, max: 9 }).map((day) => START + day * DAY);

const someOf = <T>(items: readonly T[], minLength = 1) => fc.uniqueArray(fc.constantFrom(...items), { minLength, maxLength: 3 });
const labels = fc.dictionary(fc.constantFrom(...LABELS), fc.constantFrom(...VALUES), { maxKeys: 2 });
const time = instant.map((at) => new Date(at).toISOString());
const conditions = fc.record(
  {
    encryptionContextEquals: labels,
    encryptionContextSubset: fc.dictionary(fc.constantFrom(...LABELS), fc.oneof(fc.constantFrom(...VALUES), someOf(VALUES)), {
      minKeys: 1,
      maxKeys: 2,
    }),
    notBefore: time,
    notAfter: time,
  },
  { requiredKeys: [] },
);
const rule = (subjects: readonly string[]) =>
  fc.record(
    {
      subjects: someOf(subjects),
      objects: someOf(['*', ...KEYS, 'alias/a', 'alias/a*', 'alias/c*', 'tag:class=pii']),
      operations: someOf([...DATA_OPERATIONS, '@read', '@write', '@all', '@all']),
      when: conditions,
      unless: conditions,
    },
    { requiredKeys: ['subjects', 'objects', 'operations'] },
  );
const roles = fc.record({ r1: someOf(SERVICES, 0), r2: someOf(SERVICES, 0) });
const NAMED = [...SERVICES, 'role:r1', 'role:r2'];
const target = fc.oneof(
  { weight: 1, arbitrary: fc.constant({ scope: 'everything' as const }) },
  { weight: 2, arbitrary: fc.record({ scope: fc.constant('service' as const), service: fc.constantFrom('billing', 'search') }) },
  { weight: 2, arbitrary: fc.record({ scope: fc.constant('key' as const), keyId: fc.constantFrom(...KEYS) }) },
  {
    weight: 4,
    arbitrary: fc.record({ scope: fc.constant('context' as const), name: fc.constantFrom(...LABELS), value: fc.constantFrom(...VALUES) }),
  },
);
const policies: fc.Arbitrary<TenantPolicy> = fc
  .record({
    roles,
    grants: fc.array(rule(NAMED), { minLength: 8, maxLength: 14 }),
    guardrails: fc.array(rule([...NAMED, '*']), { maxLength: 2 }),
    targets: fc.array(target, { maxLength: 1 }),
  })
  .map(({ roles, grants, guardrails, targets }) => ({
    tenant: tenantId.parse('acme'),
    document: policyDocument.parse({
      schema: 'keyward.policy/1',
      roles,
      grants: grants.map((grant, index) => ({ id: `grant-${index}`, ...grant })),
      guardrails: guardrails.map((guardrail, index) => ({ id: `guardrail-${index}`, ...guardrail })),
    }),
    stops: targets.map((one, index) => ({ stopId: stopId.parse(`stop_${String(index).padStart(26, '0')}`), target: one })),
  }));
const requests: fc.Arbitrary<GrantRequest> = fc.record({
  subject: fc.constantFrom(...SERVICES, ...SERVICES, ...SERVICES, 'svc:stranger', 'role:r1'),
  operation: fc.constantFrom(...DATA_OPERATIONS),
  keyId: fc.constantFrom(...KEYS),
  aliases: someOf(ALIASES, 0),
  tags: fc.constantFrom({}, { class: 'pii' }, { class: 'pii', owner: 'x' }, { owner: 'x' }),
  context: fc.option(labels, { nil: undefined, freq: 6 }),
  at: fc.oneof(
    { weight: 12, arbitrary: instant },
    { weight: 2, arbitrary: instant.map((at) => at + 1) },
    { weight: 1, arbitrary: fc.constant(Number.NaN) },
  ),
});

const allows = ({ grant, guardrail, stop }: Omit<GrantDecision, 'validUntil'>) =>
  grant !== undefined && guardrail === undefined && stop === undefined;
const rulesThatSpoke = ({ grant, guardrail, stop }: GrantDecision) => ({ grant, guardrail, stop });

describe('Casbin and the reference evaluator', () => {
  const faults: unknown[] = [];
  const grants = new CasbinGrants(readModel('policies/model.conf'), (error) => faults.push(error));

  it('agree on each of 32,000 random decisions, a fifth of them allowed', () => {
    const truths = new Map<string, number>();
    let decisions = 0;
    let allowed = 0;
    const check = (policy: TenantPolicy, asked: readonly GrantRequest[]) => {
      const compiled = grants.compile(policy);
      for (const request of asked) {
        const decision = compiled.decide(request);
        expect(rulesThatSpoke(decision)).toEqual(referenceDecision(policy, request));
        decisions += 1;
        if (allows(decision)) allowed += 1;
        countTruths(truths, policy, request);
      }
    };
    fc.assert(fc.property(policies, fc.array(requests, { minLength: REQUESTS_EACH, maxLength: REQUESTS_EACH }), check), {
      seed,
      numRuns: POLICIES,
    });
    const rare = Object.fromEntries([...truths].filter(([, count]) => count < 500));
    expect({ seed, kinds: truths.size, rare }).toEqual({ seed, kinds: 12, rare: {} });
    expect(decisions).toBeGreaterThanOrEqual(30_000);
    expect(allowed / decisions).toBeGreaterThanOrEqual(0.2);
  }, 180_000);

  it('do not depend on the order of the rules', () => {
    const backwards = (policy: TenantPolicy): TenantPolicy => ({
      ...policy,
      document: policy.document && {
        ...policy.document,
        grants: policy.document.grants.toReversed(),
        guardrails: policy.document.guardrails.toReversed(),
      },
    });
    const check = (policy: TenantPolicy, request: GrantRequest) =>
      expect(allows(grants.compile(backwards(policy)).decide(request))).toBe(allows(grants.compile(policy).decide(request)));
    fc.assert(fc.property(policies, requests, check), { seed, numRuns: 2_000 });
  });

  it('hold until validUntil, and for good without one', () => {
    const check = (policy: TenantPolicy, request: GrantRequest) => {
      fc.pre(!Number.isNaN(request.at));
      const compiled = grants.compile(policy);
      const now = compiled.decide(request);
      expect(now.validUntil ?? request.at).toBeGreaterThanOrEqual(request.at);
      const last = now.validUntil ?? START + 1_000 * DAY;
      for (const at of [last, Math.floor((request.at + last) / 2)])
        expect(rulesThatSpoke(compiled.decide({ ...request, at }))).toEqual(rulesThatSpoke(now));
    };
    fc.assert(fc.property(policies, requests, check), { seed, numRuns: 4_000 });
  });

  it('needed no failing closed but for callers that are neither service nor workload', () => {
    expect(faults.filter((error) => !/A subject is svc:name/.test(String(error)))).toEqual([]);
  });
});

/** How often each condition of a rule that concerned the request was true, false and unknown: agreement on idle rules would prove nothing. */
function countTruths(truths: Map<string, number>, policy: TenantPolicy, request: GrantRequest): void {
  const { grants, guardrails } = concerning(policy, request);
  const stated: (Conditions | undefined)[] = [...grants, ...guardrails].flatMap(({ when, unless }) => [when, unless]);
  for (const conditions of stated)
    for (const name of ['encryptionContextEquals', 'encryptionContextSubset', 'notBefore', 'notAfter'] as const)
      if (conditions?.[name] !== undefined) {
        const fact = `${name} is ${judge({ [name]: conditions[name] }, request).join()}`;
        truths.set(fact, (truths.get(fact) ?? 0) + 1);
      }
}
