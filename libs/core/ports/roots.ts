import type { KeyId, KeyVersionId, RecordBody, TenantId } from '#contract';
import type { BoundImport, WrappedKeyVersion } from './custody.js';
import type { StoredKey } from './rules.js';

/** A tenant's root as its admins see it. */
export interface StoredRoot {
  /** 0: the first one. */
  readonly number: number;
  readonly startedAt: Date | undefined;
  /** Of the last rotation: the older root is destroyed. Undefined while one is under way. */
  readonly endedAt: Date | undefined;
  /** Wrapped keys that wait for it. */
  readonly left: number;
}

/** A rotation that is under way. */
export interface RotatingRoot {
  readonly tenant: TenantId;
  /** Number of the new one. */
  readonly root: number;
  /** Nothing is wrapped under an older one any more, and nothing accepted that was decided with such a blob. */
  readonly rewrapped: boolean;
  readonly logId: string;
}

/** What the worker may see and do of rotations. @throws KeywardError unavailable */
export interface RootRotationStore {
  /** Of this tenant, or at most 500 of all. */
  rotatingRoots(of?: TenantId): Promise<readonly RotatingRoot[]>;
  /** Versions under an older root than the newest, at most so many. */
  blobsToRewrap(tenant: TenantId, most: number): Promise<readonly { readonly keyId: KeyId; readonly versionId: KeyVersionId }[]>;
  key(tenant: TenantId, keyId: KeyId): Promise<StoredKey | undefined>;
  /** False when the row is another one by now. */
  saveRewrapped(read: WrappedKeyVersion, rewrapped: WrappedKeyVersion): Promise<boolean>;
  /** Imports whose tokens are still good, and whose wrapping keys are under an older root. */
  importsToRewrap(tenant: TenantId, most: number): Promise<readonly BoundImport[]>;
  saveRewrappedImport(read: BoundImport, rewrapped: BoundImport): Promise<boolean>;
  /** The wrapping keys of imports whose time is over: they open nothing any more. Answers how many went. */
  dropExpiredImports(): Promise<number>;
  /** Moves the epoch, once nothing is left under an older root. False: something is. */
  endRewrapping(tenant: TenantId): Promise<boolean>;
  /** Records that the older root is destroyed; undefined when that is recorded. @throws TrailUnavailable */
  retireRoot(rotation: RotatingRoot, body: RecordBody): Promise<bigint | undefined>;
}

/** The worker's, of custody. System operations without a permit: they use no key, and answer nothing readable. */
export interface RootKeeping {
  /** The same version under the root with this number, and its new MAC. @throws CustodyUnavailable, KeyBindingBroken, KeyDestroyed */
  rewrap(version: WrappedKeyVersion, root: number): Promise<WrappedKeyVersion>;
  /** The same for the wrapping key of an import. */
  rewrapImport(bound: BoundImport, root: number): Promise<BoundImport>;
  /** Destroys every root of the tenant that is older than this one, which stays. May be repeated. @throws CustodyUnavailable when this one is not there */
  destroyOlderRoots(tenant: TenantId, root: number): Promise<void>;
}
