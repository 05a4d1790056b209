import { z } from 'zod';
import { lease } from './lease.js';
import { GRANTED_OPERATIONS } from './operations.js';
import { plainMap } from './plain-map.js';
import { LINE } from './text.js';
import { isTimeZone } from './time-zones.js';

/** Canonical JSON bytes and rules of one document (kms-semantics §1). */
export const MAX_POLICY_BYTES = 32_768;
export const MAX_POLICY_RULES = 500;
/** Pairs that one condition may name (as AWS KMS grants). */
export const MAX_CONDITION_PAIRS = 8;
export const MAX_CONDITION_NETWORKS = 16;

const ruleId = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be 1 to 63 of a-z, 0-9 and -');
const roleName = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, 'must be 1 to 63 of a-z, 0-9 and -');
const namedSubject = z
  .string()
  .regex(/^(svc:[a-z][a-z0-9-]{0,62}|wl:[a-z0-9][a-z0-9-]{0,62}\/[a-z0-9][a-z0-9-]{0,62})$/, 'must be svc:name or wl:cluster/name');
const grantSubject = z
  .string()
  .regex(
    /^(svc:[a-z][a-z0-9-]{0,62}|wl:[a-z0-9][a-z0-9-]{0,62}\/[a-z0-9][a-z0-9-]{0,62}|role:[a-z][a-z0-9-]{0,62})$/,
    'must be svc:name, wl:cluster/name or role:name',
  );
const guardrailSubject = z.union([z.literal('*'), grantSubject], { error: 'must be svc:name, wl:cluster/name, role:name or *' });

const objectName = z
  .string()
  .regex(
    /^(\*|key_[0-7][0-9a-hjkmnp-tv-z]{25}|alias\/[A-Za-z0-9_/-]{1,255}\*?|secret:(\*|[A-Za-z0-9_/+=.@-]{1,192}\*?)|tag:[A-Za-z0-9/\\_.+=:@-]{1,128}=[A-Za-z0-9/\\_.+=:@-]{0,128})$/,
    'must be key_…, alias/name, alias/prefix*, secret:name, secret:prefix*, tag:name=value or *',
  );

const operation = z.union([z.enum(GRANTED_OPERATIONS), z.enum(['@read', '@write', '@all'])], {
  error: `must be ${GRANTED_OPERATIONS.join(', ')}, @read, @write or @all`,
});

const pairText = z
  .string()
  .max(384)
  .refine((text) => text.isWellFormed(), 'must be well-formed Unicode');
/** What a stop names is told in the record. */
const printable = pairText.regex(LINE, 'must have no control characters');
const pairs = <Value extends z.ZodType>(value: Value) =>
  plainMap(pairText.min(1), value).refine(
    (map) => Object.keys(map).length <= MAX_CONDITION_PAIRS,
    `must name at most ${MAX_CONDITION_PAIRS} pairs`,
  );

/** Why a service asks, from a closed list (after Google's Key Access Justifications): a claim, which the trail keeps. */
export const JUSTIFICATIONS = [
  'CUSTOMER_INITIATED_ACCESS',
  'CUSTOMER_INITIATED_SUPPORT',
  'MODIFIED_CUSTOMER_INITIATED_ACCESS',
  'ISV_INITIATED_SERVICE',
  'ISV_INITIATED_REVIEW',
  'ISV_INITIATED_SYSTEM_OPERATION',
  'ISV_INCIDENT',
  'THIRD_PARTY_DATA_REQUEST',
] as const;
const justificationCode = z.enum(JUSTIFICATIONS, { error: `must be one of ${JUSTIFICATIONS.join(', ')}` });
export const justification = z
  .strictObject({
    code: justificationCode,
    ticket: z
      .string()
      .regex(/^[\x21-\x7e]{1,64}$/, 'must be 1 to 64 printable ASCII characters without spaces')
      .optional(),
  })
  .meta({ id: 'Justification' });
export type Justification = z.infer<typeof justification>;

/** How a service proved who it is. */
export const SERVICE_AUTH_METHODS = ['api-key', 'private-key-jwt'] as const;

export const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
const timeOfDay = (latest: string) =>
  z.string().regex(new RegExp(`^(([01]\\d|2[0-3]):[0-5]\\d${latest})$`), 'must be a time of day, hh:mm');
const weekly = z
  .strictObject({
    tz: z.string().max(64).refine(isTimeZone, 'must be a time zone of the IANA database, such as Europe/Berlin'),
    days: unique(z.enum(WEEKDAYS, { error: `must be one of ${WEEKDAYS.join(', ')}` }), 7),
    from: timeOfDay(''),
    to: timeOfDay('|24:00'),
  })
  .refine(({ from, to }) => from < to, { path: ['to'], message: 'must be after from; a window over midnight takes two rules' });

/** IPv4-mapped IPv6 is IPv4: write it so. */
const sourceNetwork = z
  .union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], { error: 'must be an address or a network such as 10.20.0.0/16 or 2001:db8::/48' })
  .refine((network) => !network.endsWith('/0'), 'must not be everything: leave the condition out instead')
  .refine((network) => !/^::ffff:/i.test(network), 'must be written as IPv4');

