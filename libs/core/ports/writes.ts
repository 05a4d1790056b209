import type {
  Alias,
  CredentialId,
  KeyId,
  KeyState,
  OnboardTenantRequest,
  PolicyAnswer,
  Role,
  ServiceName,
  StopAnswer,
  TenantId,
} from '#contract';
import type { StoredKey } from './rules.js';

export interface NewCredential {
  readonly tenant: TenantId;
  readonly credentialId: CredentialId;
  readonly principal: string;
  readonly role: Role;
  readonly mac: Uint8Array;
  readonly createdAt: Date;
  readonly expiresAt: Date;
}

export interface NewTenant extends OnboardTenantRequest {
  readonly log: { readonly logId: string; readonly origin: string; readonly vkey: string };
  readonly contextSalt: Uint8Array;
  readonly createdAt: Date;
  readonly enrolment: NewCredential;
}

/** Every write that an operation may make, inside its transaction. Blind: the epoch fences what they rest on. */
export interface Writes {
  /** @throws KeywardError already-exists, also for an id that was ever used. */
  insertTenant(tenant: NewTenant): Promise<void>;
  activateTenant(): Promise<void>;
  /** @throws KeywardError already-exists */
  insertService(service: { service: ServiceName; description: string; createdAt: Date }): Promise<void>;
  insertCredential(credential: NewCredential): Promise<void>;
  /** @throws KeywardError not-found, when there is none or (with `service`) it is not that service's; already revoked is success. */
  revokeCredential(id: CredentialId, at: Date, service?: string): Promise<void>;
  insertKey(key: StoredKey): Promise<void>;
  setKeyState(id: KeyId, state: KeyState): Promise<void>;
  /** @throws KeywardError already-exists */
  insertAlias(alias: Alias, keyId: KeyId): Promise<void>;
  /** @throws KeywardError precondition-failed, when the version exists */
  insertPolicy(policy: PolicyAnswer): Promise<void>;
  insertStop(stop: StopAnswer): Promise<void>;
  /** @throws KeywardError not-found, when there is no such stop or it is lifted already */
  liftStop(id: StopAnswer['stopId'], by: string, at: Date): Promise<void>;
}
