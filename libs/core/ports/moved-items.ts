import type { EncryptionContext, KeyId, KeyVersionId, LongOperationId, ProblemCode, RecordBody, ServiceName, TenantId } from '#contract';
import type { CiphertextKind } from '../ciphertext.js';
import type { Permit } from '../permit.js';
import type { Sealed, WrappedKeyVersion } from './custody.js';
import type { Due } from './jobs.js';
import type { Epochs } from './rules.js';

/** What an admin lets the worker do by a re-wrap project by upload, or of secrets, bound as every rule is. */
export interface BoundRewrap {
  readonly operationId: LongOperationId;
  readonly keyId: KeyId;
  readonly fromVersionId: KeyVersionId;
  readonly toVersionId: KeyVersionId;
  /** Whose ciphertexts; undefined: the data keys of the tenant's secrets. */
  readonly service: ServiceName | undefined;
  /** HMAC-SHA-256 under the HSM's binding key, 32 bytes. */
  readonly mac: Uint8Array;
}

/** One item, and what custody needs to know that an admin wants it moved. */
export interface MoveOrder {
  readonly rewrap: BoundRewrap;
  /** The version that the item names: the project's, or another one that is older than its newer one. */
  readonly from: WrappedKeyVersion;
  readonly to: WrappedKeyVersion;
  readonly kind: CiphertextKind;
  readonly sealed: Sealed;
}

/**
 * The worker's: whoever takes it over has ciphertexts moved between two versions of a key that an admin named, each under the context that
 * it has, and learns nothing of what they hold.
 */
export interface ItemMover {
  /** The permit's AAD is the bound context, without a header. @throws KeyBindingBroken for what no project allows, DecryptFailed, KeyDestroyed, CustodyUnavailable */
  moveItem(permit: Permit<'ReEncryptTo'>, order: MoveOrder): Promise<Sealed>;
}

/** A project that the worker has something to do for. */
export interface DueRewrap extends BoundRewrap {
  readonly tenant: TenantId;
  readonly itemsPerSecond: number;
  /** `toVersionId` has sealed as much as it safely can. */
  readonly exhausted: boolean;
  /** By the database's clock, when it was found. */
  readonly at: Date;
}

/** Of secrets. */
export interface DueSecretMove extends DueRewrap {
  /** Everything up to this item was looked at. */
  readonly cursor: string;
}

export interface WaitingItem {
  readonly itemId: string;
  readonly ciphertext: Uint8Array;
  readonly encryptionContext: EncryptionContext;
  /** Whose value it opens, for the record. */
  readonly secret?: RecordBody['secret'];
}

export interface SettledItem {
  readonly itemId: string;
  readonly status: 'moved' | 'kept' | 'failed';
  /** Of one that was moved. */
  readonly ciphertext?: Uint8Array | undefined;
  /** Of one that failed. */
  readonly code?: ProblemCode | undefined;
}

export interface SettledItems<Project extends DueRewrap = DueRewrap> {
  readonly project: Project;
  /** Decided under these. */
  readonly epochs: Epochs;
  /** Milliseconds. */
  readonly validUntil: number | undefined;
  /** In the order of the items that waited. */
  readonly items: readonly SettledItem[];
  /** One at least. */
  readonly bodies: readonly RecordBody[];
}

/** What the worker moves, wherever it stands. */
export interface MovedItems<Project extends DueRewrap = DueRewrap> {
  /** Of this project, or at most 500, four a tenant, those that waited longest first; none that is ahead of its rate. */
  due(of?: Due): Promise<readonly Project[]>;
  /** In an order that stays. */
  waiting(project: Project, most: number): Promise<readonly WaitingItem[]>;
  /**
   * Results, counts and records in one transaction. False: an item is not what it was any more, the project is over, or a rule came in between.
   * @throws TrailUnavailable
   */
  settle(settled: SettledItems<Project>): Promise<boolean>;
  /** It is looked at again a few seconds later; the record is appended the first time. @throws TrailUnavailable */
  suspend(project: Project, reason: ProblemCode, epochs: Epochs, body: RecordBody): Promise<void>;
  /**
   * Ends a project of which nothing waits; without it, somebody else ends that. False: something does wait, it is over, or a rule came in between.
   * @throws TrailUnavailable
   */
  end?(project: Project, epochs: Epochs, body: RecordBody): Promise<boolean>;
}

export interface UploadStore extends MovedItems {
  /** Items of projects that ended a week ago. Answers how many went: fewer than asked for when none is left. */
  drop(most: number): Promise<number>;
}
