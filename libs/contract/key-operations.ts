import { z } from 'zod';
import { encryptionContext } from './encryption-context.js';
import {
  alias,
  credentialId,
  keyId,
  keyReference,
  principalName,
  secretId,
  secretName,
  secretReference,
  serviceName,
  stopId,
  tenantId,
} from './identifiers.js';
import { GRANTED_OPERATIONS, type GrantedOperation, SECRET_USES, WORKER_OPERATIONS } from './operations.js';
import { CONDITION_NAMES, justification, MAX_POLICY_BYTES, policyDocument, SERVICE_AUTH_METHODS, stopTarget } from './policy.js';
import { authMethod, role } from './principal.js';
import { problemCode } from './problem.js';
import { line, prose } from './text.js';

const time = z.iso.datetime().meta({ description: 'RFC 3339, UTC' });
const cursor = z.string().max(512).optional().meta({ description: 'from the page before' });
const limit = z.coerce.number().int().min(1).max(100).default(50);

/** Query of every list; `nextCursor` of one page is the `cursor` of the next. */
export const pageQuery = z.strictObject({ cursor, limit }).meta({ id: 'PageQuery' });
export type PageQuery = z.infer<typeof pageQuery>;

export const page = <Item extends z.ZodType>(id: string, item: Item) =>
  z.object({ items: z.array(item), nextCursor: z.string().optional() }).meta({ id });

export const noBody = z.strictObject({}).optional();

// Tenants (operators)
export const onboardTenantRequest = z
  .strictObject({
    tenant: tenantId.refine((id) => id !== 'platform', 'platform is the ISV itself'),
    displayName: line(128).min(1),
  })
  .meta({ id: 'OnboardTenantRequest' });
export type OnboardTenantRequest = z.infer<typeof onboardTenantRequest>;
export const onboardTenantAnswer = z
  .object({ tenant: tenantId, enrolmentCode: z.string().meta({ description: 'one use, shown once' }), expiresAt: time, vkey: z.string() })
  .meta({ id: 'OnboardTenantAnswer' });
export type OnboardTenantAnswer = z.infer<typeof onboardTenantAnswer>;
export const tenantSummary = z
  .object({ tenant: tenantId, displayName: z.string(), state: z.enum(['Pending', 'Active', 'Ended']), createdAt: time })
  .meta({ id: 'Tenant' });
export type TenantSummary = z.infer<typeof tenantSummary>;

export const enrolRequest = z.strictObject({ admin: principalName }).meta({ id: 'EnrolRequest' });
export type EnrolRequest = z.infer<typeof enrolRequest>;
/** `apiKey` is shown once. `vkey` is the log's verifier key (C2SP signed-note): pin it. */
export const enrolAnswer = z
  .object({ tenant: tenantId, principal: principalName, credentialId, apiKey: z.string(), expiresAt: time, vkey: z.string() })
  .meta({ id: 'EnrolAnswer' });
export type EnrolAnswer = z.infer<typeof enrolAnswer>;

// Services (operators)
/** The ISV's own limit on what a service may ask for; the tenant's grant must allow it too. */
const cataloguedOperations = z
  .array(z.enum(GRANTED_OPERATIONS, { error: `must be one of ${GRANTED_OPERATIONS.join(', ')}` }))
  .max(GRANTED_OPERATIONS.length)
  .refine((names) => new Set(names).size === names.length, 'must name each only once');
export const registerServiceRequest = z
  .strictObject({
    service: serviceName,
    description: prose(512).default(''),
    operations: cataloguedOperations.default([...GRANTED_OPERATIONS]),
  })
  .meta({ id: 'RegisterServiceRequest' });
export type RegisterServiceRequest = z.infer<typeof registerServiceRequest>;
export const serviceSummary = z
  .object({ service: serviceName, description: z.string(), operations: cataloguedOperations, suspended: z.boolean(), createdAt: time })
  .meta({ id: 'Service' });
export type ServiceSummary = z.infer<typeof serviceSummary>;
export const catalogueEntryRequest = z
  .strictObject({ operations: cataloguedOperations.meta({ description: 'what the service may ask for; empty: nothing' }) })
  .meta({ id: 'CatalogueEntryRequest' });
