import { z } from 'zod';
import { alias, credentialId, keyId, keyReference, keyVersionId, principalName, serviceName, stopId, tenantId } from './identifiers.js';
import { policyDocument, stopTarget } from './policy.js';
import { role } from './principal.js';
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
  .object({ tenant: tenantId, displayName: z.string(), state: z.enum(['Pending', 'Active']), createdAt: time })
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
export const registerServiceRequest = z
  .strictObject({ service: serviceName, description: prose(512).default('') })
  .meta({ id: 'RegisterServiceRequest' });
export type RegisterServiceRequest = z.infer<typeof registerServiceRequest>;
export const serviceSummary = z.object({ service: serviceName, description: z.string(), createdAt: time }).meta({ id: 'Service' });
export type ServiceSummary = z.infer<typeof serviceSummary>;

// Credentials
export const issueCredentialRequest = z
  .strictObject({ principal: principalName, role: z.enum(['admin', 'auditor']), expiresInDays: z.int().min(1).max(366).default(90) })
  .meta({ id: 'IssueCredentialRequest' });
export type IssueCredentialRequest = z.infer<typeof issueCredentialRequest>;
export const issueServiceCredentialRequest = z
  .strictObject({ expiresInDays: z.int().min(1).max(366).default(90) })
  .meta({ id: 'IssueServiceCredentialRequest' });
export type IssueServiceCredentialRequest = z.infer<typeof issueServiceCredentialRequest>;
export const issuedCredential = z
  .object({ credentialId, principal: principalName, role, apiKey: z.string().meta({ description: 'shown once' }), expiresAt: time })
  .meta({ id: 'IssuedCredential' });
export type IssuedCredential = z.infer<typeof issuedCredential>;
export const credentialSummary = z
  .object({ credentialId, principal: principalName, role, createdAt: time, expiresAt: time, revokedAt: time.optional() })
  .meta({ id: 'Credential' });
export type CredentialSummary = z.infer<typeof credentialSummary>;

// Keys
export const keyState = z.enum(['PendingImport', 'Enabled', 'Disabled', 'PendingDeletion', 'Destroyed']);
export type KeyState = z.infer<typeof keyState>;
export const createKeyRequest = z
  .strictObject({
    keySpec: z.enum(['AES_256']).default('AES_256'),
    keyUsage: z.enum(['ENCRYPT_DECRYPT']).default('ENCRYPT_DECRYPT'),
    description: prose(8192).default(''),
    alias: alias.optional().meta({ description: 'a first alias, made in the same step' }),
  })
  .meta({ id: 'CreateKeyRequest' });
export type CreateKeyRequest = z.infer<typeof createKeyRequest>;
export const keyDescription = z
  .object({
    keyId,
    state: keyState,
    keySpec: z.string(),
    keyUsage: z.string(),
    origin: z.string(),
    protectionLevel: z.enum(['HSM', 'SOFTWARE_TOKEN', 'SOFTWARE']),
    description: z.string(),
    aliases: z.array(alias),
    primaryVersion: keyVersionId,
    createdAt: time,
  })
  .meta({ id: 'Key' });
export type KeyDescription = z.infer<typeof keyDescription>;
export const createAliasRequest = z.strictObject({ alias, keyId }).meta({ id: 'CreateAliasRequest' });
export type CreateAliasRequest = z.infer<typeof createAliasRequest>;
export const aliasAnswer = z.object({ alias, keyId }).meta({ id: 'Alias' });
export type AliasAnswer = z.infer<typeof aliasAnswer>;
export const describeKeyInput = z.strictObject({ keyId: keyReference });

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

// Stops
export const stopRequest = z.strictObject({ target: stopTarget, reason: line(512).default('') }).meta({ id: 'StopRequest' });
export type StopRequest = z.infer<typeof stopRequest>;
export const stopAnswer = z
  .object({
    stopId,
    target: stopTarget,
    reason: z.string(),
    stoppedBy: z.string(),
    stoppedAt: time,
    liftedAt: time.optional(),
    liftedBy: z.string().optional(),
  })
  .meta({ id: 'Stop' });
export type StopAnswer = z.infer<typeof stopAnswer>;

export const tenantPath = z.strictObject({ tenant: tenantId });
export const keyPath = z.strictObject({ tenant: tenantId, key: keyId });
export const stopPath = z.strictObject({ tenant: tenantId, stop: stopId });
export const credentialPath = z.strictObject({ tenant: tenantId, credential: credentialId });
export const servicePath = z.strictObject({ service: serviceName });
export const serviceCredentialPath = z.strictObject({ service: serviceName, credential: credentialId });
