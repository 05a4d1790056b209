import type { TenantId } from '#contract';

export interface LogToSign {
  readonly tenant: TenantId;
  readonly logId: string;
  readonly origin: string;
  /** Records in the log now. */
  readonly size: bigint;
  /** Records under the last stored checkpoint; 0 before the first. */
  readonly signedSize: bigint;
  /** Numbers of the keys that sign it. */
  readonly keys: readonly number[];
}

/** The root of 256^level records: hash `index` of this level. */
export interface TrailNode {
  readonly level: number;
  readonly index: number;
  readonly hash: Uint8Array;
}

/** What the integrator reads and writes: works across tenants, one leader at a time. */
export interface Checkpoints {
  /** Logs that have grown since their last checkpoint. */
  logsToSign(): Promise<readonly LogToSign[]>;
  /** Stored leaf hashes, 32 bytes each, of records [from, to), `to - from` ≤ 10,000. */
  leafHashes(tenant: TenantId, from: bigint, to: bigint): Promise<readonly Uint8Array[]>;
  /** The hashes of one tile, 32 bytes each: leaf hashes for level 0. Fewer where some are missing. */
  tileHashes(tenant: TenantId, level: number, index: number, width: number): Promise<readonly Uint8Array[]>;
  /** Keeps hashes above full tiles; those that are there stay as they are. */
  saveNodes(tenant: TenantId, nodes: readonly TrailNode[]): Promise<void>;
  /** Keeps the newest; one that is not larger than the stored is ignored. */
  save(tenant: TenantId, checkpoint: { readonly size: bigint; readonly root: Uint8Array; readonly note: string }): Promise<void>;
  /** Counts signed records for charts, up to `size` or as far as one call goes. */
  rollUp(tenant: TenantId, size: bigint): Promise<void>;
  /** Runs `work` if no other process holds the lead; answers whether it did. */
  asLeader(work: () => Promise<void>): Promise<boolean>;
}

export interface TrailMonths {
  /** Makes the partitions of this month and `ahead` more, where they are missing. Without them records go to the default partition. */
  ensureMonths(ahead: number): Promise<void>;
}
