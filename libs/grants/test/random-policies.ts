import fc from 'fast-check';
import {
  alias,
  CONDITION_NAMES,
  type ConditionName,
  DATA_OPERATIONS,
  JUSTIFICATIONS,
  keyId,
  policyDocument,
  SERVICE_AUTH_METHODS,
  stopId,
  tenantId,
  WEEKDAYS,
} from '#contract';
import type { GrantRequest, TenantPolicy } from '#core';

// From tests only: policies and requests drawn from so few names that they meet.
export const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
export const START = Date.UTC(2026, 2, 1);

const KEYS = ['1', '2', '3'].map((n) => keyId.parse(`key_${n.padStart(26, '0')}`));
const ALIASES = ['alias/a', 'alias/a/b', 'alias/ab', 'alias/c'].map((name) => alias.parse(name));
const SERVICES = ['svc:billing', 'svc:search', 'wl:prod/backup'];
const LABELS = ['purpose', 'region', 'constructor'];
const VALUES = ['x', 'y', ''];
/** Conditions and clocks share them, so that edges are hit: days of a week, and what the hours around two changes of summer time are made of. */
const DAYS = fc.integer({ min: 0, max: 9 }).map((day) => START + day * DAY_MS);
const CHANGES = [Date.UTC(2026, 2, 29), Date.UTC(2026, 9, 25), Date.UTC(2026, 9, 3, 14)];
const instant = fc.oneof(
  { weight: 4, arbitrary: DAYS },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constantFrom(...CHANGES), fc.integer({ min: -4, max: 8 })).map(([at, half]) => at + half * (HOUR_MS / 2)),
  },
);
const ZONES = ['UTC', 'Europe/Berlin', 'Asia/Kolkata', 'America/St_Johns', 'Australia/Lord_Howe', 'Pacific/Apia'];
const TIMES = ['00:00', '01:00', '02:00', '02:30', '03:00', '05:30', '11:00', '20:30', '24:00'];
const NETWORKS = ['10.20.0.0/16', '10.0.0.0/8', '10.20.0.5', '203.0.113.0/25', '2001:db8:e::/48', '2001:db8::1', '::/8', '::1/128'];
const ADDRESSES = [
  '10.20.0.5',
  '::ffff:10.20.0.5',
  '::ffff:a14:5',
  '10.21.0.1',
  '203.0.113.9',
  '2001:db8:e:1::5',
  '2001:DB8::1',
  '::1',
  'x',
  '',
];

const someOf = <T>(items: readonly T[], minLength = 1) => fc.uniqueArray(fc.constantFrom(...items), { minLength, maxLength: 3 });
const labels = fc.dictionary(fc.constantFrom(...LABELS), fc.constantFrom(...VALUES), { maxKeys: 2 });
const time = instant.map((at) => new Date(at).toISOString());
const window = fc
  .record({ tz: fc.constantFrom(...ZONES), days: fc.uniqueArray(fc.constantFrom(...WEEKDAYS), { minLength: 3 }), hours: someOf(TIMES, 2) })
  .map(({ tz, days, hours }) => ({ tz, days, from: hours.toSorted()[0]!, to: hours.toSorted().at(-1)! }));
const reason = fc.constantFrom(...JUSTIFICATIONS.slice(0, 3));

