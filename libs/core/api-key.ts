import { createHmac, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto';
import { type CredentialId, credentialId, type Role, type TenantId, tenantId } from '#contract';

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
}

/**
 * What is stored instead of the key: HMAC-SHA-256 under the pepper over tenant, principal, role, id and secret.
 * A DBA who copies one row's MAC into another (billing's into an admin's) makes a row that fits no key.
 */
export function apiKeyMac(pepper: KeyObject, terms: CredentialTerms, secret: string): Uint8Array {
  // JSON of an array is unambiguous: no field can swallow its neighbour.
  return createHmac('sha256', pepper)
    .update(JSON.stringify([terms.tenant, terms.principal, terms.role, terms.credentialId, secret]))
    .digest();
}

export const sameMac = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b);
