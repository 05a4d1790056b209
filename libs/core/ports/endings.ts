import type { KeyId, RecordBody, TenantId } from '#contract';
import type { EndedVersion, Tombstone } from './custody.js';
import type { Due } from './jobs.js';
import type { StoredKey } from './rules.js';

/** A key whose wait is over. */
export interface DueDeletion {
  readonly tenant: TenantId;
  readonly keyId: KeyId;
  /** As the database writes it: compared with what is there when the key ends. */
  readonly due: string;
  /** The same, to be compared with a clock. */
  readonly dueAt: Date;
  readonly logId: string;
}

/** What becomes of it, in one transaction with its record. */
export interface Destruction extends DueDeletion {
  readonly body: RecordBody;
  readonly tombstoneMac: Uint8Array;
  readonly versions: readonly EndedVersion[];
}

/** A destroyed key without a receipt. */
export interface OwedReceipt extends Tombstone {
  readonly seq: bigint;
  /** Of the tenant's log, whose newest key signs: its number. */
  readonly origin: string;
  readonly logKey: number;
  /** Of the last rotation that ended; 0 before the first. */
  readonly root: number;
  readonly rootEndedAt: string | undefined;
}

/** The worker's: it looks, and the database decides again. @throws KeywardError unavailable */
export interface Endings {
  /** By the database's clock: of this key, or at most 500 of all. */
  dueDeletions(of?: Due): Promise<readonly DueDeletion[]>;
  key(tenant: TenantId, keyId: KeyId): Promise<StoredKey | undefined>;
  /** The record's place; undefined when the key is not, or not any more, to be destroyed at this time. @throws TrailUnavailable */
  destroy(destruction: Destruction): Promise<bigint | undefined>;
  receiptsOwed(of?: Due): Promise<readonly OwedReceipt[]>;
  /** `owed` as it was read: a rotation that ended since owes another one. */
  saveReceipt(owed: OwedReceipt, note: string): Promise<void>;
}

/** Where a list of tombstones goes on. */
export interface TombstoneCursor {
  readonly since: Date;
  readonly afterKey: string;
}

export interface TombstoneReads {
  /** Of all tenants, in the order in which keys ended, at most `most`. @throws KeywardError unavailable */
  tombstonesSince(after: TombstoneCursor, most: number): Promise<readonly Tombstone[]>;
}
