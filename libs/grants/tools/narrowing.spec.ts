import fc from 'fast-check';
import { alias, type Conditions, DATA_OPERATIONS, type Grant, keyId, type PolicyDocument, policyDocument, tenantId } from '#contract';
import { canonicalJson, type GrantDecision, type GrantRequest } from '#core';
import { CasbinGrants } from '../casbin-grants.js';
import { readModel } from '../model.js';
import { allowsNoMore } from './coverage.js';
import { policyTools } from './index.js';

const seed = Number(process.env['KEYWARD_TEST_SEED'] ?? Date.now() % 2 ** 31);
const PAIRS = 1_500;
const REQUESTS_EACH = 40;

const KEYS = ['1', '2'].map((n) => keyId.parse(`key_${n.padStart(26, '0')}`));
const SERVICES = ['svc:billing', 'svc:search', 'wl:prod/backup'];
const SUBJECTS = [...SERVICES, 'role:r1', 'role:r2'];
const OBJECTS = ['*', '*', ...KEYS, 'alias/a', 'alias/a*', 'alias/a/*', 'alias/c*', 'tag:class=pii'];
/** Of each kind one or two, so that what is asked often meets what is granted: read, written, leased, and in no collective name but `@all`. */
const ASKED = ['Encrypt', 'Decrypt', 'GenerateDataKey', 'ReEncryptFrom', 'Sign', 'Verify', 'GenerateRandom'] as const;
const OPERATIONS = [...ASKED, '@read', '@write', '@all', '@all'] as const;
const LABELS = ['purpose', 'region'];
const VALUES = ['x', 'y'];
const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri'] as const;
const NETWORKS = ['10.0.0.0/8', '10.20.0.0/16', '10.20.0.5', '192.0.2.0/24', '2001:db8::/32', '2001:db8:1::/48'];
const ADDRESSES = ['10.20.0.5', '10.20.0.6', '10.1.0.1', '192.0.2.9', '2001:db8:1::1', '2001:db8:2::1', '::1', undefined];
const REASONS = ['ISV_INCIDENT', 'CUSTOMER_INITIATED_SUPPORT'] as const;
const START = Date.UTC(2026, 2, 2);
const DAY = 86_400_000;

const some = <T>(items: readonly T[], minLength = 1) => fc.uniqueArray(fc.constantFrom(...items), { minLength, maxLength: 3 });
const time = fc.integer({ min: 0, max: 6 }).map((day) => new Date(START + day * DAY).toISOString());
const conditions: fc.Arbitrary<Conditions> = fc
  .record({
    encryptionContextEquals: fc.dictionary(fc.constantFrom(...LABELS), fc.constantFrom(...VALUES), { maxKeys: 2 }),
    encryptionContextSubset: fc.dictionary(fc.constantFrom(...LABELS), fc.oneof(fc.constantFrom(...VALUES), some(VALUES)), {
      minKeys: 1,
      maxKeys: 2,
    }),
    notBefore: time,
    notAfter: time,
    weekly: fc.record({
      tz: fc.constantFrom('Europe/Berlin', 'UTC'),
      days: some(DAYS),
      from: fc.constantFrom('00:00', '08:00'),
      to: fc.constantFrom('12:00', '24:00'),
    }),
    sourceCidr: some(NETWORKS),
    authMethod: some(['api-key', 'private-key-jwt'] as const),
    justification: fc.record({ anyOf: some(REASONS), requireTicket: fc.boolean() }),
  })
  .chain((all) => fc.subarray(Object.entries(all), { maxLength: 2 }).map((chosen) => Object.fromEntries(chosen) as Conditions));
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const rule = (subjects: readonly string[]) =>
  fc.record({
    subjects: some(subjects),
    objects: some(OBJECTS),
    operations: some(OPERATIONS),
    when: maybe(conditions),
    unless: maybe(conditions),
  });
