import type { TenantId } from '#contract';

export interface LogToSign {
  readonly tenant: TenantId;
  readonly logId: string;
  readonly origin: string;
  /** Records in the log now. */
  readonly size: bigint;
  /** Records under the last stored checkpoint; 0 before the first. */
  readonly signedSize: bigint;
}

/** What the integrator reads and writes: works across tenants, one leader at a time. */
export interface Checkpoints {
  /** Logs that have grown since their last checkpoint. */
  logsToSign(): Promise<readonly LogToSign[]>;
  /** Stored leaf hashes, 32 bytes each, of records [from, to), `to - from` ≤ 10,000. */
  leafHashes(tenant: TenantId, from: bigint, to: bigint): Promise<readonly Uint8Array[]>;
  /** Keeps the newest; one that is not larger than the stored is ignored. */
  save(tenant: TenantId, checkpoint: { readonly size: bigint; readonly root: Uint8Array; readonly note: string }): Promise<void>;
  /** Runs `work` if no other process holds the lead; answers whether it did. */
  asLeader(work: () => Promise<void>): Promise<boolean>;
}
