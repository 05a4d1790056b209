import type { TenantId } from '#contract';

/** A row that something is to be done about: all that a job carries. */
export interface Due {
  readonly tenant: TenantId;
  /** The row's own name within the tenant, such as a key's id; empty where the tenant is the row. */
  readonly subject: string;
}

export interface JobRhythm {
  readonly name: string;
  /** Between two looks for what is due. */
  readonly everyMs: number;
}

export interface ClaimedKind {
  readonly kind: string;
  /** The last look did. */
  readonly failing: boolean;
  /** Rows that failed and have rested. They may not be due any more; then nothing is left to do but to say so. */
  readonly retries: readonly Due[];
}

/** Where stands when each kind of job was looked for, and what failed. @throws KeywardError unavailable */
export interface JobLedger {
  /** Those kinds that are to be looked for now, and by nobody else until their next time. */
  claim(kinds: readonly JobRhythm[]): Promise<readonly ClaimedKind[]>;
  done(kind: string, of: Due): Promise<void>;
  /** `error`: ours to say, at most 200 characters. It rests for `pausesMs[n]` after failure n + 1 in a row, and for the last of them from there on. */
  failed(kind: string, of: Due, error: string, pausesMs: readonly number[]): Promise<void>;
}