export type CatalogueEntryRequest = z.infer<typeof catalogueEntryRequest>;
export const suspendRequest = z.strictObject({ reason: line(512).default('') }).meta({ id: 'SuspendRequest' });
export type SuspendRequest = z.infer<typeof suspendRequest>;
/** The ISV may reduce what a tenant granted, never more: no service uses a key of a suspended tenant; its people are not affected. */
export const suspensionAnswer = z
  .object({ tenant: tenantId, reason: z.string(), suspendedBy: z.string(), suspendedAt: time })
  .meta({ id: 'Suspension' });
export type SuspensionAnswer = z.infer<typeof suspensionAnswer>;

// Identity providers
export const JWT_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'] as const;
const httpsUrl = z.url({ protocol: /^https?$/, error: 'must be an https URL' }).max(512);
export const identityProviderRequest = z
  .strictObject({
    issuer: httpsUrl.meta({ description: 'exactly the `iss` of its tokens' }),
    audience: line(256).min(1).meta({ description: 'exactly the `aud` of tokens meant for this tenant of Keyward' }),
    jwksUri: httpsUrl.meta({ description: 'where its public keys are' }),
    algorithms: z.array(z.enum(JWT_ALGORITHMS)).min(1).max(JWT_ALGORITHMS.length).default(['RS256']),
  })
  .meta({ id: 'IdentityProviderRequest' });
export type IdentityProviderRequest = z.infer<typeof identityProviderRequest>;
export const identityProviderAnswer = z
  .object({ ...identityProviderRequest.shape, changedBy: z.string(), changedAt: time })
  .meta({ id: 'IdentityProvider' });
export type IdentityProviderAnswer = z.infer<typeof identityProviderAnswer>;

// Credentials
export const issueCredentialRequest = z
  .strictObject({
    principal: principalName,
    role: z.enum(['admin', 'auditor']),
    expiresInDays: z.int().min(1).max(366).default(90),
    subject: line(255)
      .min(1)
      .optional()
      .meta({ description: '`sub` of a person at the tenant’s identity provider, who then signs in there; no API key is made' }),
    apiKey: z
      .string()
      .regex(/^kw_[a-z][a-z0-9-]{1,30}_crd_[0-9a-z]{26}_[A-Za-z0-9_-]{43}$/, 'must be kw_<tenant>_<new id>_<32 random bytes, base64url>')
      .optional()
      .meta({ description: 'a key that you made, and keep, yourself, so that it is lost with no answer: the same again is success' }),
  })
  .refine(({ subject, apiKey }) => subject === undefined || apiKey === undefined, {
    path: ['apiKey'],
    message: 'give subject or apiKey, not both',
  })
  .meta({ id: 'IssueCredentialRequest' });
export type IssueCredentialRequest = z.infer<typeof issueCredentialRequest>;
/** A public key as a JWK (RFC 7517, 8037): Ed25519 or P-256; a private one is refused. */
export const servicePublicKey = z
  .discriminatedUnion('kty', [
    z.strictObject({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.base64url().length(43) }),
    z.strictObject({ kty: z.literal('EC'), crv: z.literal('P-256'), x: z.base64url().length(43), y: z.base64url().length(43) }),
  ])
  .meta({ id: 'ServicePublicKey' });
export type ServicePublicKey = z.infer<typeof servicePublicKey>;
export const issueServiceCredentialRequest = z
  .strictObject({
    expiresInDays: z.int().min(1).max(366).default(90),
    publicKey: servicePublicKey
      .optional()
      .meta({ description: 'the service signs its own tokens with the private one; no API key is made' }),
  })
  .meta({ id: 'IssueServiceCredentialRequest' });
export type IssueServiceCredentialRequest = z.infer<typeof issueServiceCredentialRequest>;
export const issuedCredential = z
  .object({
    credentialId,
    principal: principalName,
    role,
    authMethod,
    apiKey: z.string().optional().meta({ description: 'shown once' }),
    expiresAt: time,
  })
  .meta({ id: 'IssuedCredential' });
export type IssuedCredential = z.infer<typeof issuedCredential>;
export const credentialSummary = z
  .object({
    credentialId,
    principal: principalName,
    role,
    authMethod,
    subject: z.string().optional(),
    createdAt: time,
    expiresAt: time,
    revokedAt: time.optional(),
  })
  .meta({ id: 'Credential' });
export type CredentialSummary = z.infer<typeof credentialSummary>;

