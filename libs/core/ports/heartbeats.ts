import type { TenantId } from '#contract';
import type { Epochs } from './rules.js';

/** A log whose newest record is old. */
export interface IdleLog {
  readonly tenant: TenantId;
  readonly logId: string;
  readonly epochs: Epochs;
  readonly size: bigint;
  readonly signedSize: bigint;
}

export interface IdleLogs {
  /** At most 1,000 logs whose newest record is older than so many milliseconds, by the database's clock. */
  idleLogs(sinceMs: number): Promise<readonly IdleLog[]>;
}
