import { keyId, type PolicyDocument, policyDocument, stopId, tenantId } from '#contract';
import { type GrantRequest, NO_DECISION, RecordedContext, type TenantPolicy } from '#core';
import { CasbinGrants } from './casbin-grants.js';
import { readModel } from './model.js';

const acme = tenantId.parse('acme');
const request: GrantRequest = {
  subject: 'svc:billing',
  operation: 'Encrypt',
  keyId: keyId.parse('key_00000000000000000000000001'),
  aliases: [],
  tags: {},
  context: { purpose: 'invoice' },
  at: Date.parse('2026-03-02T12:00:00Z'),
  sourceAddress: '10.20.0.5',
  authMethod: 'api-key',
  justification: { code: 'ISV_INCIDENT' },
};
const grant = { id: 'all', subjects: ['svc:billing'], objects: ['*'], operations: ['@all'] };
const schema = 'keyward.policy/1';
const empty = { schema, roles: {}, grants: [], guardrails: [] };

/** As a database could hold it that somebody has written to: no type protects us here. */
const stored = (document: unknown, stops: unknown = []): TenantPolicy => ({ tenant: acme, document, stops }) as TenantPolicy;
const withGrant = (changes: object) => ({ ...empty, grants: [{ ...grant, ...changes }] });
const withGuardrail = (changes: object) => ({ ...empty, grants: [grant], guardrails: [{ ...grant, id: 'no', ...changes }] });
const parsed = (json: string): unknown => JSON.parse(json);

const NOT_A_POLICY: readonly (readonly [string, unknown, unknown?])[] = [
  ['null', null],
  ['a text', 'p, all, svc:billing, acme, *, @all, c, allow'],
  ['a list', [grant]],
  ['no rules', { schema }],
  ['another schema', { ...withGrant({}), schema: 'keyward.policy/9' }],
  ['an unknown field', { ...withGrant({}), mode: 'permissive' }],
  ['rules that are no list', { ...empty, grants: { ...grant } }],
  ['a rule that is nothing', { ...empty, grants: [null] }],
  ['an effect', withGrant({ eft: 'allow' })],
  ['a guardrail with the effect of a grant', withGuardrail({ effect: 'allow', eft: 'allow' })],
  ['a condition in the wrong place', withGrant({ sourceCidr: ['10.0.0.0/8'] })],
  ['a tenant', withGrant({ dom: 'globex' })],
  ['a star among the subjects', withGrant({ subjects: ['*'] })],
  ['a subject with two meanings', withGrant({ subjects: ['svc:billing, allow\np, x'] })],
  ['a text in the place of a list', withGrant({ subjects: 'svc:billing' })],
  ['no subjects', { ...empty, grants: [{ id: 'all', objects: ['*'], operations: ['@all'] }] }],
  ['an id that closes a bracket', withGrant({ id: 'all) || (true' })],
  ['an empty id', withGrant({ id: '' })],
  ['an id that is a number', withGrant({ id: 7 })],
  ['an id that looks like a stop', withGrant({ id: 'stop_00000000000000000000000001' })],
  ['two rules of one id', { ...empty, grants: [grant, { ...grant, limits: { perDay: 1 } }] }],
  ['a grant and a guardrail of one id', { ...withGuardrail({ id: 'all', objects: ['alias/elsewhere'] }) }],
  ['a pattern', withGrant({ objects: ['alias/(a+)+$'] })],
  ['a huge alias prefix', withGrant({ objects: [`alias/${'a'.repeat(100_000)}*`, '*'] })],
  ['an operation of nobody', withGrant({ operations: ['@all', 'Deny'] })],
  ['an unknown role', withGrant({ subjects: ['svc:billing', 'role:constructor'] })],
  [
    'a role called __proto__',
    parsed(`{"schema":"${schema}","roles":{"__proto__":["svc:billing"]},"grants":[${JSON.stringify(grant)}],"guardrails":[]}`),
  ],
  ['members that are no list', { ...withGrant({}), roles: { readers: 'svc:billing' } }],
  ['a role among members', { ...withGrant({}), roles: { readers: ['role:readers'] } }],
  ['limits of nothing', withGrant({ limits: {} })],
  ['a limit of no number', withGrant({ limits: { perMinute: '1e9' } })],
  ['a limit of another time', withGrant({ limits: { perMinute: 1, perHour: 1 } })],
  ['more than 500 rules', { ...empty, grants: Array.from({ length: 501 }, (_, n) => ({ ...grant, id: `rule-${n}` })) }],
  [
    'more than 32 KiB',
    { ...empty, grants: Array.from({ length: 100 }, (_, n) => ({ ...grant, id: `rule-${n}`, description: 'x'.repeat(500) })) },
  ],
  ['stops that are no list', withGrant({}), null],
  ['a stop that is nothing', withGrant({}), [null]],
];

