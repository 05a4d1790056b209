import type {
  Alias,
  CredentialId,
  ImportToken,
  GrantedOperation,
  KeyId,
  KeyState,
  LongOperation,
  LongOperationId,
  OnboardTenantRequest,
  PolicyDraftAnswer,
  QuotaName,
  ServiceName,
  ServiceSummary,
  SinkAnswer,
  SinkId,
  StopAnswer,
  SuspensionAnswer,
  TenantId,
} from '#contract';
import type { SinkChange } from './sinks.js';
import type { BoundImport, WrappedKeyVersion } from './custody.js';
import type { BegunOffBoarding } from './off-boardings.js';
import type { PersonalFields } from './reads.js';
import type { SecretWrites } from './secrets.js';
import type { StoredCredential, StoredIdentityProvider, StoredKey, StoredPolicy, StoredRotation } from './rules.js';

export type NewCredential = Omit<StoredCredential, 'revokedAt' | 'unproven'>;

export interface NewTenant extends OnboardTenantRequest {
  readonly log: { readonly logId: string; readonly origin: string; readonly vkey: string };
  readonly contextSalt: Uint8Array;
  readonly createdAt: Date;
  readonly enrolment: NewCredential;
}

/** `namesMac` goes with every change of a key's aliases, tags or primary version. */
export type KeyChange = Partial<
  Pick<StoredKey, 'state' | 'description' | 'tags' | 'deletionProtection' | 'deletion' | 'primaryVersion' | 'namesMac'>
> & {
  /** What it is again when its material is back; a deletion brings its own. */
  readonly stateBefore?: KeyState | null;
};

/** The next key of the tenant's log. */
export interface NewLogKey {
  readonly number: number;
  readonly vkey: string;
  readonly madeAt: Date;
  /** When the key before it ends. */
  readonly retiresAt: Date;
}

/**
 * Every write that an operation may make, inside its transaction. Blind: the epoch fences what they rest on.
 * What inserts something of which a tenant may have only so many throws KeywardError limit-exceeded.
 */
