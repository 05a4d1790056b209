import type { RecordBody, TenantId } from '#contract';
import type { Permit } from '../permit.js';
import type { BoundImport, BoundRow, Tombstone, WrappedKeyVersion } from './custody.js';

/** Whatever carries a MAC of the binding key, as custody is shown it. */
export type Rebindable =
  | { readonly what: 'rule'; readonly row: BoundRow }
  | { readonly what: 'key-version'; readonly row: WrappedKeyVersion }
  | { readonly what: 'import'; readonly row: BoundImport }
  | { readonly what: 'tombstone'; readonly row: Pick<Tombstone, 'tenant' | 'keyId' | 'mac'> };

/** The binding key as operators see it. */
export interface StoredBindingKey {
  /** 0: the first one. */
  readonly number: number;
  readonly startedAt: Date | undefined;
  /** Everything is bound by it: the older one is needed for older copies of the database only. */
  readonly rebound: boolean;
  /** The operators' word that the older one goes. */
  readonly retired: boolean;
  /** The older one is destroyed. Undefined while there are two. */
  readonly endedAt: Date | undefined;
  /** Rows whose MAC was none: they stay what they were, and no authority. */
  readonly broken: number;
  /** Rows that wait for it. */
  readonly left: number;
}

/** The key plane's, of custody. */
export interface BindingKeyMaker {
  /** Found or made beside the one before it, and the one that binds from now on. @throws CustodyUnavailable */
  createBindingKey(permit: Permit<'RotateBindingKey'>, number: number): Promise<void>;
}

/** The worker's, of custody. System operations without a permit: nothing has authority after them that had none before. */
export interface BindingKeeping {
  /** The row's MAC under the newest binding key, 32 bytes; undefined for a row that is not bound. @throws CustodyUnavailable */
  rebind(row: Rebindable): Promise<Uint8Array | undefined>;
  /** `mac`: the newest key's over bindingKeyRow. May be repeated. @throws CustodyUnavailable, KeyBindingBroken */
  destroyOlderBindingKeys(number: number, mac: Uint8Array): Promise<void>;
}

/** A rotation that is under way. */
export interface BindingRotation {
  readonly number: number;
  readonly rebound: boolean;
  readonly retireMac: Uint8Array | undefined;
  readonly logId: string;
}

/** A row as it was read; `bindable` is undefined for what cannot be read. */
export interface RowToRebind {
  readonly tenant: TenantId;
  readonly kind: string;
  readonly id: string;
  readonly mac: Uint8Array;
  readonly bindable: Rebindable | undefined;
}

/** What the worker may see and do of it. @throws KeywardError unavailable */
export interface BindingRotationStore {
  /** `byJob`: also while its job rests. */
  bindingRotation(byJob: boolean): Promise<BindingRotation | undefined>;
  /** Rows that were not looked at since it began, at most so many. */
  rowsToRebind(number: number, most: number): Promise<readonly RowToRebind[]>;
  /** If it is still the row that was read. Without a MAC: it has none that is good, and keeps what it has. */
  saveRebound(number: number, row: RowToRebind, mac: Uint8Array | undefined): Promise<void>;
  /** Moves the platform's epoch, once nothing is left: no decision rests on an older MAC. False: something is, or it began less than so long ago. */
  endRebinding(number: number, settledMs: number): Promise<boolean>;
  /** Records that the older one is destroyed; undefined when that is recorded. @throws TrailUnavailable */
  bindingKeyDestroyed(number: number, body: RecordBody): Promise<bigint | undefined>;
}