// Policy
export const policyAnswer = z
  .object({
    version: z.int(),
    digest: z.string().meta({ description: 'SHA-256 of the canonical document, hex' }),
    author: z.string(),
    publishedAt: time,
    document: policyDocument,
  })
  .meta({ id: 'Policy' });
export type PolicyAnswer = z.infer<typeof policyAnswer>;

/** A policy as text, in either of its two forms. */
export const policyText = z
  .strictObject({
    format: z.enum(['json', 'csv']).default('json').meta({ description: 'csv: lines `p, …` and `g, …` of the Casbin model' }),
    text: z.string().max(4 * MAX_POLICY_BYTES),
  })
  .meta({ id: 'PolicyText' });
export type PolicyText = z.infer<typeof policyText>;

/** One finding of the linter. The codes are stable: docs/policies.md lists them. */
export const lintFinding = z
  .object({
    code: z.string().regex(/^G\d{3}$/),
    severity: z.enum(['error', 'warning']),
    message: z.string(),
    path: z.string().meta({ description: 'place in the document, such as grants.0.objects.1; empty: the document' }),
    line: z.int().optional().meta({ description: 'line of the text, from 1' }),
    ruleId: z.string().optional(),
  })
  .meta({ id: 'LintFinding' });
export type LintFinding = z.infer<typeof lintFinding>;
export const lintAnswer = z
  .object({ valid: z.boolean(), findings: z.array(lintFinding), sentences: z.array(z.string()) })
  .meta({ id: 'LintAnswer' });
export type LintAnswer = z.infer<typeof lintAnswer>;

/** `narrowing`: surely allows nothing that was refused before. `widening`: may allow more. */
export const policyChange = z.enum(['same', 'narrowing', 'widening']);
export type PolicyChange = z.infer<typeof policyChange>;

export const policyVersionSummary = policyAnswer.omit({ document: true }).meta({ id: 'PolicyVersion' });
export type PolicyVersionSummary = z.infer<typeof policyVersionSummary>;
export const policyDraftAnswer = z
  .object({ digest: z.string(), author: z.string(), savedAt: time, document: policyDocument })
  .meta({ id: 'PolicyDraft' });
export type PolicyDraftAnswer = z.infer<typeof policyDraftAnswer>;
const versionNumber = z.coerce.number().int().min(0);
/** 0 is "no policy": nothing is granted. `to` left out: the draft. */
export const diffPolicyQuery = z
  .strictObject({
    from: versionNumber.optional().meta({ description: 'default: the version in force' }),
    to: versionNumber.optional().meta({ description: 'default: the draft' }),
  })
  .meta({ id: 'DiffPolicyQuery' });
export type DiffPolicyQuery = z.infer<typeof diffPolicyQuery>;
export const policyDiffAnswer = z
  .object({ from: z.int(), to: z.int().optional(), change: policyChange, sentences: z.array(z.string()) })
  .meta({ id: 'PolicyDiff' });
export type PolicyDiffAnswer = z.infer<typeof policyDiffAnswer>;
export const validateDraftAnswer = z
  .object({
    ...lintAnswer.shape,
    digest: z.string(),
    replaces: z.int().meta({ description: 'the version in force, for If-Match; 0: none' }),
    change: policyChange,
    diff: z.array(z.string()),
  })
  .meta({ id: 'DraftValidation' });
export type ValidateDraftAnswer = z.infer<typeof validateDraftAnswer>;
/** Warnings do not stop a publication whose author has seen them. */
export const publishDraftRequest = z
  .strictObject({
    digest: z
      .string()
      .regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in hex')
      .meta({ description: 'of the draft, as its validation told it: this one is published, or none' }),
    acknowledge: z
      .array(z.string().regex(/^G\d{3}$/))
      .max(64)
      .default([]),
  })
  .meta({ id: 'PublishDraftRequest' });
export type PublishDraftRequest = z.infer<typeof publishDraftRequest>;

const subject = z
  .string()
  .max(140)
  .regex(/^(svc|wl):[a-z0-9][a-z0-9/-]*$/, 'must be svc:name or wl:cluster/name');
