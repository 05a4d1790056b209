import type {
  Alias,
  AuthMethod,
  CredentialId,
  GrantedOperation,
  IdentityProviderAnswer,
  KeyId,
  KeyState,
  KeyVersionId,
  PolicyAnswer,
  Role,
  ServicePublicKey,
  StopAnswer,
  TenantId,
} from '#contract';
import type { BoundRow, WrappedKeyVersion } from './custody.js';

/**
 * A tenant's rule version mark and the platform's: random, new at every change that can turn a yes into a no or back.
 * Whoever appends says under which epochs it decided.
 */
export interface Epochs {
  readonly tenant: string;
  readonly platform: string;
}

/** Everything that a decision reads but keys and credentials, as of one instant: read by ONE statement. */
export interface TenantRules {
  readonly tenant: TenantId;
  /** `Ended`: it has left, its log stays. `Unknown`: there is no such tenant; made by nobody but Snapshot.ofNobody. */
  readonly state: 'Pending' | 'Active' | 'Ended' | 'Unknown';
  readonly epochs: Epochs;
  readonly log: { readonly logId: string; readonly origin: string; readonly vkey: string };
  /** Keys the HMAC of context pairs in records: 32 bytes. */
  readonly contextSalt: Uint8Array;
  /** The version in force. */
  readonly policy: StoredPolicy | undefined;
  /** Those that are not lifted. */
  readonly stops: readonly StoredStop[];
  /** Every stop that was ever lifted, in the order of lifting. */
  readonly lifted: LiftedStops;
  /** The ISV's catalogue: what each service may ask for. A service that is not in it may ask for nothing. */
  readonly services: ReadonlyMap<string, CataloguedService>;
  /** The operator suspended the tenant: services may not use its keys; the ISV may only reduce what a tenant granted. */
  readonly suspended: boolean;
  /** Custody was not there to check the binding MACs: good for what only reduces, and for nothing else. */
  readonly unproven?: boolean;
}

/** 32 bytes; see core/bound-rows.ts for what it covers. */
type BindingMac = Uint8Array;

export type StoredPolicy = PolicyAnswer & { readonly mac: BindingMac };
/** A stop is made without the HSM, if need be: until its MAC follows, nobody can know what was stopped, so it stops everything. */
export type StoredStop = Pick<StopAnswer, 'stopId' | 'target' | 'stoppedBy' | 'stoppedAt'> & { readonly mac: BindingMac | undefined };
export interface LiftedStops {
  readonly count: number;
  /** SHA-256 over the ids, joined by commas, in the order of lifting; of the empty text for none. */
  readonly digest: Uint8Array;
  /** Of the latest lift; undefined before the first. */
  readonly mac: BindingMac | undefined;
}
export interface CataloguedService {
  readonly operations: readonly GrantedOperation[];
  readonly suspended: boolean;
}

export interface StoredKey {
  readonly keyId: KeyId;
  readonly state: KeyState;
  readonly description: string;
  readonly createdAt: Date;
  readonly aliases: readonly Alias[];
  readonly tags: Readonly<Record<string, string>>;
  readonly primaryVersion: KeyVersionId;
  readonly versions: readonly WrappedKeyVersion[];
  /** An admin has to switch it off before deletion can be scheduled. */
  readonly deletionProtection: boolean;
  /** While PendingDeletion: when it ends, and the state to which cancelling leads back. */
  readonly deletion: { readonly at: Date; readonly stateBefore: KeyState } | undefined;
  /** Over the names by which rules mean the key. */
  readonly namesMac: BindingMac;
  /** None: it never had a rotation policy. */
  readonly rotation?: StoredRotation | undefined;
  /** Its primary version has sealed as much as it safely can: it opens, and seals nothing more. */
  readonly exhausted?: boolean;
  /** Custody was not there to check it. */
  readonly unproven?: boolean;
}

/** A key's rotation policy: by it, and by nothing else, the worker may make the key's next version. */
export interface StoredRotation {
  /** Counted from 1, one more at every change. */
  readonly version: number;
  /** Undefined: it is not rotated automatically. */
  readonly intervalDays: number | undefined;
  readonly mac: BindingMac;
}

export interface StoredCredential {
  readonly tenant: TenantId;
  readonly credentialId: CredentialId;
  readonly principal: string;
  readonly role: Role;
  readonly authMethod: AuthMethod;
  /** HMAC-SHA-256 under the pepper, 32 bytes: of an API key with its secret, of others with what proves them. */
  readonly mac: Uint8Array;
  /** For `oidc`: `sub` at this issuer. */
  readonly subject: string | undefined;
  readonly issuer: string | undefined;
  /** For `private-key-jwt`. */
  readonly publicKey: ServicePublicKey | undefined;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly revokedAt: Date | undefined;
  /** The HSM's, over everything above but revokedAt. */
  readonly bindingMac: BindingMac;
  /** Custody was not there to check it. */
  readonly unproven?: boolean;
}

/** A tenant's own identity provider. `version` is drawn anew at every change: tokens that were checked under another count no more. */
export interface StoredIdentityProvider extends IdentityProviderAnswer {
  readonly version: string;
  readonly mac: BindingMac;
}

export type KeyLookup = { readonly reference: string } | { readonly versionId: KeyVersionId };

/** For rows that no decision reads, but whose words may become a rule again. */
export interface RowProofs {
  /** @throws KeywardError unavailable, for a row that is not bound, and while custody is away */
  mustBeBound(...rows: readonly BoundRow[]): Promise<void>;
}

/** Reads for decisions. Each answer is one statement's view and carries the epoch under which it was read. */
export interface RuleStore {
  rules(tenant: TenantId): Promise<TenantRules | undefined>;
  /** By key id or alias, or by one of its versions. `key` is undefined if the tenant has no such key. */
  key(tenant: TenantId, lookup: KeyLookup): Promise<{ readonly epoch: string; readonly key: StoredKey | undefined }>;
  /** Before the tenant is trusted: by tenant and id as the API key claims them. */
  credential(tenant: TenantId, id: CredentialId): Promise<{ readonly epoch: string; readonly credential: StoredCredential } | undefined>;
  /** By what its identity provider calls a person: the credential that the tenant's admin gave to this subject, of the issuer in force. */
  credentialOfSubject(
    tenant: TenantId,
    subject: string,
  ): Promise<{ readonly epoch: string; readonly credential: StoredCredential } | undefined>;
  identityProvider(tenant: TenantId): Promise<{ readonly epoch: string; readonly provider: StoredIdentityProvider } | undefined>;
}