/** Each makes a grant idle and a guardrail speak. */
const UNREADABLE: readonly (readonly [string, unknown])[] = [
  ['null', null],
  ['true', true],
  ['a number', 0],
  ['a text', 'always'],
  ['an empty list', []],
  ['a label called __proto__', parsed('{"encryptionContextSubset":{"__proto__":"x"}}')],
  ['a label without a text', { encryptionContextSubset: { purpose: null } }],
  ['a label with no values', { encryptionContextSubset: { purpose: [] } }],
  ['labels that are a list', { encryptionContextEquals: [] }],
  ['no labels', { encryptionContextSubset: {} }],
  ['nine labels', { encryptionContextSubset: Object.fromEntries('abcdefghi'.split('').map((name) => [name, 'x'])) }],
  ['a time that is a number', { notBefore: 0 }],
  ['a time that is none', { notBefore: 'always' }],
  ['a year', { notBefore: '2020' }],
  ['a condition that is null', { notAfter: null }],
  ['an unknown zone', { weekly: { tz: 'Europe/Nowhere', days: ['mon'], from: '00:00', to: '24:00' } }],
  ['an offset as a zone', { weekly: { tz: '+01:00', days: ['mon'], from: '00:00', to: '24:00' } }],
  ['no days', { weekly: { tz: 'UTC', days: [], from: '00:00', to: '24:00' } }],
  ['a window over midnight', { weekly: { tz: 'UTC', days: ['mon'], from: '22:00', to: '06:00' } }],
  ['a window with more to it', { weekly: { tz: 'UTC', days: ['mon'], from: '00:00', to: '24:00', weeks: 'even' } }],
  ['/33', { sourceCidr: ['10.20.0.0/33'] }],
  ['/0', { sourceCidr: ['0.0.0.0/0'] }],
  ['a bad network beside a good one', { sourceCidr: ['10.20.0.0/16', '10.20.0'] }],
  ['IPv4-mapped networks', { sourceCidr: ['::ffff:10.20.0.0/112'] }],
  ['IPv4-mapped networks, written out', { sourceCidr: ['0:0:0:0:0:ffff:a14:0/112'] }],
  ['an unknown method', { authMethod: ['api-key', 'none'] }],
  ['an unknown reason', { justification: { anyOf: ['ISV_INCIDENT', 'BECAUSE'] } }],
  ['a ticket of a kind', { justification: { anyOf: ['ISV_INCIDENT'], requireTicket: 'no' } }],
  ['a condition that is true and one that nobody knows', { notBefore: '2020-01-01T00:00:00Z', attested: ['sha384'] }],
];