const usedOperation = z.enum(GRANTED_OPERATIONS, { error: `must be one of ${GRANTED_OPERATIONS.join(', ')}` });
/** By which of its names each operation says what it is about. */
const named = (operation: GrantedOperation): 'keyId' | 'secretId' | undefined => {
  if (operation === 'GetRandomPassword') return undefined;
  return (SECRET_USES as readonly string[]).includes(operation) ? 'secretId' : 'keyId';
};
/** One imagined request, and whose rules decide it. What is left out is unknown, as it would be for a call that does not tell it. */
export const simulateRequest = z
  .strictObject({
    subject,
    operation: usedOperation,
    keyId: keyReference.optional().meta({ description: 'of every operation but those about secrets' }),
    secretId: secretReference.optional().meta({ description: 'of an operation about one; GetRandomPassword is about none' }),
    encryptionContext: encryptionContext.optional().meta({ description: 'not of secrets: each value has its own' }),
    at: z.iso.datetime({ offset: true }).optional().meta({ description: 'default: now' }),
    sourceAddress: z.union([z.ipv4(), z.ipv6()], { error: 'must be an IP address' }).optional(),
    authMethod: z.enum(SERVICE_AUTH_METHODS).optional(),
    justification: justification.optional(),
    against: z
      .union([z.literal('draft'), z.int().min(1)])
      .optional()
      .meta({ description: 'the draft or a version; default: the one in force' }),
  })
  .superRefine((asked, { addIssue }) => {
    const by = named(asked.operation);
    for (const field of ['keyId', 'secretId'] as const)
      if ((asked[field] === undefined) === (field === by))
        addIssue({ code: 'custom', path: [field], message: `${field === by ? 'is' : 'is not'} what ${asked.operation} is about` });
    if (by !== 'keyId' && asked.encryptionContext !== undefined)
      addIssue({ code: 'custom', path: ['encryptionContext'], message: `is not what ${asked.operation} is asked with` });
  })
  .meta({ id: 'SimulateRequest' });
export type SimulateRequest = z.infer<typeof simulateRequest>;
/** How one rule that names the request's subject, operation and key took it. */
export const ruleVerdict = z
  .object({
    ruleId: z.string(),
    effect: z.enum(['allow', 'deny']),
    applies: z.boolean(),
    conditions: z.array(
      z.object({ in: z.enum(['when', 'unless']), condition: z.enum(CONDITION_NAMES), truth: z.enum(['true', 'false', 'unknown']) }),
    ),
  })
  .meta({ id: 'RuleVerdict' });
export type RuleVerdict = z.infer<typeof ruleVerdict>;
export const simulateAnswer = z
  .object({
    allowed: z.boolean(),
    code: problemCode.optional().meta({ description: 'what the call would be answered with' }),
    policyVersion: z.int().optional(),
    grant: z.string().optional(),
    keyGrant: z.string().optional().meta({ description: 'of a value of a secret: the grant of the key that seals it' }),
    guardrail: z.string().optional(),
    stopId: stopId.optional(),
    rules: z.array(ruleVerdict),
    sentences: z.array(z.string()),
  })
  .meta({ id: 'Simulation' });
export type SimulateAnswer = z.infer<typeof simulateAnswer>;

const grantedOperation = z.enum([...GRANTED_OPERATIONS, ...WORKER_OPERATIONS]);
export const whoCanQuery = z
  .strictObject({
    keyId: keyReference.optional().meta({ description: 'default: every key of the tenant, spare ones included' }),
    secretId: secretReference.optional().meta({ description: 'this secret instead' }),
    operation: grantedOperation.optional(),
    cursor,
    limit,
  })
  .refine(({ keyId: key, secretId: secret }) => key === undefined || secret === undefined, {
    path: ['secretId'],
    error: 'is named instead of keyId',
  })
  .meta({ id: 'WhoCanQuery' });
export type WhoCanQuery = z.infer<typeof whoCanQuery>;
/** One caller that some grant names for a key, or a secret: by which grant, under which remaining conditions, except when. */
export const whoCanEntry = z
  .object({
    keyId: keyId.meta({ description: 'of a secret: the one that seals its values' }),
    aliases: z.array(alias),
    secret: z.object({ secretId, name: secretName }).optional(),
    subject: z.string().meta({
      description:
        'a service or workload; `worker`, by the rule that a rotation policy or a re-wrap is; `admin`: every one of the tenant, with its secrets',
    }),
    operations: z.array(grantedOperation),
    grant: z.string(),
    role: z.string().optional(),
    conditions: z.string().meta({ description: 'in words; empty: always' }),
    except: z.array(z.string()).meta({ description: 'guardrails and stops that take part of it away, in words' }),
  })
  .meta({ id: 'WhoCanEntry' });
