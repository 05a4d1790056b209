import type { KeyId, RecordBody, Role, TenantId } from '#contract';

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

/** A row whose job has failed so often in a row that its tenant is to hear of it, or that works again since. */
export interface JobEpisode extends Due {
  readonly kind: string;
  readonly failing: boolean;
  readonly failures: number;
  readonly failingSince: Date;
  /** As the database writes it, to the microsecond: nothing else is compared with it. */
  readonly since: string;
  readonly lastError: string;
  readonly logId: string;
}

/** @throws KeywardError unavailable */
export interface JobAlerts {
  /** Not told yet: of all tenants without those whose report rests, or of this one; at most 500. */
  episodes(of?: TenantId): Promise<readonly JobEpisode[]>;
  /** That it was told, and the record that tells it, in one transaction. Undefined: it was told, is over, or a rule came in between. */
  report(episode: JobEpisode, body: RecordBody): Promise<bigint | undefined>;
}

/** A credential, or imported material of a key, that ends soon. */
export interface DueWarning extends Due {
  /** Of material; its version is the subject. */
  readonly keyId: KeyId | undefined;
  /** Of a credential. */
  readonly role: Role | undefined;
  /** Name of the service whose credential it is. */
  readonly service: string | undefined;
  readonly expiresAt: Date;
  /** As the database writes it. */
  readonly at: string;
  /** The threshold: it ends in so many days of 24 hours, or before. */
  readonly days: number;
  readonly logId: string;
}

/** @throws KeywardError unavailable */
export interface ExpiryWarnings {
  /** By the database's clock: of this row, or at most 500 of all. */
  dueWarnings(of?: Due): Promise<readonly DueWarning[]>;
  /** That it was told, and the record that tells it, in one transaction. Undefined: it was told, is over, or a rule came in between. */
  warn(warning: DueWarning, body: RecordBody): Promise<bigint | undefined>;
}
