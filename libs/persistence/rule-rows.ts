import { z } from 'zod';
import { alias, credentialId, keyId, keyState, keyVersionId, policyDocument, role, stopId, stopTarget, tenantId } from '#contract';
import { KEY_SPECS } from '#core';

/** What rules_of, key_of and credential_of answer (migration 0007). A row that does not parse is no authority. */
const bytes = z.hex().transform((text) => Buffer.from(text, 'hex'));
const time = z.string().transform((text) => new Date(text));

export const rulesRow = z.object({
  tenant: tenantId,
  state: z.enum(['Pending', 'Active']),
  epoch: z.uuid(),
  platformEpoch: z.uuid(),
  log: z.object({ logId: z.string(), origin: z.string(), vkey: z.string() }),
  contextSalt: bytes,
  policy: z
    .object({
      version: z.int(),
      digest: z.string(),
      author: z.string(),
      publishedAt: time.transform((at) => at.toISOString()),
      document: policyDocument,
    })
    .nullable(),
  stops: z.array(z.object({ stopId, target: stopTarget })),
  suspendedServices: z.array(z.string()),
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
      versions: z.array(
        z.object({
          versionId: keyVersionId,
          spec: z.enum(KEY_SPECS),
          usage: z.literal('ENCRYPT_DECRYPT'),
          origin: z.literal('KEYWARD'),
          protectionLevel: z.enum(['HSM', 'SOFTWARE_TOKEN', 'SOFTWARE']),
          logId: z.string(),
          blob: bytes,
          mac: bytes,
        }),
      ),
    })
    .nullable(),
});

export const credentialRow = z.object({
  epoch: z.uuid(),
  credential: z.object({
    tenant: tenantId,
    credentialId,
    principal: z.string(),
    role,
    mac: bytes,
    expiresAt: time,
    revokedAt: time.nullable(),
  }),
});
