import { z } from 'zod';
import {
  type Alias,
  type CredentialSummary,
  type KeyDescription,
  keyId,
  type KeyVersionSummary,
  type PolicyVersionSummary,
  principalName,
  serviceName,
  type ServiceSummary,
  type ShreddingReceiptAnswer,
  type StopAnswer,
  type SuspensionAnswer,
} from '#contract';
import { describeMaterial, drawnAt, keptFor, type StoredBindingKey } from '#core';
import { orNone } from './function-answer.js';
import type { CmkRow, CredentialRow, KeyVersionRow, ServiceRow, SuspensionRow } from './entities.js';
import type { PolicyRow, StopRow } from './rule-entities.js';

/** Rows as people are told of them. */
export const iso = (at: Date): string => at.toISOString();

export const serviceSummary = ({ service, description, operations, suspended, createdAt }: ServiceRow): ServiceSummary => ({
  ...{ service: serviceName.parse(service), description, operations, suspended },
  createdAt: iso(createdAt),
});

export const suspensionAnswer = ({ suspendedTenant, reason, suspendedBy, suspendedAt }: SuspensionRow): SuspensionAnswer => ({
  ...{ tenant: suspendedTenant, reason, suspendedBy },
  suspendedAt: iso(suspendedAt),
});

export const policyVersionSummary = ({ version, digest, author, publishedAt }: PolicyRow): PolicyVersionSummary => ({
  ...{ version, digest, author },
  publishedAt: iso(publishedAt),
});

export const credentialSummary = ({ subject, createdAt, expiresAt, revokedAt, ...row }: CredentialRow): CredentialSummary => ({
  credentialId: row.credentialId,
  principal: principalName.parse(row.principal),
  role: row.role,
  authMethod: row.authMethod,
  ...(subject !== null && { subject }),
  createdAt: iso(createdAt),
  expiresAt: iso(expiresAt),
  ...(revokedAt !== null && { revokedAt: iso(revokedAt) }),
});

export const stopAnswer = ({ stopId, target, reason, stoppedBy, stoppedAt, liftedAt, liftedBy }: StopRow): StopAnswer => ({
  stopId,
  target,
  reason,
  stoppedBy,
  stoppedAt: iso(stoppedAt),
  ...(liftedAt !== null && { liftedAt: iso(liftedAt) }),
  ...(liftedBy !== null && { liftedBy }),
});

export const rootRow = z.object({ number: z.int(), startedAt: orNone(z.date()), endedAt: orNone(z.date()), left: z.int() });

export const bindingKeyRow = z
  .object({
    ...{ number: z.int(), started_at: orNone(z.date()), ended_at: orNone(z.date()), rebound: z.boolean(), retired: z.boolean() },
    ...{ broken: z.int(), waiting: z.coerce.number() },
  })
  .transform(
    ({ started_at: startedAt, ended_at: endedAt, waiting: left, ...row }): StoredBindingKey => ({ ...row, startedAt, endedAt, left }),
  );

/** PostgreSQL's form of a time becomes ours, and NULL nothing. */
export const receiptRow = z.object({ keyId, destroyedAt: z.coerce.date(), receipt: z.string().nullable() }).transform(
  ({ keyId: id, destroyedAt, receipt }): ShreddingReceiptAnswer => ({
    ...{ keyId: id, destroyedAt: iso(destroyedAt) },
    ...(receipt !== null && { receipt }),
  }),
);

export function keyDescription(key: CmkRow, primary: KeyVersionRow | undefined, aliases: Alias[]): KeyDescription {
  if (primary === undefined) throw new Error(`${key.keyId} has no primary version.`);
  const { keyId: id, state, description, tags, primaryVersion, createdAt, deletionProtection, deletionAt, destroyedAt } = key;
  const { spec: keySpec, usage: keyUsage, origin, protectionLevel, importCheck: check, validTo, inMemory, exhausted } = primary;
  return {
    ...{ keyId: id, state, keySpec, keyUsage, origin, protectionLevel, description, aliases, tags, primaryVersion, ...keptFor(aliases) },
    ...{ createdAt: iso(createdAt), deletionProtection, ...(deletionAt !== null && { deletionAt: iso(deletionAt) }) },
    ...(destroyedAt !== null && { destroyedAt: iso(destroyedAt) }),
    ...(exhausted && { exhausted }),
    ...(check !== null && describeMaterial({ check, validTo: Number(validTo), inMemory: inMemory === true })),
  };
}

export const keyVersionSummary = (
  { versionId, protectionLevel, blob, publicKey }: KeyVersionRow,
  primary: string | undefined,
): KeyVersionSummary => ({
  keyVersionId: versionId,
  primary: versionId === primary,
  protectionLevel,
  createdAt: iso(drawnAt(versionId)),
  ...(blob.length === 0 && publicKey === null && versionId !== primary && { retired: true as const }),
});