const limits = fc.record(
  { perMinute: fc.integer({ min: 1, max: 3 }), perDay: fc.integer({ min: 1, max: 3 }) },
  { requiredKeys: ['perDay'] },
);
const lease = fc.record(
  { maxAgeSeconds: fc.constantFrom(10, 60), maxUses: fc.integer({ min: 1, max: 2 }) },
  { requiredKeys: ['maxAgeSeconds'] },
);
const grants = fc
  .tuple(rule(SUBJECTS), fc.option(limits, { nil: undefined, freq: 3 }), fc.option(lease, { nil: undefined, freq: 2 }))
  .map(([one, limited, held]) => ({ ...one, limits: limited, lease: held }));
const base = fc
  .record({ r1: some(SERVICES, 0), r2: some(SERVICES, 0) })
  .chain((roles) =>
    fc.tuple(fc.constant(roles), fc.array(grants, { minLength: 3, maxLength: 6 }), fc.array(rule([...SUBJECTS, '*']), { maxLength: 2 })),
  )
  .map(([roles, allow, deny]) =>
    documentOf({
      roles,
      grants: allow.map((one, index) => ({ id: `grant-${index}`, ...one })) as Grant[],
      guardrails: deny.map((one, index) => ({ id: `no-${index}`, ...one })) as Grant[],
    }),
  );
const documentOf = (parts: object): PolicyDocument =>
  policyDocument.parse(JSON.parse(JSON.stringify({ schema: 'keyward.policy/1', ...parts })));

/** Each step may leave things as they are; most make a policy smaller, and read backwards they make it larger. */
type Edit = (document: PolicyDocument, at: number, other: Conditions) => Partial<PolicyDocument>;
const nth = <T>(items: readonly T[], at: number) => items[at % Math.max(1, items.length)];
const onGrant =
  (change: (grant: Grant, at: number, other: Conditions) => Partial<Grant>): Edit =>
  (document, at, other) => ({
    grants: document.grants.map((grant) => (grant === nth(document.grants, at) ? { ...grant, ...change(grant, at, other) } : grant)),
  });
const without = <T>(items: readonly T[], at: number) =>
  items.length > 1 ? items.filter((_, index) => index !== at % items.length) : [...items];
const EDITS: readonly Edit[] = [
  (document, at) => ({ grants: without(document.grants, at) }),
  onGrant((grant, at) => ({ subjects: without(grant.subjects, at) })),
  onGrant((grant, at) => ({ objects: without(grant.objects, at) })),
  onGrant((grant, at) => ({ operations: without(grant.operations, at) })),
  onGrant((grant, at) => ({
    objects: grant.objects.map((object) => (object === '*' ? nth(OBJECTS, at)! : object === 'alias/a*' ? 'alias/a/b*' : object)),
  })),
  onGrant((grant) => ({
    operations: grant.operations.map((operation) => (operation === '@all' ? '@read' : operation === '@read' ? 'Decrypt' : operation)),
  })),
  onGrant((grant, _at, other) => ({ when: { ...other, ...grant.when } })),
  onGrant((grant, _at, other) => ({ unless: grant.unless ?? other })),
  onGrant((grant) => ({ when: tightened(grant.when) })),
  onGrant((grant) => ({ limits: grant.limits ?? { perDay: 2 } })),
  onGrant((grant) => (grant.limits === undefined ? {} : { limits: { perMinute: 1, perDay: 1 } })),
  onGrant((grant) => ({ lease: grant.lease ?? { maxAgeSeconds: 60 } })),
  onGrant((grant) => ({ lease: { ...grant.lease, maxAgeSeconds: 10 } })),
  (document, at) => ({ roles: Object.fromEntries(Object.entries(document.roles).map(([name, members]) => [name, without(members, at)])) }),
  (document, _at, other) => ({
    guardrails: [
      ...document.guardrails,
      { id: `more-${document.guardrails.length}`, subjects: ['*'], objects: ['alias/a*'], operations: ['@read'], when: other },
    ],
  }),
  (document, at) => ({
    guardrails: document.guardrails.map((one) => ({ ...one, ...(at % 2 === 0 ? { unless: undefined } : { subjects: ['*'] }) })),
  }),
];
/** These leave things as they are in other words, or go either way. */
const OTHER_EDITS: readonly Edit[] = [
  (document, _at, other) => ({ guardrails: document.guardrails.map((one) => ({ ...one, when: { ...one.when, ...other } })) }),
  (document) => ({ grants: document.grants.toReversed() }),
  (document, at) => ({
    grants: document.grants.map((grant, index) => ({ ...grant, id: `grant-${(index + at) % document.grants.length}` })),
  }),
  onGrant((_grant, at) => ({ objects: [nth(OBJECTS, at)!] })),
  onGrant((_grant, _at, other) => ({ when: other })),
  onGrant((_grant, _at, other) => ({ unless: other })),
];
function tightened(when: Conditions | undefined): Conditions | undefined {
  if (when === undefined) return undefined;
  const { notAfter, sourceCidr, justification, weekly, encryptionContextSubset: subset } = when;
  return {
    ...when,
    ...(notAfter !== undefined && { notAfter: new Date(Date.parse(notAfter) - DAY).toISOString() }),
    ...(sourceCidr !== undefined && {
      sourceCidr: sourceCidr.map((one) => (one === '10.0.0.0/8' ? '10.20.0.0/16' : one)).filter((one, at, all) => all.indexOf(one) === at),
    }),
    ...(justification !== undefined && { justification: { ...justification, requireTicket: true } }),
    ...(weekly !== undefined && { weekly: { ...weekly, to: '11:00' } }),
    ...(subset !== undefined && {
      encryptionContextSubset: Object.fromEntries(Object.entries(subset).map(([name, value]) => [name, [value].flat()[0]!])),
    }),
  };
}

