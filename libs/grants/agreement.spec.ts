import fc from 'fast-check';
import { CONDITION_NAMES, type Conditions } from '#contract';
import { type GrantDecision, type GrantRequest, RecordedContext, type TenantPolicy } from '#core';
import { CasbinGrants } from './casbin-grants.js';
import { readModel } from './model.js';
import { DAY_MS, policies, requests, START } from './test/random-policies.js';
import { concerning, judge, referenceDecision, referenceVerdicts, statedNames } from './test/reference-evaluator.js';

const seed = Number(process.env['KEYWARD_TEST_SEED'] ?? Date.now() % 2 ** 31);
const POLICIES = 640;
const REQUESTS_EACH = 50;
const NOT_A_CALLER = /A subject is svc:name/;

const allows = ({ grant, guardrail, stop }: Omit<GrantDecision, 'validUntil'>) =>
  grant !== undefined && guardrail === undefined && stop === undefined;
const withoutTime = ({ validUntil: _, ...rest }: GrantDecision) => rest;

/** The request as a record tells it: its context by digests. */
function recorded(request: GrantRequest): GrantRequest {
  if (request.context === undefined || request.context instanceof RecordedContext) return request;
  const digests = new Set(Object.entries(request.context).map((pair) => JSON.stringify(pair)));
  return { ...request, context: new RecordedContext(digests.size, (name, value) => digests.has(JSON.stringify([name, value]))) };
}

describe(`Casbin and the reference evaluator (KEYWARD_TEST_SEED=${seed})`, () => {
  const faults: unknown[] = [];
  const grants = new CasbinGrants(readModel('policies/model.conf'), (error) => faults.push(error));

  it('agree on each of 32,000 random decisions, a fifth of them allowed', () => {
    const truths = new Map<string, number>();
    let [decisions, allowed, limited] = [0, 0, 0];
    const check = (policy: TenantPolicy, asked: readonly GrantRequest[]) => {
      const compiled = grants.compile(policy);
      for (const request of asked) {
        const decision = compiled.decide(decisions % 3 === 0 ? recorded(request) : request);
        expect(withoutTime(decision)).toEqual(referenceDecision(policy, request));
        decisions += 1;
        if (allows(decision)) allowed += 1;
        if (decision.limited.length > 0) limited += 1;
        countTruths(truths, policy, request);
      }
    };
    fc.assert(fc.property(policies, fc.array(requests, { minLength: REQUESTS_EACH, maxLength: REQUESTS_EACH }), check), {
      seed,
      numRuns: POLICIES,
    });
    const rare = Object.fromEntries([...truths].filter(([, count]) => count < 500));
    expect({ kinds: truths.size, rare }).toEqual({ kinds: 3 * CONDITION_NAMES.length, rare: {} });
    expect(decisions).toBeGreaterThanOrEqual(30_000);
    expect(allowed / decisions).toBeGreaterThanOrEqual(0.2);
    expect(limited).toBeGreaterThanOrEqual(500);
  }, 180_000);

  it('tell of each rule and condition the same', () => {
    const check = (policy: TenantPolicy, request: GrantRequest) =>
      expect(grants.compile(policy).explain(request)).toEqual(referenceVerdicts(policy, request));
    fc.assert(fc.property(policies, requests, check), { seed, numRuns: 1_500 });
  });

  it('do not depend on the order of the rules', () => {
    const backwards = (policy: TenantPolicy): TenantPolicy => ({
      ...policy,
      document: policy.document && {
        ...policy.document,
        grants: policy.document.grants.toReversed(),
        guardrails: policy.document.guardrails.toReversed(),
      },
      stops: policy.stops.toReversed(),
    });
    const check = (policy: TenantPolicy, request: GrantRequest) => {
      const [there, back] = [policy, backwards(policy)].map((one) => grants.compile(one).decide(request));
      expect(allows(back!)).toBe(allows(there!));
      expect(back!.limited.toReversed()).toEqual(there!.limited);
      expect(back!.validUntil).toBe(there!.validUntil);
    };
    fc.assert(fc.property(policies, requests, check), { seed, numRuns: 2_000 });
  });

  it('hold until validUntil, and for good without one', () => {
    let [bounded, changed] = [0, 0];
    const check = (policy: TenantPolicy, request: GrantRequest) => {
      fc.pre(!Number.isNaN(request.at));
      const compiled = grants.compile(policy);
      const decided = (at: number) => withoutTime(compiled.decide({ ...request, at }));
      const now = compiled.decide(request);
      expect(now.validUntil ?? request.at).toBeGreaterThanOrEqual(request.at);
      const last = now.validUntil ?? START + 1_000 * DAY_MS;
      for (const at of [last, Math.floor((request.at + last) / 2)]) expect(decided(at)).toEqual(withoutTime(now));
      if (now.validUntil === undefined) return;
      bounded += 1;
      if (JSON.stringify(decided(last + 1)) !== JSON.stringify(withoutTime(now))) changed += 1;
    };
    fc.assert(fc.property(policies, requests, check), { seed, numRuns: 3_000 });
    // The positive control: these answers do end, and not all of them in vain.
    expect({ bounded: bounded > 300, changed: changed > 30 }).toEqual({ bounded: true, changed: true });
  });

  it('never call impossible what is allowed, also once more is known', () => {
    let [possible, impossible] = [0, 0];
    const check = (policy: TenantPolicy, request: GrantRequest, known: GrantRequest) => {
      const compiled = grants.compile(policy);
      const could = compiled.couldAllow(request);
      const learnt: GrantRequest = {
        ...request,
        context: request.context ?? known.context,
        at: Number.isNaN(request.at) ? known.at : request.at,
        sourceAddress: request.sourceAddress ?? known.sourceAddress,
        authMethod: request.authMethod ?? known.authMethod,
        justification: request.justification === undefined ? known.justification : request.justification,
      };
      for (const one of [request, learnt, recorded(request)]) if (allows(compiled.decide(one))) expect(could).toBe(true);
      if (could) possible += 1;
      else impossible += 1;
    };
    fc.assert(fc.property(policies, requests, requests, check), { seed, numRuns: 3_000 });
    expect({ possible: possible > 500, impossible: impossible > 500 }).toEqual({ possible: true, impossible: true });
  });

  it('needed no failing closed but for callers that are neither service nor workload', () => {
    expect(faults.filter((error) => !NOT_A_CALLER.test(String(error)))).toEqual([]);
  });
});

/** How often each condition of a rule that concerned the request was true, false and unknown: agreement on idle rules would prove nothing. */
function countTruths(truths: Map<string, number>, policy: TenantPolicy, request: GrantRequest): void {
  const { grants, guardrails } = concerning(policy, request);
  const stated: (Conditions | undefined)[] = [...grants, ...guardrails].flatMap(({ when, unless }) => [when, unless]);
  for (const conditions of stated)
    for (const name of statedNames(conditions)) {
      const fact = `${name} is ${judge(name, conditions!, request)}`;
      truths.set(fact, (truths.get(fact) ?? 0) + 1);
    }
}
