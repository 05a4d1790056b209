import type { KeyObject } from 'node:crypto';
import type { IssuedCredential, PrincipalName, Role, ServicePublicKey, TenantId } from '#contract';
import { type ApiKey, apiKeyMac, newApiKey, proofOf } from '../api-key.js';
import { credentialRow } from '../bound-rows.js';
import { newCredentialId } from '../identifiers.js';
import type { Permit } from '../permit.js';
import type { RuleBindings, RuleOperation } from '../ports/custody.js';
import type { NewCredential } from '../ports/writes.js';

const DAY_MS = 86_400_000;

export interface CredentialOrder {
  readonly tenant: TenantId;
  readonly principal: PrincipalName;
  readonly role: Role;
  readonly days: number;
  /** A person at the tenant's identity provider: signs in there. */
  readonly person?: { readonly subject: string; readonly issuer: string };
  /** A service that signs its own tokens. */
  readonly publicKey?: ServicePublicKey;
  /** Made by whoever asks, who therefore is not told it again. */
  readonly apiKey?: ApiKey | undefined;
}

export interface CredentialParts {
  readonly pepper: KeyObject;
  readonly custody: Pick<RuleBindings, 'bindRule'>;
}

/** A new credential: `answer` is for its owner, with an API key once unless it proves itself otherwise; `row` is stored and opens nothing. */
export async function issueCredential(
  { pepper, custody }: CredentialParts,
  permit: Permit<RuleOperation>,
  order: CredentialOrder,
  now: number,
): Promise<{ readonly answer: IssuedCredential; readonly row: NewCredential }> {
  const { tenant, principal, role, person, publicKey, apiKey } = order;
  const credentialId = apiKey?.credentialId ?? newCredentialId(now);
  const authMethod = person !== undefined ? 'oidc' : publicKey !== undefined ? 'private-key-jwt' : 'api-key';
  const key = authMethod === 'api-key' && apiKey === undefined ? newApiKey(tenant, credentialId) : undefined;
  const [createdAt, expiresAt] = [new Date(now), new Date(now + order.days * DAY_MS)];
  const proof = { subject: person?.subject, issuer: person?.issuer, publicKey };
  const mac = apiKeyMac(
    pepper,
    { tenant, principal, role, credentialId, authMethod, expiresAt },
    (apiKey ?? key)?.secret ?? proofOf(proof),
  );
  const row: Omit<NewCredential, 'bindingMac'> = { tenant, credentialId, principal, role, authMethod, mac, ...proof, createdAt, expiresAt };
  const bindingMac = await custody.bindRule(permit, credentialRow(row));
  return {
    answer: { credentialId, principal, role, authMethod, ...(key && { apiKey: key.text }), expiresAt: expiresAt.toISOString() },
    row: { ...row, bindingMac },
  };
}