export interface Writes {
  readonly secrets: SecretWrites;
  /** @throws KeywardError already-exists, also for an id that was ever used. */
  insertTenant(tenant: NewTenant): Promise<void>;
  activateTenant(): Promise<void>;
  /** @throws KeywardError already-exists */
  insertService(service: Omit<ServiceSummary, 'suspended' | 'createdAt'> & { createdAt: Date }): Promise<void>;
  /** @throws KeywardError not-found */
  setServiceOperations(service: ServiceName, operations: readonly GrantedOperation[]): Promise<void>;
  /** @throws KeywardError not-found */
  setServiceSuspended(service: ServiceName, suspended: boolean): Promise<void>;
  /** Replaces the reason of one that there is. @throws KeywardError not-found, for an unknown tenant */
  putSuspension(suspension: SuspensionAnswer): Promise<void>;
  /** @throws KeywardError not-found; state-unchangeable while an off-boarding rests on it */
  deleteSuspension(tenant: TenantId): Promise<void>;
  /** `limit` undefined: the standard one again. @throws KeywardError not-found, for an unknown tenant */
  setQuota(tenant: TenantId, quota: QuotaName, limit: number | undefined): Promise<void>;
  /** @throws KeywardError state-unchangeable, while it waits or is over */
  agreeToOffBoarding(by: string, at: Date): Promise<void>;
  /** @throws KeywardError state-unchangeable, while one is under way; StaleSnapshot when what it rests on, or the root, is another by now */
  beginOffBoarding(begun: BegunOffBoarding): Promise<void>;
  /** While it waits, or is only agreed to. @throws StaleSnapshot when it does not any more */
  cancelOffBoarding(tenant: TenantId): Promise<void>;
  insertCredential(credential: NewCredential): Promise<void>;
  /** @throws KeywardError not-found, when there is none or (with `service`) it is not that service's; already revoked is success. */
  revokeCredential(id: CredentialId, at: Date, service?: string): Promise<void>;
  insertKey(key: StoredKey): Promise<void>;
  /** @throws KeywardError not-found */
  updateKey(id: KeyId, change: KeyChange): Promise<void>;
  /** The next version of the key's rotation policy, and when it is due by it. @throws KeywardError precondition-failed, when the version exists */
  putRotation(id: KeyId, rotation: StoredRotation, nextAt: Date | undefined): Promise<void>;
  /** Begins a rotation of the root. @throws KeywardError state-unchangeable, while one is under way */
  beginRootRotation(root: number, at: Date): Promise<void>;
  /** @throws KeywardError state-unchangeable while one is under way */
  beginBindingRotation(number: number): Promise<void>;
  /** @throws KeywardError state-unchangeable unless everything is bound by this one */
  retireBindingKey(number: number, mac: Uint8Array): Promise<void>;
  insertKeyVersion(version: WrappedKeyVersion): Promise<void>;
  /**
   * Material that came, or went. `retiredAsOf`: for good, after so many records of the log were looked at for uses; stale if it was used
   * since, or is to be moved. @throws KeywardError not-found
   */
  putMaterial(version: WrappedKeyVersion, retiredAsOf?: number): Promise<void>;
  insertImport(bound: BoundImport): Promise<void>;
  /** Once. @throws KeywardError precondition-failed, when somebody spent it before */
  spendImport(token: ImportToken, at: Date): Promise<void>;
  /** @throws KeywardError already-exists */
  insertAlias(alias: Alias, keyId: KeyId): Promise<void>;
  /** To another key. @throws KeywardError not-found */
  moveAlias(alias: Alias, keyId: KeyId): Promise<void>;
  /** @throws KeywardError not-found */
  deleteAlias(alias: Alias): Promise<void>;
  /** @throws KeywardError precondition-failed, when the version exists */
  insertPolicy(policy: StoredPolicy): Promise<void>;
  putPolicyDraft(draft: PolicyDraftAnswer): Promise<void>;
  /** Whether there is one or not. */
  deletePolicyDraft(): Promise<void>;
  setRetention(days: number): Promise<void>;
  /** @throws KeywardError precondition-failed, telling which of its conditions is not met */
  pruneBelow(minIndex: number, exported: { readonly size: number; readonly root: Uint8Array }): Promise<void>;
  /** @throws KeywardError already-exists, while the key before it has not been retired */
  insertLogKey(key: NewLogKey): Promise<void>;
  putIdentityProvider(provider: StoredIdentityProvider): Promise<void>;
  /** @throws KeywardError not-found */
  deleteIdentityProvider(): Promise<void>;
  /** @throws KeywardError already-exists, while one for the same service and version is open */
  /** `mac`: of a project by upload. */
  insertOperation(operation: LongOperation, mac: Uint8Array | undefined): Promise<void>;
  /** @throws StaleSnapshot when it is over already */
  cancelOperation(id: LongOperationId): Promise<void>;
  /** `sealed`: what the platform proves itself by there. */
  insertSink(sink: SinkAnswer, sealed: string | undefined): Promise<void>;
  /** @throws KeywardError not-found */
  updateSink(id: SinkId, change: SinkChange): Promise<void>;
  /** @throws KeywardError not-found */
  deleteSink(id: SinkId): Promise<void>;
  /** Moves the epoch. @throws StaleSnapshot unless it erases so many */
  erasePersonalFields(chosen: PersonalFields, expected: number): Promise<void>;
  insertStop(stop: StopAnswer & { readonly mac: Uint8Array | undefined }): Promise<void>;
  /** `number`: its place among the lifted, from 1. @throws KeywardError not-found, when there is no such stop or it is lifted already */
  liftStop(id: StopAnswer['stopId'], lift: { by: string; at: Date; number: number; mac: Uint8Array }): Promise<void>;
}