const condition: { readonly [Name in ConditionName]: fc.Arbitrary<unknown> } = {
  encryptionContextEquals: labels,
  encryptionContextSubset: fc.dictionary(fc.constantFrom(...LABELS), fc.oneof(fc.constantFrom(...VALUES), someOf(VALUES)), {
    minKeys: 1,
    maxKeys: 2,
  }),
  notBefore: time,
  notAfter: time,
  weekly: window,
  sourceCidr: someOf(NETWORKS),
  authMethod: someOf(SERVICE_AUTH_METHODS),
  justification: fc.record({ anyOf: fc.uniqueArray(reason, { minLength: 1 }), requireTicket: fc.boolean() }, { requiredKeys: ['anyOf'] }),
};
/** Up to three of them: more would hardly ever hold together. */
const conditions = fc
  .tuple(fc.subarray([...CONDITION_NAMES], { maxLength: 3 }), fc.record(condition))
  .map(([names, all]) => Object.fromEntries(names.map((name) => [name, all[name]])));
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
const lease = fc.constantFrom({ maxAgeSeconds: 60 }, { maxAgeSeconds: 10, maxUses: 1 }, { maxAgeSeconds: 300, maxBytes: 9 });
const limits = fc.constantFrom({ perMinute: 2 }, { perDay: 100 }, { perMinute: 5, perDay: 50 });
const roles = fc.record({ r1: someOf(SERVICES, 0), r2: someOf(SERVICES, 0) });
const NAMED = [...SERVICES, 'role:r1', 'role:r2'];
const target = fc.oneof(
  { weight: 1, arbitrary: fc.constant({ scope: 'everything' as const }) },
  { weight: 2, arbitrary: fc.record({ scope: fc.constant('service' as const), service: fc.constantFrom('billing', 'search') }) },
  { weight: 2, arbitrary: fc.record({ scope: fc.constant('key' as const), keyId: fc.constantFrom(...KEYS) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      scope: fc.constant('context' as const),
      name: fc.constantFrom(...LABELS, '__proto__'),
      value: fc.constantFrom(...VALUES),
    }),
  },
);

export const policies: fc.Arbitrary<TenantPolicy> = fc
  .record({
    roles,
    grants: fc.array(fc.tuple(rule(NAMED), fc.option(limits, { nil: undefined, freq: 2 }), fc.option(lease, { nil: undefined })), {
      minLength: 8,
      maxLength: 14,
    }),
    guardrails: fc.array(rule([...NAMED, '*']), { maxLength: 2 }),
    targets: fc.array(target, { maxLength: 1 }),
  })
  .map(({ roles, grants, guardrails, targets }) => ({
    tenant: tenantId.parse('acme'),
    document: policyDocument.parse({
      schema: 'keyward.policy/1',
      roles,
      grants: grants.map(([grant, limits, lease], index) => ({
        ...{ id: `grant-${index}`, ...grant },
        ...(limits && { limits }),
        ...(lease && { lease }),
      })),
      guardrails: guardrails.map((guardrail, index) => ({ id: `guardrail-${index}`, ...guardrail })),
    }),
    stops: targets.map((one, index) => ({ stopId: stopId.parse(`stop_${String(index).padStart(26, '0')}`), target: one })),
  }));

export const requests: fc.Arbitrary<GrantRequest> = fc.record({
  subject: fc.constantFrom(...SERVICES, ...SERVICES, ...SERVICES, 'svc:stranger', 'role:r1'),
  operation: fc.constantFrom(...DATA_OPERATIONS),
  keyId: fc.constantFrom(...KEYS),
  aliases: someOf(ALIASES, 0),
  tags: fc.constantFrom({}, { class: 'pii' }, { class: 'pii', owner: 'x' }, { owner: 'x' }),
  context: fc.option(labels, { nil: undefined, freq: 6 }),
  at: fc.oneof(
    { weight: 8, arbitrary: instant },
    { weight: 2, arbitrary: instant.map((at) => at + 1) },
    { weight: 4, arbitrary: instant.map((at) => at - 1) },
    { weight: 1, arbitrary: fc.constant(Number.NaN) },
  ),
  sourceAddress: fc.option(fc.constantFrom(...ADDRESSES), { nil: undefined, freq: 6 }),
  authMethod: fc.constantFrom(...SERVICE_AUTH_METHODS, ...SERVICE_AUTH_METHODS, 'oidc' as const, undefined),
  justification: fc.oneof(
    { weight: 5, arbitrary: fc.record({ code: reason, ticket: fc.constant('ACME-12') }, { requiredKeys: ['code'] }) },
    { weight: 1, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.constant(undefined) },
  ),
});
