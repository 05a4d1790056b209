import type { DisclosureName, TrailRecord } from '#contract';

/** A record on its way out of the platform. */
export interface LeavingRecord {
  readonly record: TrailRecord;
  /** Whose log it stands in; a record names only its log. */
  readonly tenant: string;
  /** SHA-256(00 ‖ bytes of the record), hexadecimal: what an inclusion proof begins with (RFC 6962 §2.1). */
  readonly leafHash: string;
  /** What of its personal fields whoever lets it leave may tell, and is not erased. */
  readonly personal: Readonly<Partial<Record<DisclosureName, string>>>;
}

/** What the clouds' own shapes have no field for: where the record stands, and what it says beyond them. */
export const beyondTheShape = ({ record, leafHash }: LeavingRecord) => ({
  ...{ operation: record.op, log: record.log, seq: record.seq, leafHash, recordedAt: record.recordedAt },
  ...(record.change && { change: record.change }),
  ...(record.crypto && { crypto: record.crypto }),
  ...(record.authz && { authz: record.authz }),
  ...(record.count !== undefined && { count: record.count }),
});
