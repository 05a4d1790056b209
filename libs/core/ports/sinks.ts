import type { PageQuery, SinkAnswer, SinkId, SinkTarget, TenantId } from '#contract';
import type { LaterLogKey, Page } from './reads.js';
import type { Epochs } from './rules.js';

/** Seals what the platform proves itself by at a sink: only the worker opens it, and only as this sink's. */
export interface SinkSealing {
  seal(tenant: TenantId, id: SinkId, plain: Uint8Array): Promise<string>;
}

export interface SinkOpening {
  /** @throws Error when it was sealed for another sink, or with another key */
  open(tenant: TenantId, id: SinkId, sealed: string): Promise<Uint8Array>;
}

/** Each of them ends a delivery that is under way: its outcome counts no more. */
export interface SinkChange {
  readonly description?: string | undefined;
  /** What failed before counts no more. */
  readonly target?: SinkTarget | undefined;
  /** null: nothing. */
  readonly sealed?: string | null | undefined;
  /** Active: what failed is forgotten, and the next attempt is at once. */
  readonly state?: 'Active' | 'Paused' | undefined;
  readonly nextSeq?: number | undefined;
  readonly testRequestedAt?: Date | undefined;
}

export interface Deliverable {
  readonly minIndex: number;
  readonly size: number;
}

export interface SinkReads {
  sinks(tenant: TenantId, query: PageQuery): Promise<Page<SinkAnswer>>;
  sink(tenant: TenantId, id: SinkId): Promise<SinkAnswer | undefined>;
  /** What may be delivered: records from `minIndex` on (those below were pruned), up to the newest checkpoint's `size`. */
  deliverable(tenant: TenantId): Promise<Deliverable>;
}

/** A sink with something to do, held by one worker for a while. */
export interface ClaimedSink {
  readonly tenant: TenantId;
  readonly sinkId: SinkId;
  /** What was claimed; whoever claims it later, or changes the sink, makes this one void. */
  readonly lease: string;
  /** undefined: this version cannot read it. One such sink holds up no other. */
  readonly target: SinkTarget | undefined;
  readonly sealed: string | undefined;
  readonly active: boolean;
  readonly testRequested: boolean;
  readonly nextSeq: number;
  readonly failures: number;
  readonly failingSince: Date | undefined;
  readonly log: { readonly logId: string; readonly vkey: string };
  readonly epochs: Epochs;
  /** The newest checkpoint: only what it covers leaves the platform. */
  readonly signed: { readonly size: number; readonly note: string };
}

export interface DeliveredRecord {
  readonly seq: number;
  /** The exact bytes. */
  readonly bytes: Uint8Array;
  readonly leafHash: Uint8Array;
}

/** The worker's part in deliveries: where each sink is, and the records behind that. Several workers may share it. */
export interface Deliveries {
  /** At most so many sinks that nobody holds and that have something to do; tenants with few under way come first. */
  claim(most: number): Promise<ClaimedSink[]>;
  /** Signed records from `from` on, in order, at most so many; none when the lease is void. */
  records(sink: ClaimedSink, from: number, most: number): Promise<DeliveredRecord[]>;
  /** Keys of the log after its first; none when the lease is void. */
  laterLogKeys(sink: ClaimedSink): Promise<readonly LaterLogKey[]>;
  /** Records of its log below it were pruned, or are being; 0 where none were, or the lease is void. */
  minIndex(sink: ClaimedSink): Promise<number>;
  /** Everything before `nextSeq` was taken. False: the lease is void. */
  advance(sink: ClaimedSink, nextSeq: number): Promise<boolean>;
  /** Gives it back: the next attempt is so many milliseconds away; undefined: when it was to be anyway. */
  release(sink: ClaimedSink, pauseMs: number | undefined, failure?: { readonly error: string; readonly disable: boolean }): Promise<void>;
  tested(sink: ClaimedSink, error: string | undefined): Promise<void>;
}