describe('a policy that nobody could have published', () => {
  const faults: unknown[] = [];
  const grants = new CasbinGrants(readModel('policies/model.conf'), (error) => faults.push(error));
  beforeEach(() => faults.splice(0));

  it('is told from one that could (the positive control of all that follows)', () => {
    expect(grants.compile(stored(withGrant({}))).decide(request).grant).toBe('all');
    expect(grants.compile(stored(withGuardrail({}))).decide(request).guardrail).toBe('no');
    expect(faults).toEqual([]);
  });

  it.each(NOT_A_POLICY)('allows nothing, throws nothing and says so: %s', (_, document, ...[stops]) => {
    const compiled = grants.compile(stored(document, stops === undefined ? [] : stops));
    expect(compiled.decide(request)).toEqual(NO_DECISION);
    expect(compiled.couldAllow(request)).toBe(false);
    expect(compiled.explain(request)).toEqual([]);
    expect(faults).toHaveLength(1);
  });

  it.each(UNREADABLE)('satisfies no grant and lifts no guardrail by conditions that are %s', (_, conditions) => {
    for (const place of ['when', 'unless']) {
      expect(grants.compile(stored(withGrant({ [place]: conditions }))).decide(request).grant).toBeUndefined();
      expect(grants.compile(stored(withGuardrail({ [place]: conditions }))).decide(request).guardrail).toBe('no');
    }
    expect(faults).toEqual([]);
  });

  it('stops everything by a stop whose size it does not know', () => {
    const stop = { stopId: stopId.parse('stop_00000000000000000000000001'), target: { scope: 'region', region: 'eu' } };
    expect(grants.compile(stored(withGrant({}), [stop])).decide(request).stop).toBe(stop.stopId);
    const nameless = { ...stop, target: { scope: 'service' } };
    expect(grants.compile(stored(withGrant({}), [nameless])).decide(request).stop).toBe(stop.stopId);
  });

  it('is judged to the end if it is as large as can be', () => {
    // What the 32 KiB of a document have room for.
    const rules = Array.from({ length: 190 }, (_, n) => ({ ...grant, id: `r${n}`, when: { notAfter: '2020-01-01T00:00:00Z' } }));
    const guardrails = rules.map((rule) => ({ ...rule, id: `g${rule.id}` }));
    const document = { ...empty, grants: [...rules.slice(1), grant], guardrails };
    expect(grants.compile(stored(document)).decide(request)).toMatchObject({ grant: 'all', guardrail: undefined });
    const stopped = { ...document, guardrails: [...guardrails.slice(1), { ...grant, id: 'last' }] };
    expect(grants.compile(stored(stopped)).decide(request)).toMatchObject({ grant: 'all', guardrail: 'last' });
  });
});

describe('a request that nobody could have sent', () => {
  const document: PolicyDocument = policyDocument.parse({
    schema,
    grants: [{ ...grant, when: { encryptionContextSubset: { purpose: 'invoice' } } }],
    guardrails: [{ ...grant, id: 'office', when: { weekly: { tz: 'UTC', days: ['sun'], from: '00:00', to: '24:00' } } }],
  });
  const faults: unknown[] = [];
  const compiled = new CasbinGrants(readModel('policies/model.conf'), (error) => faults.push(String(error))).compile(stored(document));
  beforeEach(() => faults.splice(0));

  it('allows nothing by a condition that throws', () => {
    const context = new RecordedContext(1, () => {
      throw new Error('poison');
    });
    expect(compiled.decide({ ...request, context: new RecordedContext(1, () => true) }).grant).toBe('all');
    expect(compiled.decide({ ...request, context })).toEqual(NO_DECISION);
    expect(compiled.explain({ ...request, context })).toEqual([]);
    expect(compiled.couldAllow({ ...request, context })).toBe(false);
    expect(faults).toEqual(Array(3).fill('Error: poison'));
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, 8.64e15 + 1])('has no day of the week at %p', (at) => {
    expect(compiled.decide({ ...request, at })).toMatchObject({ grant: 'all', guardrail: 'office' });
    expect(faults).toEqual([]);
  });

  it('finds no label of a plain context by the names of a recorded one', () => {
    expect(compiled.decide({ ...request, context: { size: '1', has: 'x' } }).grant).toBeUndefined();
    expect(compiled.decide({ ...request, context: { size: '1', purpose: 'invoice' } }).grant).toBe('all');
  });
});
