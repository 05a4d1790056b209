import type { RecordBody, TenantId } from '#contract';
import type { Epochs } from './rules.js';

/** A key of a log whose time is over. */
export interface EndingLogKey {
  readonly tenant: TenantId;
  readonly logId: string;
  readonly number: number;
  readonly vkey: string;
  /** No checkpoint is signed with it any more; it is still in the HSM. */
  readonly retired: boolean;
  readonly epochs: Epochs;
}

/** Records below a log's minimum index go, step by step; so do months in which none is left. @throws KeywardError unavailable */
export interface LogPruning {
  /** Whether there was anything to do. */
  pruneStep(): Promise<boolean>;
  dropEmptyMonths(): Promise<void>;
}

/** Rows that the worker works off: a log's older key is retired, then removed from the HSM. */
export interface EndingLogKeys {
  /** Of this tenant, or at most 500 of all. */
  due(of?: TenantId): Promise<readonly EndingLogKey[]>;
  /** With its record, or not at all. @throws KeywardError unavailable, when the record cannot be appended now */
  retire(key: EndingLogKey, body: RecordBody): Promise<void>;
  destroyed(key: EndingLogKey): Promise<void>;
}