const step = fc.tuple(
  fc.oneof({ weight: 8, arbitrary: fc.constantFrom(...EDITS) }, { weight: 1, arbitrary: fc.constantFrom(...OTHER_EDITS) }),
  fc.nat(20),
  conditions,
);
const pairs = fc
  .tuple(base, fc.array(step, { minLength: 1, maxLength: 3 }), fc.nat(9))
  .map(([before, steps, way]) => {
    const after = steps.reduce((document, [edit, at, other]) => documentOf({ ...document, ...edit(document, at, other) }), before);
    return way < 5 ? { from: before, to: after } : { from: after, to: before };
  })
  .filter(({ from, to }) => canonicalJson(from) !== canonicalJson(to));
/** Whatever a key is called and tagged at the time of the call: aliases and tags move, and both policies see them moved. */
const requests: fc.Arbitrary<GrantRequest> = fc.record({
  subject: fc.constantFrom(...SERVICES),
  operation: fc.constantFrom(...ASKED),
  keyId: fc.constantFrom(...KEYS),
  aliases: some(
    ['alias/a', 'alias/a/b', 'alias/ab', 'alias/c'].map((name) => alias.parse(name)),
    0,
  ),
  tags: fc.constantFrom<Record<string, string>>({}, { class: 'pii' }, { owner: 'x' }),
  context: fc.option(fc.dictionary(fc.constantFrom(...LABELS), fc.constantFrom(...VALUES), { maxKeys: 2 }), { nil: undefined, freq: 6 }),
  at: fc.integer({ min: 0, max: 7 * 24 }).map((hour) => START + hour * 3_600_000),
  sourceAddress: fc.constantFrom(...ADDRESSES),
  authMethod: fc.constantFrom('api-key' as const, 'private-key-jwt' as const, undefined),
  justification: fc.constantFrom(null, undefined, ...REASONS.flatMap((code) => [{ code }, { code, ticket: 'T-1' }])),
});