function unique<Item extends z.ZodType<string>>(item: Item, most: number) {
  return z
    .array(item)
    .min(1)
    .max(most)
    .refine((items) => new Set(items).size === items.length, 'must name each only once');
}

const conditions = z.strictObject({
  encryptionContextEquals: pairs(pairText).optional().meta({ description: 'The context is exactly these pairs.' }),
  encryptionContextSubset: pairs(z.union([pairText, z.array(pairText).min(1).max(16)]))
    .refine((map) => Object.keys(map).length > 0, 'must name at least one pair')
    .optional()
    .meta({ description: 'The context has at least these pairs; a list means any one of its values.' }),
  notBefore: z.iso.datetime({ offset: true, error: 'must be an RFC 3339 time' }).optional(),
  notAfter: z.iso.datetime({ offset: true, error: 'must be an RFC 3339 time' }).optional(),
  weekly: weekly.optional().meta({ description: 'From `from` until just before `to`, on these days, by this zone’s clock.' }),
  sourceCidr: unique(sourceNetwork, MAX_CONDITION_NETWORKS).optional().meta({ description: 'The caller’s address is in one of these.' }),
  authMethod: unique(z.enum(SERVICE_AUTH_METHODS, { error: `must be ${SERVICE_AUTH_METHODS.join(' or ')}` }), SERVICE_AUTH_METHODS.length)
    .optional()
    .meta({ description: 'The caller proved who it is in one of these ways.' }),
  justification: z
    .strictObject({ anyOf: unique(justificationCode, JUSTIFICATIONS.length), requireTicket: z.boolean().optional() })
    .optional()
    .meta({ description: 'The caller gave one of these reasons.' }),
});
export type Conditions = z.infer<typeof conditions>;
export type ConditionName = keyof Conditions;
export const CONDITION_NAMES = conditions.keyof().options;

const limit = z.int().min(1).max(1_000_000_000);
export const limits = z
  .strictObject({ perMinute: limit.optional(), perDay: limit.optional() })
  .refine(({ perMinute, perDay }) => perMinute !== undefined || perDay !== undefined, 'must have perMinute or perDay')
  .meta({ description: 'Calls that this grant may allow in a calendar minute or day, UTC, by the database’s clock.' });
export type Limits = z.infer<typeof limits>;

const rule = <Subject extends z.ZodType>(subject: Subject) =>
  z.strictObject({
    id: ruleId,
    subjects: z.array(subject).min(1).max(64),
    objects: z.array(objectName).min(1).max(64),
    operations: z.array(operation).min(1).max(20),
    when: conditions.optional(),
    unless: conditions.optional(),
    description: z.string().max(512).optional(),
  });

export const grant = rule(grantSubject).extend({ limits: limits.optional(), lease: lease.optional() });
export type Grant = z.infer<typeof grant>;
export const guardrail = rule(guardrailSubject);
export type Guardrail = z.infer<typeof guardrail>;

/** What a tenant's admin publishes: which service may use which key for what. Unknown fields are refused. */
export const policyDocument = z
  .strictObject({
    schema: z.literal('keyward.policy/1'),
    roles: plainMap(roleName, z.array(namedSubject).max(64)).default({}),
    grants: z.array(grant).default([]),
    guardrails: z.array(guardrail).default([]),
  })
  .superRefine((document, issue) => {
    const rules = [
      ...document.grants.map((r, i) => ['grants', i, r] as const),
      ...document.guardrails.map((r, i) => ['guardrails', i, r] as const),
    ];
    if (rules.length > MAX_POLICY_RULES)
      issue.addIssue({ code: 'custom', path: ['grants'], message: `must be at most ${MAX_POLICY_RULES} rules in all` });
    const seen = new Set<string>();
    for (const [list, index, { id, subjects }] of rules) {
      if (seen.has(id)) issue.addIssue({ code: 'custom', path: [list, index, 'id'], message: `${id} is used twice` });
      seen.add(id);
      subjects.forEach((subject, at) => {
        if (subject.startsWith('role:') && !Object.hasOwn(document.roles, subject.slice(5)))
          issue.addIssue({ code: 'custom', path: [list, index, 'subjects', at], message: `${subject} is not among the roles` });
      });
    }
    if (new TextEncoder().encode(JSON.stringify(document)).length > MAX_POLICY_BYTES)
      issue.addIssue({ code: 'custom', path: [], message: `must be at most ${MAX_POLICY_BYTES} bytes` });
  })
  .meta({ id: 'PolicyDocument' });
export type PolicyDocument = z.infer<typeof policyDocument>;

/** What a stop silences. A stop is a row of its own: publishing or rolling back a policy does not lift it. */
export const stopTarget = z
  .discriminatedUnion('scope', [
    z.strictObject({ scope: z.literal('everything') }),
    z.strictObject({ scope: z.literal('service'), service: z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, 'must be a service name') }),
    z.strictObject({ scope: z.literal('key'), keyId: z.string().regex(/^key_[0-7][0-9a-hjkmnp-tv-z]{25}$/, 'must be a key id') }),
    z.strictObject({ scope: z.literal('context'), name: printable.min(1), value: printable }),
  ])
  .meta({ id: 'StopTarget' });
export type StopTarget = z.infer<typeof stopTarget>;
