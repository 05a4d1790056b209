import { createHash } from 'node:crypto';
import { canonicalJson } from './canonical-json.js';
import type { RuleRow } from './ports/custody.js';
import type { BoundRewrap } from './ports/moved-items.js';
import type {
  LiftedStops,
  StoredCredential,
  StoredIdentityProvider,
  StoredKey,
  StoredPolicy,
  StoredRotation,
  StoredStop,
} from './ports/rules.js';
import type { StoredSecret } from './ports/secrets.js';
import { PLATFORM, type TenantId } from '#contract';

/** What the binding MAC of each kind of row covers: everything that gives it its meaning. Canonical JSON (RFC 8785), so no field swallows its neighbour. */
const row = (tenant: TenantId, kind: RuleRow['kind'], id: string, content: unknown): RuleRow => ({
  tenant,
  kind,
  id,
  digest: createHash('sha256').update(canonicalJson(content)).digest(),
});

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export const policyRow = (tenant: TenantId, { version, digest, author, publishedAt, document }: Omit<StoredPolicy, 'mac'>): RuleRow =>
  row(tenant, 'policy', String(version), { digest, author, publishedAt, document });

export const stopRow = (tenant: TenantId, { stopId, target, stoppedBy, stoppedAt }: Omit<StoredStop, 'mac'>): RuleRow =>
  row(tenant, 'stop', stopId, { target, stoppedBy, stoppedAt });

export const liftedStopsRow = (tenant: TenantId, { count, digest }: Omit<LiftedStops, 'mac'>): RuleRow =>
  row(tenant, 'lifted-stops', String(count), { digest: hex(digest) });

export function credentialRow(credential: Omit<StoredCredential, 'bindingMac' | 'revokedAt' | 'unproven'>): RuleRow {
  const { tenant, credentialId, principal, role, authMethod, mac, subject, issuer, publicKey, createdAt, expiresAt } = credential;
  return row(tenant, 'credential', credentialId, {
    ...{ principal, role, authMethod, mac: hex(mac), subject, issuer, publicKey },
    ...{ createdAt: createdAt.toISOString(), expiresAt: expiresAt.toISOString() },
  });
}

export function identityProviderRow(tenant: TenantId, provider: Omit<StoredIdentityProvider, 'mac'>): RuleRow {
  const { version, issuer, audience, jwksUri, algorithms, changedBy, changedAt } = provider;
  return row(tenant, 'identity-provider', version, { issuer, audience, jwksUri, algorithms, changedBy, changedAt });
}

/** The names by which rules mean a key. Not its state: whoever could set that back could restore the older genuine row as well. */
export const keyNamesRow = (
  tenant: TenantId,
  { keyId, aliases, tags, primaryVersion }: Pick<StoredKey, 'keyId' | 'aliases' | 'tags' | 'primaryVersion'>,
): RuleRow => row(tenant, 'key-names', keyId, { aliases: [...aliases].sort(), tags, primaryVersion });

export const keyRotationRow = (
  tenant: TenantId,
  { keyId, version, intervalDays }: Omit<StoredRotation, 'mac'> & Pick<StoredKey, 'keyId'>,
): RuleRow => row(tenant, 'key-rotation', keyId, { version, intervalDays: intervalDays ?? null });

/** What a secret is, and what may be done with it: by which name, under which key, by which tags, and how it is rotated. */
export const secretRow = (
  tenant: TenantId,
  { secretId, name, type, keyId, tags, rotation }: Pick<StoredSecret, 'secretId' | 'name' | 'type' | 'keyId' | 'tags' | 'rotation'>,
): RuleRow => row(tenant, 'secret', secretId, { name, type, keyId, tags, rotation: rotation ?? null });

/** Which of its versions is which. */
export const secretLabelsRow = (
  tenant: TenantId,
  { secretId, revision, labels }: Pick<StoredSecret, 'secretId' | 'revision' | 'labels'>,
): RuleRow => row(tenant, 'secret-labels', secretId, { revision, labels });

/** What a project lets the worker do: between which versions of which key, for whom; for nobody, with the tenant's secrets. */
export const rewrapRow = (
  tenant: TenantId,
  { operationId, keyId, fromVersionId, toVersionId, service }: Omit<BoundRewrap, 'mac'>,
): RuleRow => row(tenant, 'rewrap', operationId, { keyId, fromVersionId, toVersionId, service });

/** The operators' word that the binding keys before this one go. */
export const bindingKeyRow = (number: number): RuleRow => row(PLATFORM, 'binding-key', String(number), { retires: 'older' });

/** The digest of LiftedStops. */
export const liftedDigest = (stopIds: readonly string[]): Uint8Array => createHash('sha256').update(stopIds.join(',')).digest();