const engine = new CasbinGrants(readModel('policies/model.conf'));
const compiled = (document: PolicyDocument) => engine.compile({ tenant: tenantId.parse('acme'), document, stops: [] });
const allowed = ({ grant, guardrail }: GrantDecision) => grant !== undefined && guardrail === undefined;
const atMost = (limit: number | undefined, other: number | undefined) => (limit ?? Infinity) <= (other ?? Infinity);

const heldLonger = (now: GrantDecision['lease'], was: GrantDecision['lease']) =>
  !atMost(now?.maxAgeSeconds ?? 300, was?.maxAgeSeconds ?? 300) || !atMost(now?.maxUses, was?.maxUses);

/** Is what `to` allows allowed by `from`, and counted by the same rule and no longer, and are its data keys held no longer? */
function newlyAllowed(from: GrantDecision, to: GrantDecision, operation: string): boolean {
  if (!allowed(to)) return false;
  if (!allowed(from)) return true;
  const leased = operation === 'Decrypt' || operation === 'GenerateDataKey';
  if (leased && from.limited.length === 0 && to.limited.length === 0 && heldLonger(to.lease, from.lease)) return true;
  if (from.limited.length === 0) return false;
  if (to.limited.length === 0) return true;
  return !to.limited.every(({ ruleId, limits: now }) =>
    from.limited.some(
      (was) => was.ruleId === ruleId && atMost(now.perMinute, was.limits.perMinute) && atMost(now.perDay, was.limits.perDay),
    ),
  );
}

function compare(noMore: typeof allowsNoMore, numRuns = PAIRS, of = seed) {
  const count = { compared: 0, narrowing: 0, widening: 0, same: 0, allowed: 0, stillAllowed: 0, newly: 0, newlyByWidening: 0 };
  const check = ({ from, to }: { from: PolicyDocument; to: PolicyDocument }, asked: readonly GrantRequest[]) => {
    const change = noMore(from, to) ? (noMore(to, from) ? 'same' : 'narrowing') : 'widening';
    count.compared += 1;
    count[change] += 1;
    const [old, now] = [compiled(from), compiled(to)];
    for (const request of asked) {
      const [before, after] = [old.decide(request), now.decide(request)];
      const more = newlyAllowed(before, after, request.operation);
      if (change === 'widening') count.newlyByWidening += more ? 1 : 0;
      else {
        count.newly += more ? 1 : 0;
        count.allowed += allowed(before) ? 1 : 0;
        count.stillAllowed += allowed(after) ? 1 : 0;
      }
    }
  };
  fc.assert(fc.property(pairs, fc.array(requests, { minLength: REQUESTS_EACH, maxLength: REQUESTS_EACH }), check), { seed: of, numRuns });
  return count;
}

describe('a change that is called narrowing', () => {
  it(`newly allows nothing, whatever is asked and however keys are called (seed ${seed})`, () => {
    const count = compare(allowsNoMore);
    process.stderr.write(`narrowing: seed ${seed}, ${JSON.stringify(count)}\n`);
    expect(count.newly).toBe(0);
    expect(count.narrowing / count.compared).toBeGreaterThanOrEqual(0.3);
    expect(count.widening / count.compared).toBeGreaterThanOrEqual(0.3);
    // The requests would have found it: many are allowed, many are refused since, and widening shows.
    expect(count.stillAllowed).toBeGreaterThan(500);
    expect(count.allowed - count.stillAllowed).toBeGreaterThan(500);
    expect(count.newlyByWidening).toBeGreaterThan(500);
  }, 240_000);

  const blind =
    (change: (from: PolicyDocument, to: PolicyDocument) => [PolicyDocument, PolicyDocument]): typeof allowsNoMore =>
    (from, to) =>
      allowsNoMore(...change(from, to));
  const grantsWith = (document: PolicyDocument, parts: Partial<Grant>): PolicyDocument => ({
    ...document,
    grants: document.grants.map((grant) => ({ ...grant, ...parts })),
  });
  it.each<[string, typeof allowsNoMore]>([
    ['guardrails', blind((from, to) => [{ ...from, guardrails: [] }, to])],
    [
      'the conditions of guardrails',
      blind((from, to) => [from, { ...to, guardrails: to.guardrails.map(({ when: _, unless: _u, ...rest }) => rest) }]),
    ],
    ['when', blind((from, to) => [grantsWith(from, { when: undefined }), to])],
    ['unless', blind((from, to) => [grantsWith(from, { unless: undefined }), to])],
    ['objects', blind((from, to) => [grantsWith(from, { objects: ['*'] }), to])],
    ['operations', blind((from, to) => [grantsWith(from, { operations: ['@all'] }), grantsWith(to, { operations: ['@all'] })])],
    ['leases', blind((from, to) => [grantsWith(from, { lease: undefined }), grantsWith(to, { lease: undefined })])],
    ['who is in a role', blind((from, to) => [{ ...from, roles: to.roles }, to])],
  ])(
    'would be caught if %s were not compared (positive control)',
    (_what, broken) => {
      // Of a seed that shows each: another one may have too few pairs of the kind.
      expect(compare(broken, 500, 1).newly).toBeGreaterThan(0);
    },
    120_000,
  );
});

