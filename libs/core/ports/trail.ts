import type { CredentialId, RecordBody, TenantId } from '#contract';
import type { Disclosure } from '../disclosures.js';
import type { LimitedGrant } from './grants.js';
import type { Epochs } from './rules.js';
import type { Writes } from './writes.js';

export interface TrailEntry {
  /** Whose log. */
  readonly tenant: TenantId;
  /** Decided under these: the log's tenant's and the platform's. */
  readonly epochs: Epochs;
  /** The record is refused once the database's clock is past this. */
  readonly validUntil: Date | undefined;
  readonly body: RecordBody;
  /** Stored with the record, where they are not `stored` yet, which this sets. */
  readonly disclosures?: readonly Disclosure[];
  /** Counted with the record: refused as `over-limit`, without one, when the grant's minute or day is full. */
  readonly charge?: LimitedGrant | undefined;
}

/**
 * `stale`: a rule changed since; `expired`: `validUntil` is past; `over-limit`: the charged grant has no room.
 * A record that counts several calls is charged for each of them, or for none. None of these left a record: decide again, or charge another.
 */
export type Appended =
  | { readonly verdict: 'durable'; readonly seq: bigint }
  | { readonly verdict: 'stale' }
  | { readonly verdict: 'expired' }
  /** `room`: how many calls the grant could still have paid for. */
  | { readonly verdict: 'over-limit'; readonly room: number };

/** `counted`: durably, and recorded once the minute is over. */
export type Counted = { readonly verdict: 'counted' } | Exclude<Appended, { verdict: 'durable' }>;

/** Reads that tell nothing but that they happened: one record a minute for all of one credential and operation, with their exact count. */
export interface ReadCounter {
  /** Under the same fence as an append. @throws TrailUnavailable */
  count(entry: TrailEntry): Promise<Counted>;
}

export interface Trail {
  /**
   * Resolves once the record is durable, or was refused by the fence.
   * @throws TrailUnavailable when it is not, or not known to be, durable; the record may then exist without an answer.
   */
  append(entry: TrailEntry): Promise<Appended>;
  /** The same for records that belong together: in one statement, each with a verdict of its own, in order. */
  appendAll(entries: readonly TrailEntry[]): Promise<Appended[]>;
}

export interface Change extends TrailEntry {
  /** Re-read in the same transaction: one that is revoked meanwhile changes nothing. */
  readonly credential: { readonly tenant: TenantId; readonly credentialId: CredentialId };
  readonly apply: (writes: Writes) => Promise<void>;
  /** A record of it for another tenant's log, durable with it or not at all. Of the platform's changes only. */
  readonly told?: Pick<TrailEntry, 'tenant' | 'body'> | undefined;
}

export interface Changes {
  /**
   * State and record in one transaction, whose last statement is the append; `apply` must not wait for anything but its writes.
   * @throws KeywardError as the writes do (already-exists, …), TrailUnavailable as `append` does.
   */
  commit(change: Change): Promise<Appended>;
}
