import { z } from 'zod';
import {
  alias,
  authMethod,
  credentialId,
  GRANTED_OPERATIONS,
  identityProviderAnswer,
  KEY_ORIGINS,
  KEY_SPECS,
  KEY_USAGES,
  keyId,
  keyState,
  keyVersionId,
  policyDocument,
  role,
  servicePublicKey,
  stopId,
  stopTarget,
  tenantId,
} from '#contract';

/** What the functions of migration 0007 answer. A row that does not parse is no authority. */
const bytes = z.hex().transform((text) => Buffer.from(text, 'hex'));
/** PostgreSQL knows times that JavaScript does not, such as `infinity`. */
const time = z.string().pipe(z.coerce.date());
const timeText = time.transform((at) => at.toISOString());
const optional = <Schema extends z.ZodType>(schema: Schema) => schema.nullable().transform((value) => value ?? undefined);

/** An operation that this code does not know is none that anybody could ask it for. */
const catalogued = z.array(z.string()).transform((names) => GRANTED_OPERATIONS.filter((operation) => names.includes(operation)));

/** What MACs cover, and where a MAC of its own stands beside it. */
export const policyColumns = z.object({
  version: z.int(),
  digest: z.string(),
  author: z.string(),
  publishedAt: timeText,
  document: policyDocument,
});
export const stopColumns = z.object({ stopId, target: stopTarget, stoppedBy: z.string(), stoppedAt: timeText });
export const versionColumns = z.object({
  versionId: keyVersionId,
  spec: z.enum(KEY_SPECS),
  usage: z.enum(KEY_USAGES),
  origin: z.enum(KEY_ORIGINS),
  protectionLevel: z.enum(['HSM', 'SOFTWARE_TOKEN', 'SOFTWARE']),
  logId: z.string(),
  blob: bytes,
  publicKey: optional(bytes),
  imported: optional(z.object({ check: bytes, validTo: z.int(), inMemory: z.boolean() })),
});
export const credentialColumns = z.object({
  tenant: tenantId,
  credentialId,
  principal: z.string(),
  role,
  authMethod,
  mac: bytes,
  subject: optional(z.string()),
  issuer: optional(z.string()),
  publicKey: optional(servicePublicKey),
  createdAt: time,
  expiresAt: time,
});
export const identityProviderColumns = z.object({ ...identityProviderAnswer.shape, changedAt: timeText, version: z.string() });

export const rulesRow = z.object({
  tenant: tenantId,
  state: z.enum(['Pending', 'Active', 'Ended']),
  epoch: z.uuid(),
  platformEpoch: z.uuid(),
  log: z.object({ logId: z.string(), origin: z.string(), vkey: z.string() }),
  contextSalt: bytes,
  policy: optional(policyColumns.extend({ mac: bytes })),
  stops: z.array(stopColumns.extend({ mac: optional(bytes) })),
  lifted: z.object({ count: z.int(), digest: bytes, mac: optional(bytes) }),
  services: z
    .array(z.object({ service: z.string(), operations: catalogued, suspended: z.boolean() }))
    .transform((services) => new Map(services.map(({ service, ...entry }) => [service, entry]))),
  suspended: z.boolean(),
});

export const keyRow = z.object({
  epoch: z.uuid(),
  key: z
    .object({
      keyId,
      state: keyState,
      description: z.string(),
      createdAt: time,
      tags: z.record(z.string(), z.string()),
      primaryVersion: keyVersionId,
      aliases: z.array(alias),
      namesMac: bytes,
      deletionProtection: z.boolean(),
      deletion: optional(z.object({ at: time, stateBefore: keyState })),
      rotation: optional(z.object({ version: z.int(), intervalDays: optional(z.int()), mac: bytes })),
      exhausted: z.boolean(),
      versions: z.array(versionColumns.extend({ mac: bytes })),
    })
    .nullable(),
});

export const credentialRow = z.object({
  epoch: z.uuid(),
  credential: credentialColumns.extend({ revokedAt: optional(time), bindingMac: bytes }),
});

export const identityProviderRow = z.object({
  epoch: z.uuid(),
  provider: identityProviderColumns.extend({ mac: bytes }),
});
