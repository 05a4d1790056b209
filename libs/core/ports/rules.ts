import type { Alias, CredentialId, KeyId, KeyState, KeyVersionId, PolicyAnswer, Role, TenantId } from '#contract';
import type { WrappedKeyVersion } from './custody.js';
import type { ActiveStop } from './grants.js';

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
  /** `Unknown`: there is no such tenant; made by nobody but Snapshot.ofNobody. */
  readonly state: 'Pending' | 'Active' | 'Unknown';
  readonly epochs: Epochs;
  readonly log: { readonly logId: string; readonly origin: string; readonly vkey: string };
  /** Keys the HMAC of context pairs in records: 32 bytes. */
  readonly contextSalt: Uint8Array;
  readonly policy: PolicyAnswer | undefined;
  readonly stops: readonly ActiveStop[];
  /** Services that the operator suspended; the ISV may only reduce what a tenant granted. */
  readonly suspendedServices: readonly string[];
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
}

export interface StoredCredential {
  readonly tenant: TenantId;
  readonly credentialId: CredentialId;
  readonly principal: string;
  readonly role: Role;
  /** HMAC-SHA-256 under the pepper, 32 bytes. */
  readonly mac: Uint8Array;
  readonly expiresAt: Date;
  readonly revokedAt: Date | undefined;
}

export type KeyLookup = { readonly reference: string } | { readonly versionId: KeyVersionId };

/** Reads for decisions. Each answer is one statement's view and carries the epoch under which it was read. */
export interface RuleStore {
  rules(tenant: TenantId): Promise<TenantRules | undefined>;
  /** By key id or alias, or by one of its versions. `key` is undefined if the tenant has no such key. */
  key(tenant: TenantId, lookup: KeyLookup): Promise<{ readonly epoch: string; readonly key: StoredKey | undefined }>;
  /** Before the tenant is trusted: by tenant and id as the API key claims them. */
  credential(tenant: TenantId, id: CredentialId): Promise<{ readonly epoch: string; readonly credential: StoredCredential } | undefined>;
}
