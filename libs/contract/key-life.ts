import { z } from 'zod';
import { TRIED_ALGORITHMS } from './asymmetric-algorithms.js';
import { alias, keyId, keyReference, keyVersionId, ownAlias, serviceName } from './identifiers.js';
import { pageQuery } from './key-operations.js';
import { keyRotation } from './key-rotation.js';
import { GRANTED_OPERATIONS } from './operations.js';
import { plainMap } from './plain-map.js';
import { line, prose } from './text.js';

export const MAX_DESCRIPTION_CHARACTERS = 8192;
export const MAX_TAGS = 20;
const MAX_TAG_CHARACTERS = 128;
export const DELETION_DAYS = { shortest: 7, longest: 366, usual: 30 } as const;

const time = z.iso.datetime().meta({ description: 'RFC 3339, UTC' });

export const keyState = z.enum(['PendingImport', 'Enabled', 'Disabled', 'PendingDeletion', 'Destroyed']);
export type KeyState = z.infer<typeof keyState>;

export const KEY_ORIGINS = ['KEYWARD', 'EXTERNAL'] as const;
export type KeyOrigin = (typeof KEY_ORIGINS)[number];
export const KEY_USAGES = ['ENCRYPT_DECRYPT', 'GENERATE_VERIFY_MAC', 'SIGN_VERIFY'] as const;
export type KeyUsage = (typeof KEY_USAGES)[number];
/** Used in the custodian's memory, because no HSM here knows these algorithms: protection level SOFTWARE. */
export const SOFTWARE_SPECS = ['SM4', 'HMAC_SM3', 'EC_SM2'] as const;
export type SoftwareSpec = (typeof SOFTWARE_SPECS)[number];
export const KEY_SPECS = [
  ...(['AES_256', 'AES_128', 'HMAC_256', 'HMAC_384', 'HMAC_512', 'EC_P256', 'EC_P384', 'EC_P256K', 'ED25519'] as const),
  ...(['RSA_2048', 'RSA_3072', 'RSA_4096'] as const),
  ...SOFTWARE_SPECS,
] as const;
export type KeySpec = (typeof KEY_SPECS)[number];
/** What keys of a spec can be for; fixed at creation. Where there is a choice, whoever makes the key says which. */
export const USAGES_OF: Readonly<Record<KeySpec, readonly [KeyUsage, ...KeyUsage[]]>> = {
  AES_256: ['ENCRYPT_DECRYPT'],
  AES_128: ['ENCRYPT_DECRYPT'],
  HMAC_256: ['GENERATE_VERIFY_MAC'],
  HMAC_384: ['GENERATE_VERIFY_MAC'],
  HMAC_512: ['GENERATE_VERIFY_MAC'],
  EC_P256: ['SIGN_VERIFY'],
  EC_P384: ['SIGN_VERIFY'],
  EC_P256K: ['SIGN_VERIFY'],
  ED25519: ['SIGN_VERIFY'],
  RSA_2048: ['SIGN_VERIFY', 'ENCRYPT_DECRYPT'],
  RSA_3072: ['SIGN_VERIFY', 'ENCRYPT_DECRYPT'],
  RSA_4096: ['SIGN_VERIFY', 'ENCRYPT_DECRYPT'],
  SM4: ['ENCRYPT_DECRYPT'],
  HMAC_SM3: ['GENERATE_VERIFY_MAC'],
  EC_SM2: ['SIGN_VERIFY'],
};
const keySpec = z.enum(KEY_SPECS, { error: `must be one of ${KEY_SPECS.join(', ')}` });
const keyUsage = z.enum(KEY_USAGES, { error: `must be one of ${KEY_USAGES.join(', ')}` });

export const description = prose(MAX_DESCRIPTION_CHARACTERS);
const tagText = (min: number) =>
  z
    .string()
    .min(min)
    .max(MAX_TAG_CHARACTERS)
    .regex(/^[A-Za-z0-9/\\_.+=:@-]*$/, `must be ${min} to ${MAX_TAG_CHARACTERS} of letters, digits and / \\ _ - . + = : @`);
const tagName = tagText(1);
export const tags = plainMap(tagName, tagText(0)).refine((map) => Object.keys(map).length <= MAX_TAGS, `must be at most ${MAX_TAGS}`);

