import type { KeyId, KeyVersionId, RecordBody, Role, TenantId } from '#contract';
import type { Due } from './jobs.js';

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

/** A version that has sealed so much that its tenant is to hear of it. */
export interface TellingWear {
  readonly tenant: TenantId;
  readonly keyId: KeyId;
  readonly versionId: KeyVersionId;
  readonly sealed: bigint;
  /** It seals no more from the moment on that it is told. */
  readonly exhausted: boolean;
  readonly logId: string;
}

/** @throws KeywardError unavailable */
export interface KeyWear {
  /** Of this version, or at most 500 of all. */
  wearToTell(of?: Due): Promise<readonly TellingWear[]>;
  /** That it was told, that it seals no more, and the record that tells it, in one transaction. Undefined as above. */
  tellWear(wear: TellingWear, body: RecordBody): Promise<bigint | undefined>;
}