export type WhoCanEntry = z.infer<typeof whoCanEntry>;

export const previewQuery = z.strictObject({ days: z.coerce.number().int().min(1).max(366).default(30) }).meta({ id: 'PreviewQuery' });
export type PreviewQuery = z.infer<typeof previewQuery>;
/** What the draft would have answered to the calls that the trail recorded. */
export const previewAnswer = z
  .object({
    from: time,
    calls: z.int().meta({ description: 'recorded calls that were judged' }),
    complete: z.boolean().meta({ description: 'false: there were more calls, and the oldest are left out' }),
    inAll: z
      .int()
      .optional()
      .meta({ description: 'where they are not complete: how many there were since the beginning of that day, UTC' }),
    newlyRefused: z.int(),
    newlyAllowed: z.int(),
    unjudged: z.int().meta({ description: 'the record does not hold what a condition asks about, or a limit is new' }),
    changes: z
      .array(
        z.object({
          subject: z.string(),
          operation: usedOperation,
          keyId,
          alias: alias.optional(),
          secret: secretName.optional().meta({ description: 'what it was about; the key is the one that seals its values' }),
          newlyRefused: z.int(),
          newlyAllowed: z.int(),
          unjudged: z.int(),
        }),
      )
      .meta({ description: 'the largest first, 100 at most' }),
    lockouts: z
      .array(z.object({ keyId, alias: alias.optional() }))
      .meta({ description: 'keys that were decrypted with in this time; nobody could any more, neither these callers nor another' }),
    sentences: z.array(z.string()),
  })
  .meta({ id: 'PolicyPreview' });
export type PreviewAnswer = z.infer<typeof previewAnswer>;

// Stops
export const stopRequest = z.strictObject({ target: stopTarget, reason: line(512).default('') }).meta({ id: 'StopRequest' });
export type StopRequest = z.infer<typeof stopRequest>;
/** What a stop can promise, from its place in the trail on. */
export const revocationReceipt = z
  .object({
    seq: z.int().meta({ description: 'place of the stop in the log: no record behind it is of a use that it covers, until it is lifted' }),
    recordedAt: time,
    lastAllowed: z
      .object({ seq: z.int(), recordedAt: time })
      .optional()
      .meta({ description: 'the last use that it covers and that was allowed before it; absent: none among the records looked at' }),
    answersUntil: time.meta({ description: 'answers that were accepted before the stop may still arrive until then' }),
    leases: z
      .object({
        count: z.int(),
        complete: z.boolean().meta({ description: 'false: there were more calls than were looked at; count is the least' }),
        until: time.optional(),
      })
      .meta({
        description:
          'data keys handed out before the stop that an honest SDK may still hold, by their leases, and until when at the latest',
      }),
    checkpoint: z
      .string()
      .optional()
      .meta({ description: 'signed tree head that covers the record, once there is one: GET the stop again' }),
    spareKeys: z
      .array(keyId)
      .meta({ description: 'for a stop of one key: other keys, of the oldest 1000, that the same services may still use' }),
  })
  .meta({ id: 'RevocationReceipt' });
export type RevocationReceipt = z.infer<typeof revocationReceipt>;
export const stopAnswer = z
  .object({
    stopId,
    target: stopTarget,
    reason: z.string(),
    stoppedBy: z.string(),
    stoppedAt: time,
    liftedAt: time.optional(),
    liftedBy: z.string().optional(),
    receipt: revocationReceipt.optional(),
  })
  .meta({ id: 'Stop' });
export type StopAnswer = z.infer<typeof stopAnswer>;

export const tenantPath = z.strictObject({ tenant: tenantId });
export const keyPath = z.strictObject({ tenant: tenantId, key: keyId });
export const stopPath = z.strictObject({ tenant: tenantId, stop: stopId });
export const credentialPath = z.strictObject({ tenant: tenantId, credential: credentialId });
export const policyVersionPath = z.strictObject({ tenant: tenantId, version: z.coerce.number().int().min(1) });
export const suspensionPath = z.strictObject({ suspended: tenantId });
export const servicePath = z.strictObject({ service: serviceName });
export const serviceCredentialPath = z.strictObject({ service: serviceName, credential: credentialId });
