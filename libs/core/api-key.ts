import { createHmac, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto';
import { type AuthMethod, type CredentialId, credentialId, type Role, type ServicePublicKey, type TenantId, tenantId } from '#contract';
import { canonicalJson } from './canonical-json.js';

/** 256 random bits: guessing is not an attack, so one fast HMAC is enough. */
const SECRET_BYTES = 32;
const FORM = /^kw_([a-z][a-z0-9-]{1,30})_(crd_[0-9a-hjkmnp-tv-z]{26})_([A-Za-z0-9_-]{43})$/;

export interface ApiKey {
  readonly tenant: TenantId;
  readonly credentialId: CredentialId;
  readonly secret: string;
}

/** `kw_<tenant>_<id>_<32 bytes base64url>`, and undefined for anything else. */
export function parseApiKey(text: string): ApiKey | undefined {
  const match = FORM.exec(text);
  if (match === null) return undefined;
  const tenant = tenantId.safeParse(match[1]);
  const id = credentialId.safeParse(match[2]);
  return tenant.success && id.success ? { tenant: tenant.data, credentialId: id.data, secret: match[3]! } : undefined;
}

/** A new key's text; shown to its owner once and never stored. */
export function newApiKey(tenant: TenantId, id: CredentialId): { readonly text: string; readonly secret: string } {
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  return { text: `kw_${tenant}_${id}_${secret}`, secret };
}

export interface CredentialTerms {
  readonly tenant: TenantId;
  readonly principal: string;
  readonly role: Role;
  readonly credentialId: CredentialId;
  readonly authMethod: AuthMethod;
  readonly expiresAt: Date;
}

/** What proves a credential that has no secret of ours: the person's name at its issuer, or the service's public key. */
export const proofOf = (credential: {
  readonly subject: string | undefined;
  readonly issuer: string | undefined;
  readonly publicKey: ServicePublicKey | undefined;
}): string => canonicalJson([credential.subject ?? null, credential.issuer ?? null, credential.publicKey ?? null]);

/**
 * What is stored instead of the key: HMAC-SHA-256 under the pepper over tenant, principal, role, id, method, end, and secret or proof.
 * A DBA who copies one row's MAC into another (billing's into an admin's) makes a row that fits no key.
 */
export function apiKeyMac(pepper: KeyObject, terms: CredentialTerms, secret: string): Uint8Array {
  const { tenant, principal, role, credentialId: id, authMethod, expiresAt } = terms;
  // JSON of an array is unambiguous: no field can swallow its neighbour.
  return createHmac('sha256', pepper)
    .update(JSON.stringify([tenant, principal, role, id, authMethod, expiresAt.toISOString(), secret]))
    .digest();
}

export const sameMac = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b);
