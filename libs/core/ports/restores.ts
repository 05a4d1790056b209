import type { KeyId, RecordBody, StopId, TenantId } from '#contract';
import type { StoredKey } from './rules.js';

/** How far a tenant's log is, and which root wraps its keys, by the database. */
export interface LogHead {
  readonly tenant: TenantId;
  readonly logId: string;
  readonly size: bigint;
  readonly root: number;
}

/** Because the log has fewer records than were signed, or others. */
export interface RestoreStop {
  readonly stopId: StopId;
  readonly reason: string;
  /** It is not stopped if it has as many records by now; undefined: however many it has. */
  readonly fewerThan: bigint | undefined;
}

/** What the key plane may see and do when the database went back. @throws KeywardError unavailable */
export interface RestoreStore {
  /** Of tenants after this one, at most so many. */
  logHeads(after: string, most: number): Promise<readonly LogHead[]>;
  key(tenant: TenantId, keyId: KeyId): Promise<StoredKey | undefined>;
  /** Of the tree of a log's first so many records, 32 bytes (RFC 6962); undefined where its hashes are not all there. */
  treeRoot(tenant: TenantId, size: bigint): Promise<Uint8Array | undefined>;
  /** Its wait is over: the worker destroys it. Undefined when it is on its way already. @throws TrailUnavailable */
  destroyAgain(tenant: TenantId, keyId: KeyId, body: RecordBody): Promise<bigint | undefined>;
  /**
   * Undefined when the tenant was stopped for this reason before, also where that is lifted, and when its log has that many records by
   * now. @throws TrailUnavailable
   */
  stopRestored(tenant: TenantId, stop: RestoreStop, body: RecordBody): Promise<bigint | undefined>;
}

/** What custody remembers, outside the database. */
export interface KeptByCustody {
  /** Records under the last checkpoint that was signed. */
  readonly signedSize: bigint;
  /** Of that checkpoint's tree, 32 bytes; undefined before the first. */
  readonly signedRoot: Uint8Array | undefined;
  /** Is the root of this number on the token? */
  readonly hasRoot: boolean;
  /** Destroyed keys in the order of their ids, at most 100. */
  readonly destroyed: readonly KeyId[];
}

export interface CustodyMemory {
  /** @throws CustodyUnavailable */
  kept(tenant: TenantId, asked: { readonly logId: string; readonly root: number; readonly afterKey: string }): Promise<KeptByCustody>;
}
