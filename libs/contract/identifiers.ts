import { z } from 'zod';

/** Crockford's base 32 in lower case: 26 characters carry the 128 bits of a UUIDv7 (RFC 9562). */
const uuid26 = '[0-7][0-9a-hjkmnp-tv-z]{25}';

/** An id: its prefix, `_`, and those 26 characters. */
export const prefixedId = (prefix: string) => z.string().regex(new RegExp(`^${prefix}_${uuid26}$`), `must be ${prefix}_ and 26 characters`);

/** Chosen at onboarding, immutable, never used again for another tenant. */
export const tenantId = z
  .string()
  .regex(/^[a-z][a-z0-9-]{1,30}$/, 'must be 2 to 31 of a-z, 0-9 and -, starting with a letter')
  .brand<'TenantId'>();
export type TenantId = z.infer<typeof tenantId>;

/** The ISV itself: owner of operators, services and their credentials. */
export const PLATFORM = 'platform' as TenantId;

export const keyId = prefixedId('key').brand<'KeyId'>();
export type KeyId = z.infer<typeof keyId>;

export const keyVersionId = prefixedId('kver').brand<'KeyVersionId'>();
export type KeyVersionId = z.infer<typeof keyVersionId>;

export const credentialId = prefixedId('crd').brand<'CredentialId'>();
export type CredentialId = z.infer<typeof credentialId>;

export const stopId = prefixedId('stop').brand<'StopId'>();
export type StopId = z.infer<typeof stopId>;

/** Of work that goes on after its call was answered. */
export const longOperationId = prefixedId('op').brand<'LongOperationId'>();
export type LongOperationId = z.infer<typeof longOperationId>;

export const importToken = prefixedId('imp').brand<'ImportToken'>();
export type ImportToken = z.infer<typeof importToken>;

export const secretId = prefixedId('sec').brand<'SecretId'>();
export type SecretId = z.infer<typeof secretId>;

/** Unique in the tenant, while there is the secret; never of the form of an id. */
export const secretName = z
  .string()
  .regex(/^[A-Za-z0-9_/+=.@-]{1,192}$/, 'must be 1 to 192 of letters, digits, _, /, +, =, ., @ and -')
  .refine((name) => !secretId.safeParse(name).success, 'must not look like an id')
  .brand<'SecretName'>();
export type SecretName = z.infer<typeof secretName>;

/** A secret as a body names it. */
export const secretReference = z.union([secretId, secretName], { error: 'must be a secret’s id or name' });
export type SecretReference = z.infer<typeof secretReference>;

const RESERVED = /^alias\/(acs|aws)/;
const MANAGED = /^alias\/acs\/([a-z][a-z0-9-]{0,62})$/;
const reserved = 'alias/acs… and alias/aws… are reserved';
/** `alias/` and 1–255 of letters, digits, `_`, `-`, `/`; of the clouds' own prefixes only those of managed keys are there. */
export const alias = z
  .string()
  .regex(/^alias\/[A-Za-z0-9_/-]{1,255}$/, 'must be alias/ and 1 to 255 of letters, digits, _, - and /')
  .refine((name) => !RESERVED.test(name) || MANAGED.test(name), reserved)
  .brand<'Alias'>();
export type Alias = z.infer<typeof alias>;
/** One that people give and take. */
export const ownAlias = alias.refine((name) => !RESERVED.test(name), reserved);

/** A key as a body names it: its id or one of its aliases. */
export const keyReference = z.union([keyId, alias], { error: 'must be a key id or alias/name' });
export type KeyReference = z.infer<typeof keyReference>;

/** A person, a service or a job: what a credential speaks for. */
export const principalName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._@-]{0,62}$/, 'must be 1 to 63 of a-z, 0-9, ., _, @ and -')
  .brand<'PrincipalName'>();
export type PrincipalName = z.infer<typeof principalName>;

export const serviceName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/, 'must be 1 to 63 of a-z, 0-9 and -, starting with a letter')
  .brand<'ServiceName'>();
export type ServiceName = z.infer<typeof serviceName>;

/** The name of the key that is kept for a service: nobody else gives it, moves it or takes it away. */
export const managedAlias = (service: ServiceName): Alias => `alias/acs/${service}` as Alias;
/** The service that a key is kept for. */
export const managedBy = (aliases: readonly string[]): ServiceName | undefined =>
  aliases.map((name) => MANAGED.exec(name)?.[1]).find((service) => service !== undefined) as ServiceName | undefined;