describe('the change between two policies', () => {
  const grant = { id: 'a', subjects: ['svc:x'], objects: ['alias/a*'], operations: ['@read'] };
  const guardrail = { id: 'no', subjects: ['*'], objects: ['*'], operations: ['@all'] };
  const withGrants = (...all: object[]) => documentOf({ grants: all });
  const withGuardrails = (...all: object[]) => documentOf({ grants: [{ ...grant, id: 'yes' }], guardrails: all });
  const limited = (perDay: number, id = 'a') => ({ ...grant, id, limits: { perDay } });
  const leased = (maxAgeSeconds: number, more: object = {}) => ({ ...grant, lease: { maxAgeSeconds, ...more } });
  const when = (conditions: object) => withGrants({ ...grant, when: conditions });
  const unless = (conditions: object) => withGrants({ ...grant, unless: conditions });
  const weekly = { tz: 'Europe/Berlin', days: ['mon', 'tue'], from: '08:00', to: '18:00' };

  it.each<[string, PolicyDocument | undefined, PolicyDocument | undefined, string]>([
    ['no policy to none', undefined, undefined, 'same'],
    ['a policy to none', withGrants(grant), undefined, 'narrowing'],
    ['none to a policy', undefined, withGrants(grant), 'widening'],
    ['none to guardrails alone', undefined, documentOf({ guardrails: [guardrail] }), 'narrowing'],
    ['another id', withGrants(grant), withGrants({ ...grant, id: 'b' }), 'same'],
    ['another description', withGrants(grant), withGrants({ ...grant, description: 'new' }), 'same'],
    ['a longer prefix', withGrants(grant), withGrants({ ...grant, objects: ['alias/ab', 'alias/a/*'] }), 'narrowing'],
    ['one prefix more', withGrants(grant), withGrants({ ...grant, objects: ['alias/a*', 'alias/b*'] }), 'widening'],
    ['an alias to the key that it names today', withGrants(grant), withGrants({ ...grant, objects: [KEYS[0]!] }), 'widening'],
    ['a collective name to the operation behind it', withGrants(grant), withGrants({ ...grant, operations: ['Decrypt'] }), 'narrowing'],
    ...DATA_OPERATIONS.map((operation): [string, PolicyDocument, PolicyDocument, string] => [
      `everything to ${operation}`,
      withGrants({ ...grant, operations: ['@all'] }),
      withGrants({ ...grant, operations: [operation] }),
      'narrowing',
    ]),
    ['reading to a check of MACs', withGrants(grant), withGrants({ ...grant, operations: ['VerifyMac', 'Verify'] }), 'narrowing'],
    ['reading to signing', withGrants(grant), withGrants({ ...grant, operations: ['Sign'] }), 'widening'],
    ['the operation to its collective name', withGrants({ ...grant, operations: ['Decrypt'] }), withGrants(grant), 'widening'],
    [
      'all operations to reading and writing',
      withGrants({ ...grant, operations: ['@all'] }),
      withGrants({ ...grant, operations: ['@read', '@write'] }),
      'narrowing',
    ],
    [
      'one grant cut in two',
      withGrants({ ...grant, subjects: ['svc:x', 'svc:y'] }),
      withGrants(grant, { ...grant, id: 'b', subjects: ['svc:y'] }),
      'same',
    ],
    ['a limit', withGrants(grant), withGrants(limited(5)), 'narrowing'],
    ['a lower limit', withGrants(limited(5)), withGrants(limited(4)), 'narrowing'],
    ['a higher limit', withGrants(limited(5)), withGrants(limited(6)), 'widening'],
    ['no more limit', withGrants(limited(5)), withGrants(grant), 'widening'],
    ['a limit of another kind', withGrants(limited(5)), withGrants({ ...grant, limits: { perMinute: 1 } }), 'widening'],
    ['the same limit under another id, whose counter starts anew', withGrants(limited(5)), withGrants(limited(5, 'b')), 'widening'],
    ['the same limit twice', withGrants(limited(5)), withGrants(limited(5), limited(5, 'b')), 'widening'],
    ['a lease', withGrants(grant), withGrants(leased(60)), 'narrowing'],
    ['a shorter lease', withGrants(leased(60)), withGrants(leased(59)), 'narrowing'],
    ['a longer lease', withGrants(leased(60)), withGrants(leased(61)), 'widening'],
    ['a lease of fewer uses for a longer time', withGrants(leased(60)), withGrants(leased(61, { maxUses: 1 })), 'widening'],
    ['a lease with uses', withGrants(leased(60)), withGrants(leased(60, { maxUses: 9 })), 'narrowing'],
    ['a lease of more bytes', withGrants(leased(60, { maxBytes: 9 })), withGrants(leased(60, { maxBytes: 10 })), 'widening'],
    ['no more lease', withGrants(leased(60)), withGrants(grant), 'widening'],
    ['the longest lease in words', withGrants(grant), withGrants(leased(300)), 'same'],
    ['no more grant with the shorter lease', withGrants(leased(10), { ...grant, id: 'b' }), withGrants({ ...grant, id: 'b' }), 'widening'],
    [
      'the shorter lease now behind the longer',
      withGrants(leased(10), { ...grant, id: 'b' }),
      withGrants({ ...grant, id: 'b' }, leased(10)),
      'widening',
    ],
    [
      'a shorter lease in front',
      withGrants({ ...grant, id: 'b' }),
      withGrants({ ...leased(10), objects: ['alias/ab'] }, { ...grant, id: 'b' }),
      'narrowing',
    ],
    [
      'fewer subjects, both leases as they were',
      withGrants({ ...leased(10), subjects: ['svc:x', 'svc:y'] }, { ...grant, id: 'b' }),
      withGrants(leased(10), { ...grant, id: 'b' }),
      'narrowing',
    ],
    ['one label more', when({ encryptionContextSubset: { a: 'x' } }), when({ encryptionContextSubset: { a: 'x', b: 'y' } }), 'narrowing'],
    ['one value less', when({ encryptionContextSubset: { a: ['x', 'y'] } }), when({ encryptionContextSubset: { a: 'x' } }), 'narrowing'],
    [
      'exactly instead of at least',
      when({ encryptionContextSubset: { a: 'x' } }),
      when({ encryptionContextEquals: { a: 'x', b: 'y' } }),
      'narrowing',
    ],
    [
      'at least instead of exactly',
      when({ encryptionContextEquals: { a: 'x' } }),
      when({ encryptionContextSubset: { a: 'x' } }),
      'widening',
    ],
    ['an earlier end', when({ notAfter: '2026-03-02T00:00:00Z' }), when({ notAfter: '2026-03-02T00:00:00+01:00' }), 'narrowing'],
    ['a later end', when({ notAfter: '2026-03-02T00:00:00Z' }), when({ notAfter: '2026-03-02T00:00:00-01:00' }), 'widening'],
    ['an earlier beginning', when({ notBefore: '2026-03-02T00:00:00Z' }), when({ notBefore: '2026-03-01T00:00:00Z' }), 'widening'],
    ['fewer days', when({ weekly }), when({ weekly: { ...weekly, days: ['tue'] } }), 'narrowing'],
    ['a window in another zone', when({ weekly }), when({ weekly: { ...weekly, tz: 'Europe/Paris' } }), 'widening'],
    ['until midnight', when({ weekly }), when({ weekly: { ...weekly, to: '24:00' } }), 'widening'],
    ['a smaller network', when({ sourceCidr: ['10.0.0.0/8', '::1'] }), when({ sourceCidr: ['10.9.0.0/16', '10.1.1.1'] }), 'narrowing'],
    ['a larger network', when({ sourceCidr: ['10.9.0.0/16'] }), when({ sourceCidr: ['10.9.0.0/15'] }), 'widening'],
    [
      'a ticket',
      when({ justification: { anyOf: ['ISV_INCIDENT'] } }),
      when({ justification: { anyOf: ['ISV_INCIDENT'], requireTicket: true } }),
      'narrowing',
    ],
    [
      'no ticket',
      when({ justification: { anyOf: ['ISV_INCIDENT'], requireTicket: true } }),
      when({ justification: { anyOf: ['ISV_INCIDENT'] } }),
      'widening',
    ],
    ['one way to sign in less', when({ authMethod: ['api-key', 'private-key-jwt'] }), when({ authMethod: ['api-key'] }), 'narrowing'],
    ['a wider exception', unless({ sourceCidr: ['10.9.0.0/16'] }), unless({ sourceCidr: ['10.0.0.0/8'] }), 'narrowing'],
    [
      'an exception with one condition less',
      unless({ sourceCidr: ['::1'], authMethod: ['api-key'] }),
      unless({ sourceCidr: ['::1'] }),
      'narrowing',
    ],
    [
      'an exception with one condition more',
      unless({ sourceCidr: ['::1'] }),
      unless({ sourceCidr: ['::1'], authMethod: ['api-key'] }),
      'widening',
    ],
    ['no more exception', unless({ sourceCidr: ['::1'] }), withGrants(grant), 'widening'],
    ['a guardrail', withGuardrails(), withGuardrails(guardrail), 'narrowing'],
    ['no more guardrail', withGuardrails(guardrail), withGuardrails(), 'widening'],
    [
      'a guardrail with a condition',
      withGuardrails(guardrail),
      withGuardrails({ ...guardrail, when: { sourceCidr: ['::1'] } }),
      'widening',
    ],
    [
      'a guardrail with a smaller exception',
      withGuardrails({ ...guardrail, unless: { sourceCidr: ['10.0.0.0/8'] } }),
      withGuardrails({ ...guardrail, unless: { sourceCidr: ['10.9.0.0/16'] } }),
      'narrowing',
    ],
    ['a guardrail for one service only', withGuardrails(guardrail), withGuardrails({ ...guardrail, subjects: ['svc:x'] }), 'widening'],
    [
      'a guardrail for today’s operations only',
      withGuardrails(guardrail),
      withGuardrails({ ...guardrail, operations: [...DATA_OPERATIONS] }),
      'widening',
    ],
  ])('%s', (_what, from, to, change) => {
    expect(policyTools.diff(from, to).change).toBe(change);
  });

  it('is that of the members, where a role says who', () => {
    const role = (members: string[]) => documentOf({ roles: { r: members }, grants: [{ ...grant, subjects: ['role:r'] }] });
    expect(policyTools.diff(role(['svc:x']), role([])).change).toBe('narrowing');
    expect(policyTools.diff(role([]), role(['svc:x'])).change).toBe('widening');
    expect(policyTools.diff(role(['svc:x']), withGrants(grant)).change).toBe('same');
  });
});
