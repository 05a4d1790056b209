import type { AuthMethod, CredentialId, Role, TenantId } from '#contract';

/** An authenticated caller, with the epoch of its own tenant under which its credential was last read. */
export interface Principal {
  readonly role: Role;
  /** Whom it belongs to: operators, services and workers to `platform`. */
  readonly tenant: TenantId;
  readonly name: string;
  readonly credentialId: CredentialId;
  readonly authMethod: AuthMethod;
  /** Of the credential, or of the token if that ends earlier. */
  readonly expiresAt: Date;
  readonly epoch: string;
  /** What was presented instead of an API key. */
  readonly token?: Token | undefined;
  /** Custody was not there to check the credential's binding MAC. */
  readonly unproven?: boolean;
}

/** A JWT whose signature was verified. */
export interface Token {
  readonly expiresAt: Date;
  /** The version of the identity provider that vouched for it; undefined for a service's own signature. */
  readonly provider: string | undefined;
}

/** As a policy names it. */
export const subjectOf = (principal: Pick<Principal, 'name'>): string => `svc:${principal.name}`;
