import type { CredentialId, Role, TenantId } from '#contract';

/** An authenticated caller, with the epoch of its own tenant under which its credential was last read. */
export interface Principal {
  readonly role: Role;
  /** Whom it belongs to: operators, services and workers to `platform`. */
  readonly tenant: TenantId;
  readonly name: string;
  readonly credentialId: CredentialId;
  readonly expiresAt: Date;
  readonly epoch: string;
}

/** As a policy names it. */
export const subjectOf = (principal: Principal): string => `svc:${principal.name}`;
