import { hash } from 'node:crypto';
import { decodeJwt } from 'jose';
import { type CredentialId, credentialId, PLATFORM, type TenantId } from '#contract';
import { parseApiKey } from '#core';

/** An API key, or a JWT in its compact form (RFC 7519 §3): never unsigned, never encrypted. */
const BEARER = /^bearer (kw_[\x21-\x7e]+|[\w-]+\.[\w-]+\.[\w-]+)$/i;
/** Far above any API key, and above what identity providers issue. */
const MAX_BEARER_LENGTH = 8192;

/** The text of `Authorization: Bearer …` (RFC 6750 §2.1), undefined for what can be neither an API key nor a JWT. */
export function bearerOf(header: string | undefined): string | undefined {
  return header !== undefined && header.length <= MAX_BEARER_LENGTH ? BEARER.exec(header)?.[1] : undefined;
}

export const isApiKey = (bearer: string): boolean => bearer.startsWith('kw_');

/**
 * What somebody claims to be; nothing of it is verified. `text` is the cache's key, `claimed` what failures are counted by.
 */
export type Presented = { readonly text: string; readonly claimed: string } & (
  | { readonly method: 'api-key' }
  | { readonly method: 'private-key-jwt'; readonly credentialId: CredentialId }
  | { readonly method: 'oidc'; readonly token: string; readonly tenant: TenantId }
);

/**
 * Sorts a bearer's text; undefined where no look-up could make anybody of it.
 * @param tenant of the request's path; on routes without one people cannot sign in by their identity provider
 */
export function presentedBy(bearer: string, tenant: TenantId | undefined): Presented | undefined {
  if (isApiKey(bearer)) {
    const claimed = parseApiKey(bearer)?.credentialId;
    return claimed && { method: 'api-key', text: bearer, claimed };
  }
  const claims = claimsOf(bearer);
  if (claims === undefined) return undefined;
  const { iss, sub } = claims;
  const service = credentialId.safeParse(sub);
  if (service.success && iss === sub)
    return { method: 'private-key-jwt', text: bearer, credentialId: service.data, claimed: claimedBy(sub, PLATFORM) };
  if (tenant === undefined || tenant === PLATFORM) return undefined;
  return { method: 'oidc', text: textOfPerson(bearer, tenant), token: bearer, tenant, claimed: claimedBy(sub, tenant) };
}

/** One token may be good for two tenants of one issuer, as two different people: what was found for one is not told to the other. */
export const textOfPerson = (token: string, tenant: TenantId): string => `${tenant} ${token}`;

function claimsOf(token: string): { iss: string; sub: string } | undefined {
  try {
    const { iss, sub } = decodeJwt(token);
    return typeof iss === 'string' && typeof sub === 'string' ? { iss, sub } : undefined;
  } catch {
    // Whatever it is, it is no JWT: refused like every unknown credential.
    return undefined;
  }
}

/** Of one length, whatever was claimed. */
const claimedBy = (subject: string, tenant: TenantId): string => hash('sha256', `${subject}@${tenant}`, 'base64');