export const createKeyRequest = z
  .strictObject({
    keySpec: keySpec.default('AES_256'),
    keyUsage: keyUsage.optional().meta({ description: 'fixed at creation; needed where a spec is good for more than one' }),
    origin: z.enum(KEY_ORIGINS).default('KEYWARD').meta({ description: 'EXTERNAL: the material will be imported' }),
    description: description.default(''),
    alias: ownAlias.optional().meta({ description: 'a first alias, made in the same step' }),
    service: serviceName.optional().meta({
      description:
        'keeps the key for this service: alias/acs/<service>, with deletion protection, and not disabled or ended unless the service is named again',
    }),
    tags: tags.optional(),
    deletionProtection: z.boolean().optional().meta({ description: 'deletion cannot be scheduled until it is switched off' }),
  })
  .refine(({ service, origin }) => service === undefined || origin === 'KEYWARD', {
    path: ['service'],
    message: 'is for keys that are made in the HSM',
  })
  .refine(({ keySpec: spec, keyUsage: usage }) => usage === undefined || USAGES_OF[spec].includes(usage), {
    path: ['keyUsage'],
    message: 'does not fit the spec',
  })
  .refine(({ keySpec: spec, keyUsage: usage }) => usage !== undefined || USAGES_OF[spec].length === 1, {
    path: ['keyUsage'],
    message: 'is needed: keys of this spec are for signatures or for encryption',
  })
  .meta({ id: 'CreateKeyRequest' });
export type CreateKeyRequest = z.infer<typeof createKeyRequest>;
export const keyDescription = z
  .object({
    keyId,
    state: keyState,
    keySpec,
    keyUsage,
    origin: z.string(),
    protectionLevel: z.enum(['HSM', 'SOFTWARE_TOKEN', 'SOFTWARE']),
    description: z.string(),
    aliases: z.array(alias),
    managedBy: serviceName.optional().meta({ description: 'the service that the key is kept for' }),
    tags: z.record(z.string(), z.string()),
    primaryVersion: keyVersionId,
    createdAt: time,
    deletionProtection: z.boolean(),
    checkValue: z.string().optional().meta({ description: 'of imported material: hexadecimal, 5 bytes of a MAC by the key itself' }),
    validTo: time.optional().meta({ description: 'of imported material: from then on it is not used' }),
    inMemory: z.literal(true).optional().meta({ description: 'the ephemeral key of its import passed the memory of the custodian' }),
    exhausted: z.literal(true).optional().meta({
      description: 'its primary version has sealed as much as it safely can: it opens, and seals nothing more until there is a next one',
    }),
    deletionAt: time.optional().meta({ description: 'while PendingDeletion: when it will be destroyed' }),
    lastUse: z
      .object({ at: time, operation: z.enum(GRANTED_OPERATIONS), service: z.string() })
      .optional()
      .meta({ description: 'the last that succeeded, where one key is described and was ever used' }),
    rotation: keyRotation.optional().meta({ description: 'its rotation policy, where one key is described and ever had one' }),
    destroyedAt: time.optional(),
  })
  .meta({ id: 'Key' });
export type KeyDescription = z.infer<typeof keyDescription>;

export const listKeysQuery = z
  .strictObject({
    ...pageQuery.shape,
    state: keyState.optional(),
    keySpec: keySpec.optional(),
    keyUsage: keyUsage.optional(),
    tag: z
      .string()
      .max(2 * MAX_TAG_CHARACTERS + 1)
      .regex(/^[A-Za-z0-9/\\_.+=:@-]+=[A-Za-z0-9/\\_.+=:@-]*$/, 'must be name=value')
      .optional()
      .meta({ description: 'name=value' }),
  })
  .meta({ id: 'ListKeysQuery' });
export type ListKeysQuery = z.infer<typeof listKeysQuery>;

export const describeKeyInput = z.strictObject({ keyId: keyReference });
export const keyDescriptionRequest = z.strictObject({ description }).meta({ id: 'KeyDescriptionRequest' });
export type KeyDescriptionRequest = z.infer<typeof keyDescriptionRequest>;
export const tagKeyRequest = z
  .strictObject({ tags: tags.refine((map) => Object.keys(map).length > 0, 'must name at least one') })
  .meta({ id: 'TagKeyRequest' });
export type TagKeyRequest = z.infer<typeof tagKeyRequest>;
export const untagKeyRequest = z.strictObject({ names: z.array(tagName).min(1).max(MAX_TAGS) }).meta({ id: 'UntagKeyRequest' });
export type UntagKeyRequest = z.infer<typeof untagKeyRequest>;
export const meant = serviceName
  .optional()
  .meta({ description: 'of a key that is kept for a service: its name, as a sign that this key is meant' });
export const disableKeyRequest = z.strictObject({ service: meant }).optional().meta({ id: 'DisableKeyRequest' });
export type DisableKeyRequest = z.infer<typeof disableKeyRequest>;
export const deletionProtectionRequest = z.strictObject({ enabled: z.boolean(), service: meant }).meta({ id: 'DeletionProtectionRequest' });
export type DeletionProtectionRequest = z.infer<typeof deletionProtectionRequest>;
export const scheduleDeletionRequest = z
  .strictObject({
    pendingDays: z.int().min(DELETION_DAYS.shortest).max(DELETION_DAYS.longest).default(DELETION_DAYS.usual),
    service: meant,
  })
  .meta({ id: 'ScheduleDeletionRequest' });
export type ScheduleDeletionRequest = z.infer<typeof scheduleDeletionRequest>;

