import type { OffBoardingAnswer, RecordBody, TenantId } from '#contract';

/** What is known of a tenant that may leave. */
export interface LeavingTenant {
  readonly state: 'Pending' | 'Active' | 'Ended';
  readonly suspended: boolean;
  readonly offBoarding: OffBoardingAnswer | undefined;
}

/** What the operator begins: `root` is the number of the root that is made to be the last one. */
export interface BegunOffBoarding {
  readonly tenant: TenantId;
  readonly basis: 'agreement' | 'suspension';
  readonly by: string;
  readonly at: Date;
  readonly endsAt: Date;
  readonly reason: string;
  readonly root: number;
}

/** One whose wait is over. */
export interface DueOffBoarding {
  readonly tenant: TenantId;
  /** When the wait was over, as the database tells it. */
  readonly due: string;
  /** The same, to be compared with a clock. */
  readonly dueAt: Date;
  readonly logId: string;
  readonly platformLogId: string;
  /** Nobody of the tenant gets in any more. */
  readonly closed: boolean;
}

export interface WhatHasGone {
  /** How many of what. */
  readonly removed: Readonly<Record<string, number>>;
  readonly destroyedKeys: number;
  /** SHA-256 over the SHA-256 of each of these keys' receipts, in the order of their ids, all in hexadecimal. */
  readonly receipts: string;
}

/**
 * What is still to be done: `keys`, `rows`: more of what this step did, at once; `destroying`, `root`, `receipts`, `sinks`: others do it, or
 * it waits; `end`: nothing but the record.
 */
export type OffBoardingStep = 'keys' | 'destroying' | 'root' | 'receipts' | 'rows' | 'sinks' | 'end';

/** What the worker may see and do of tenants that leave. Every step may be repeated. @throws KeywardError unavailable, TrailUnavailable */
export interface OffBoardings {
  /** Of this tenant, or at most 500 of all. */
  dueOffBoardings(of?: TenantId): Promise<readonly DueOffBoarding[]>;
  /** With its record. Undefined: it is not, or not any more, due at this time. */
  close(due: DueOffBoarding, body: RecordBody): Promise<bigint | undefined>;
  /** Of one that is closed: a lot of what is left, or nothing. */
  step(tenant: TenantId): Promise<OffBoardingStep>;
  /** Undefined: it is over. */
  whatHasGone(tenant: TenantId): Promise<WhatHasGone | undefined>;
  /** With its records in both logs. Undefined: it is over, or something is left. */
  end(due: DueOffBoarding, body: RecordBody, platformBody: RecordBody): Promise<bigint | undefined>;
}
