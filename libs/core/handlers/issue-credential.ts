import type { KeyObject } from 'node:crypto';
import type { IssuedCredential, PrincipalName, Role, TenantId } from '#contract';
import { apiKeyMac, newApiKey } from '../api-key.js';
import { newCredentialId } from '../identifiers.js';
import type { NewCredential } from '../ports/writes.js';

const DAY_MS = 86_400_000;

export interface CredentialOrder {
  readonly tenant: TenantId;
  readonly principal: PrincipalName;
  readonly role: Role;
  readonly days: number;
}

/** A new API key: `answer` is for its owner, once; `row` is what is stored and opens nothing. */
export function issueCredential(
  pepper: KeyObject,
  order: CredentialOrder,
  now: number,
): { readonly answer: IssuedCredential; readonly row: NewCredential } {
  const { tenant, principal, role } = order;
  const credentialId = newCredentialId(now);
  const { text, secret } = newApiKey(tenant, credentialId);
  const expiresAt = new Date(now + order.days * DAY_MS);
  const mac = apiKeyMac(pepper, { tenant, principal, role, credentialId }, secret);
  return {
    answer: { credentialId, principal, role, apiKey: text, expiresAt: expiresAt.toISOString() },
    row: { tenant, credentialId, principal, role, mac, createdAt: new Date(now), expiresAt },
  };
}