export const shreddingReceiptAnswer = z
  .object({
    keyId,
    destroyedAt: time,
    receipt: z
      .string()
      .optional()
      .meta({ description: "a note signed by the key of the tenant's log (C2SP signed-note); absent: custody has not made it yet" }),
  })
  .meta({ id: 'ShreddingReceipt' });
export type ShreddingReceiptAnswer = z.infer<typeof shreddingReceiptAnswer>;

export const bindingKeyAnswer = z
  .object({
    number: z.int().meta({ description: 'of the key that binds; 0: the first' }),
    rotating: z.boolean().meta({ description: 'there is an older one beside it, by which rows are still known' }),
    left: z.int().meta({ description: 'rows that have yet to be bound by it' }),
    broken: z.int().meta({ description: 'rows that the older key had not bound either: they stay no authority' }),
    rebound: z.boolean().meta({ description: 'nothing is left: the older one may be retired' }),
    retired: z.boolean().meta({ description: 'the older one is to be destroyed, or is' }),
    startedAt: time.optional(),
    endedAt: time.optional().meta({ description: 'when the older one was destroyed' }),
  })
  .meta({ id: 'BindingKey' });
export type BindingKeyAnswer = z.infer<typeof bindingKeyAnswer>;

export const rootAnswer = z
  .object({
    root: z.int().meta({ description: 'number of the root that wraps the keys of the tenant; 0: the first one' }),
    rotating: z.boolean().meta({ description: 'keys are still being wrapped anew, or the older root is not destroyed yet' }),
    left: z.int().meta({ description: 'wrapped keys that wait for it' }),
    startedAt: time.optional().meta({ description: 'of the last rotation' }),
    endedAt: time.optional().meta({ description: 'when the older root was destroyed' }),
  })
  .meta({ id: 'TenantRoot' });
export type RootAnswer = z.infer<typeof rootAnswer>;

// What the HSM can do
export const capabilitiesAnswer = z
  .object({
    module: z.string().meta({ description: 'as the PKCS#11 module tells its name and version' }),
    protectionLevel: z.enum(['HSM', 'SOFTWARE_TOKEN', 'SOFTWARE']),
    specs: z.array(
      z.object({
        keySpec,
        keyUsages: z.array(keyUsage).meta({ description: 'what keys of it can be for' }),
        protectionLevel: z.enum(['HSM', 'SOFTWARE_TOKEN', 'SOFTWARE']).meta({ description: 'of a key of this spec' }),
        available: z.boolean().meta({ description: 'tried at the custodian’s start: made, wrapped, unwrapped and used' }),
        reason: z.string().optional().meta({ description: 'why not' }),
      }),
    ),
    algorithms: z
      .array(
        z.object({
          ...{ algorithm: z.enum(TRIED_ALGORITHMS), available: z.boolean(), reason: z.string().optional() },
          inMemory: z
            .literal(true)
            .optional()
            .meta({ description: 'by it the ephemeral key of an import passes the memory of the custodian' }),
        }),
      )
      .meta({
        description: 'for RSA keys that decrypt, and for the import of keys',
      }),
  })
  .meta({ id: 'Capabilities' });
export type CapabilitiesAnswer = z.infer<typeof capabilitiesAnswer>;

// Versions
export const createKeyVersionRequest = z
  .strictObject({ reason: line(512).min(1).optional().meta({ description: 'why, for the trail' }) })
  .meta({ id: 'CreateKeyVersionRequest' });
export type CreateKeyVersionRequest = z.infer<typeof createKeyVersionRequest>;
export const keyVersionSummary = z
  .object({
    keyVersionId,
    primary: z.boolean().meta({ description: 'encrypts and signs; the others only decrypt and verify' }),
    protectionLevel: z.enum(['HSM', 'SOFTWARE_TOKEN', 'SOFTWARE']),
    createdAt: time,
    retired: z
      .literal(true)
      .optional()
      .meta({ description: 'its material is destroyed: what it sealed opens no more, unless an older database is restored' }),
  })
  .meta({ id: 'KeyVersion' });
export type KeyVersionSummary = z.infer<typeof keyVersionSummary>;

// Aliases
export const aliasTarget = z.strictObject({ alias: ownAlias, keyId }).meta({ id: 'AliasTarget' });
export type AliasTarget = z.infer<typeof aliasTarget>;
export const aliasAnswer = z.object({ alias, keyId }).meta({ id: 'Alias' });
export type AliasAnswer = z.infer<typeof aliasAnswer>;
export const listAliasesQuery = z
  .strictObject({ ...pageQuery.shape, keyId: keyId.optional().meta({ description: 'only the aliases of this key' }) })
  .meta({ id: 'ListAliasesQuery' });
export type ListAliasesQuery = z.infer<typeof listAliasesQuery>;
export const aliasQuery = z.strictObject({ alias: ownAlias });
