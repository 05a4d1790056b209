import type { KeyId, KeyVersionId, RecordBody, TenantId } from '#contract';
import type { Permit } from '../permit.js';
import type { WrappedKeyVersion } from './custody.js';
import type { Due } from './jobs.js';
import type { Epochs, StoredKey, StoredRotation } from './rules.js';

/** A key whose rotation policy wants its next version. */
export interface DueRotation {
  readonly tenant: TenantId;
  readonly keyId: KeyId;
  /** As the database writes it, to the microsecond: nothing else is compared with it. */
  readonly due: string;
  /** By the database's clock, when it was found. */
  readonly at: Date;
  /** Its primary version has sealed so much that the next one is wanted before that. */
  readonly worn: boolean;
}

/** The next version of a key, and the key's names with it as the primary one. */
export interface RotatedKey {
  readonly version: WrappedKeyVersion;
  readonly namesMac: Uint8Array;
}

/** What the worker shows to custody to have a key rotated: the policy that allows it, and what that policy is about, each with its MAC. */
export interface RotationOrder {
  readonly key: Pick<StoredKey, 'keyId' | 'aliases' | 'tags' | 'primaryVersion' | 'namesMac'>;
  readonly rotation: StoredRotation;
  /** The row of the version that is primary now. */
  readonly primary: WrappedKeyVersion;
  /** Of the version to be made. */
  readonly versionId: KeyVersionId;
  /** Number of the tenant's root that wraps it. */
  readonly root: number;
}

/** The worker's: whoever takes it over has keys rotated that their admins want rotated, and makes no other authority. */
export interface KeyRotator {
  /** @throws KeyBindingBroken for an order that no policy of the tenant allows, KeyDestroyed, CustodyUnavailable */
  rotateKey(permit: Permit<'CreateKeyVersion'>, order: RotationOrder): Promise<RotatedKey>;
}

export interface RotationChange extends RotatedKey {
  readonly due: DueRotation;
  /** Decided under these. */
  readonly epochs: Epochs;
  readonly before: KeyVersionId;
  readonly body: RecordBody;
}

/** A tenant's keys, or one of them. */
export type RotationsOf = Pick<Due, 'tenant'> & Partial<Due>;

export interface KeyRotationStore {
  /**
   * By the database's clock: this key; a lot of this tenant's; or one of each tenant, of at most 500: the longest due first. Not those that
   * a stop, or a suspension, lets nobody rotate.
   */
  dueRotations(of?: RotationsOf): Promise<readonly DueRotation[]>;
  /** The same of keys that are worn: of a tenant's or of all, whichever of some by lot. */
  wornKeys(of?: RotationsOf): Promise<readonly DueRotation[]>;
  /** Number of the root that wraps the tenant's new keys. Read it after the rules: a rotation of it that began since makes the change stale. */
  root(tenant: TenantId): Promise<number>;
  /**
   * Versions, primaries, due times and records of keys of one tenant in one transaction, without those that are not due any more. False: a
   * rule came in between, and nothing was changed.
   * @throws TrailUnavailable
   */
  rotate(changes: readonly RotationChange[]): Promise<boolean>;
}
