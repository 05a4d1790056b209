import fc from 'fast-check';
import { type Conditions, DATA_OPERATIONS, JUSTIFICATIONS, type PolicyDocument, SERVICE_AUTH_METHODS, WEEKDAYS } from '#contract';

// From tests only: documents that the linter finds no error in, as strange as the language lets them be.
const SERVICES = ['svc:billing', 'svc:search', 'wl:prod/backup', 'wl:1/2'];
const OBJECTS = ['*', 'key_00000000000000000000000001', 'alias/a', 'alias/a/b*', 'alias/_-*', 'tag:class=pii', 'tag:a=b=c', 'tag:x='];
const OPERATIONS = [...DATA_OPERATIONS, '@read', '@write', '@all'] as const;

const some = <T>(items: readonly T[], most = 3) => fc.array(fc.constantFrom(...items), { minLength: 1, maxLength: most });
const unique = <T>(items: readonly T[]) => fc.uniqueArray(fc.constantFrom(...items), { minLength: 1, maxLength: items.length });

/** Any text but U+0000, which is refused everywhere; parentheses, quotes, commas and line ends come often. */
const text = (maxLength: number) =>
  fc
    .string({
      unit: fc.oneof(fc.constantFrom(...'()",\n\r#\\ =|\u202e\u2028\ufeff'), fc.string({ unit: 'binary', minLength: 1, maxLength: 1 })),
      maxLength,
    })
    .filter((one) => !one.includes('\0') && one.length <= maxLength);
/** The prefix keeps names apart whatever their case, and off the reserved ones. */
const LABELS = ['purpose', 'region', 'ten"ant', 'ü,(', ' '];
const labels = <T>(value: fc.Arbitrary<T>, minKeys: number) => fc.dictionary(fc.constantFrom(...LABELS), value, { minKeys, maxKeys: 3 });
const times = (year: number) => fc.integer({ min: 1, max: 27 }).map((day) => `${year}-02-${String(day).padStart(2, '0')}T10:00:00+02:00`);

const otherConditions = {
  notBefore: times(2025),
  notAfter: times(2026),
  weekly: fc.record({
    tz: fc.constantFrom('Europe/Berlin', 'UTC'),
    days: unique(WEEKDAYS),
    from: fc.constantFrom('00:00', '08:30'),
    to: fc.constantFrom('18:00', '24:00'),
  }),
  sourceCidr: unique(['10.0.0.0/8', '192.0.2.1', '2001:db8::/48', '::1', '10.1.2.3/16']),
  authMethod: unique(SERVICE_AUTH_METHODS),
  justification: fc.record({ anyOf: unique(JUSTIFICATIONS), requireTicket: fc.boolean() }, { requiredKeys: ['anyOf'] }),
};
const labelled = fc.oneof(
  fc.record({ encryptionContextEquals: labels(text(8), 0) }),
  fc.record({ encryptionContextSubset: labels(fc.oneof(text(8), fc.array(text(4), { minLength: 1, maxLength: 3 })), 1) }),
  fc.constant({}),
);
const present = (conditions: object) => Object.keys(conditions).length > 0;
const when = fc
  .tuple(labelled, fc.record(otherConditions, { requiredKeys: [] }))
  .map((parts) => Object.assign({}, ...parts) as Conditions)
  .filter(present);
/** About other things than `when`, so that the two do not contradict each other. */
const unless = (asked: Conditions | undefined) =>
  when.map(
    (one) =>
      Object.fromEntries(
        Object.entries(one).filter(([name]) => !Object.hasOwn(asked ?? {}, name) && !name.startsWith('encryption')),
      ) as Conditions,
  );

const limits = fc.oneof(
  fc.record({ perMinute: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ perMinute: fc.constant(5), perDay: fc.integer({ min: 1, max: 1_000_000_000 }) }),
);

const lease = fc.record(
  { maxAgeSeconds: fc.integer({ min: 1, max: 300 }), maxUses: fc.integer({ min: 1, max: 9 }), maxBytes: fc.constant(2 ** 40) },
  { requiredKeys: ['maxAgeSeconds'] },
);

function rule(subjects: readonly string[], more: { limits?: typeof limits; lease?: typeof lease }) {
  return fc
    .record(
      { subjects: some(subjects), objects: some(OBJECTS), operations: some(OPERATIONS), when, description: text(20), ...more },
      { requiredKeys: ['subjects', 'objects', 'operations'] },
    )
    .chain((one) =>
      fc.option(unless(one.when), { nil: {} }).map((exception) => (present(exception) ? { ...one, unless: exception } : one)),
    );
}

/** Ids count up over both lists. */
export const documents: fc.Arbitrary<PolicyDocument> = fc
  .record({
    r1: fc.array(fc.constantFrom(...SERVICES), { maxLength: 3 }),
    empty: fc.constant([] as string[]),
  })
  .chain((roles) => {
    const named = [...SERVICES, 'role:r1', 'role:empty'];
    return fc
      .tuple(fc.array(rule(named, { limits, lease }), { maxLength: 4 }), fc.array(rule([...named, '*'], {}), { maxLength: 3 }))
      .map(([grants, guardrails]) => ({
        schema: 'keyward.policy/1' as const,
        roles,
        grants: grants.map((one, index) => ({ ...one, id: `g${9 - index}` })),
        guardrails: guardrails.map((one, index) => ({ ...one, id: `d${index}` })),
      }));
  });
