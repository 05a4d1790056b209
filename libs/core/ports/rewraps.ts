import type {
  CollectResultsAnswer,
  CollectResultsRequest,
  KeyId,
  KeyVersionId,
  LongOperation,
  LongOperationId,
  PageQuery,
  ProblemCode,
  RewrapAnswer,
  TenantId,
  UploadItemsAnswer,
  UploadItemsRequest,
} from '#contract';
import type { Page } from './reads.js';

/** A service's, without the names of what failed. */
export type LastRewrap = Omit<LongOperation, 'failures' | 'service'> & { readonly service: string };

/** What the key plane knows of work that goes on after its call was answered. */
export interface OperationReads {
  operations(tenant: TenantId, query: PageQuery): Promise<Page<LongOperation>>;
  operation(tenant: TenantId, id: LongOperationId): Promise<LongOperation | undefined>;
  /** Of each service the last one from this version that was not cancelled: the open one, if there is one. */
  lastRewraps(tenant: TenantId, key: KeyId, from: KeyVersionId): Promise<LastRewrap[]>;
  /** Projects by upload, open ones and what they left, that put something under this version, or hold something that is under it. */
  uploads(tenant: TenantId, key: KeyId, version: KeyVersionId): Promise<UploadsOf[]>;
  /** Of secrets, that are not over: they move the data keys from this version, or to it. */
  movesOfSecrets(tenant: TenantId, key: KeyId, version: KeyVersionId): Promise<LongOperationId[]>;
  /** Of these keys: what rules the worker has by those that are not over. */
  workersRewraps(tenant: TenantId, keys: readonly KeyId[]): Promise<Pick<LongOperation, 'operationId' | 'keyId' | 'service'>[]>;
  /** Of those that are not over. A beginning moves the epoch: whoever counted before it begins anew. */
  countOpen(tenant: TenantId): Promise<number>;
}

/** What one project by upload has to do with a version. */
export interface UploadsOf {
  readonly operationId: LongOperationId;
  readonly service: string;
  readonly isOpen: boolean;
  /** RFC 3339; undefined while it is open. */
  readonly endedAt: string | undefined;
  /** It puts things under the version; otherwise it takes them from there. */
  readonly into: boolean;
  /** When it last put something there. */
  readonly sealedAt: string | undefined;
  /** Uploaded, and not acknowledged. */
  readonly held: number;
}

/** Names one project as the service that asks may see it: another tenant's, or another service's, is none. */
export interface RewrapName {
  readonly tenant: TenantId;
  readonly operationId: LongOperationId;
  readonly service: string;
}

export interface WantedPage {
  /** The page whose results are written back. */
  readonly acknowledge: string | undefined;
  /** Where the wanted page begins; undefined: none is wanted, this acknowledges only. */
  readonly cursor: string | undefined;
  readonly population: number | undefined;
}

export interface TakenPage {
  /** `ended`: nothing goes on. `elsewhere`: the project is at another page. `early`: faster than it may be. */
  readonly verdict: 'taken' | 'ended' | 'elsewhere' | 'early';
  readonly waitSeconds: number;
  readonly rewrap: RewrapAnswer;
}

/** What came of a page. It counts when it is acknowledged, once. */
export interface SettledPage {
  readonly page: string;
  readonly cursor: string;
  readonly next: string | undefined;
  readonly done: number;
  /** Of `done`. */
  readonly kept: number;
  readonly failures: readonly { readonly itemId: string; readonly code: ProblemCode }[];
  /** The record of its first step. */
  readonly seq: bigint;
}

/** Projects, for the services that carry them out. Each call may be repeated. */
export interface Rewraps {
  rewrap(name: RewrapName): Promise<RewrapAnswer | undefined>;
  /** As `take`, and nothing is changed. */
  look(name: RewrapName, page: WantedPage): Promise<TakenPage | undefined>;
  /** Counts the acknowledged page, unless it answers another verdict than `taken`. */
  take(name: RewrapName, page: WantedPage): Promise<TakenPage | undefined>;
  /** False: it is over, or at another page. */
  settle(name: RewrapName, page: SettledPage): Promise<boolean>;
  suspend(name: RewrapName, reason: string): Promise<void>;
  /** What all open projects by upload of a tenant hold: ciphertexts, contexts and results that nobody acknowledged. */
  uploadedBytes(tenant: TenantId): Promise<number>;
  /** For a project by upload. An item that is there stays as it is. */
  upload(name: RewrapName, request: UploadItemsRequest): Promise<UploadItemsAnswer>;
  /** For a project by upload. Unless it is for good, nothing is acknowledged, and it answers as if it were. @throws KeywardError precondition-failed */
  collect(name: RewrapName, request: CollectResultsRequest, forGood: boolean): Promise<CollectResultsAnswer>;
  /** After the record at `seq`. Undefined unless every page was acknowledged. */
  finish(name: RewrapName, seq: bigint): Promise<RewrapAnswer | undefined>;
}
