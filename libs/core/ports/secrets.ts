import type {
  KeyId,
  KeyVersionId,
  ListSecretsQuery,
  RecordBody,
  SecretDescription,
  SecretFormat,
  SecretId,
  SecretName,
  SecretRotationPolicy,
  SecretRotationState,
  SecretType,
  TenantId,
} from '#contract';
import type { Due } from './jobs.js';
import type { RotationProgress } from '../secret-rotation.js';
import type { Page } from './reads.js';

/** The version that each label names. */
export type Labels = Readonly<Record<string, string>>;

/** A secret without its values. */
export interface StoredSecret {
  readonly secretId: SecretId;
  readonly name: SecretName;
  readonly type: SecretType;
  /** The key that seals its values. */
  readonly keyId: KeyId;
  readonly description: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly createdAt: Date;
  /** When it is purged; undefined: it is not to be. */
  readonly deletionAt: Date | undefined;
  readonly rotation: SecretRotationPolicy | undefined;
  readonly rotationState: SecretRotationState;
  readonly nextRotationAt: Date | undefined;
  /** Undefined until its first rotation begins. No authority: what decides are labels and policy. */
  readonly rotating?: (RotationProgress & { readonly nextStepAt: Date | undefined }) | undefined;
  /** A rotation of another secret reaches its target by what this one says. Told to decisions only. */
  readonly connects?: boolean | undefined;
  /** The HSM's, over what it is (bound-rows.ts, secretRow). */
  readonly mac: Uint8Array;
  readonly labels: Labels;
  /** Counted from 1, one more whenever a label moves. */
  readonly revision: number;
  /** The HSM's, over labels and revision. */
  readonly labelsMac: Uint8Array;
  /** The oldest first. */
  readonly versions: readonly StoredVersion[];
}

export interface StoredVersion {
  readonly versionId: string;
  readonly format: SecretFormat;
  readonly createdAt: Date;
  /** The version of its key that sealed it. */
  readonly keyVersionId: KeyVersionId;
}

/** A value, sealed. */
export interface SealedVersion extends StoredVersion {
  /** Its data key, as a ciphertext v1 of the kind `dataKey` (DESIGN §7). */
  readonly edk: Uint8Array;
  /** IV, ciphertext and tag of AES-256-GCM under the data key. */
  readonly sealed: Uint8Array;
}

/** Which version: by its id, or by a label. */
export type WhichVersion = { readonly versionId: string } | { readonly label: string };

/** What decisions about secrets read: one statement, with the epoch under which it was read. The rows are unproven: see RowProofs. */
export interface SecretStore {
  /** By name or id. */
  secret(
    tenant: TenantId,
    reference: string,
    which?: WhichVersion,
  ): Promise<{ readonly epoch: string; readonly secret: StoredSecret | undefined; readonly version: SealedVersion | undefined }>;
}

export interface SecretReads extends SecretStore {
  /** Ordered by id, oldest first. */
  secrets(tenant: TenantId, query: ListSecretsQuery): Promise<Page<SecretDescription>>;
  /** Values that open only with this version of a key. */
  sealedUnder(tenant: TenantId, version: KeyVersionId): Promise<number>;
}

export type SecretChange = Partial<
  Pick<StoredSecret, 'description' | 'tags' | 'deletionAt' | 'rotation' | 'rotationState' | 'nextRotationAt' | 'mac'>
>;

/** Labels as they were read, and as they are to be; with what becomes of the versions themselves. */
export interface LabelChange {
  readonly secretId: SecretId;
  /** The revision that was read: the new one is the next. */
  readonly revision: number;
  readonly labels: Labels;
  readonly labelsMac: Uint8Array;
  readonly added?: SealedVersion | undefined;
  /** Makes room for it. */
  readonly dropped?: string | undefined;
}

export interface SecretWrites {
  /** Without versions. @throws KeywardError already-exists, for its name */
  insert(secret: StoredSecret): Promise<void>;
  /** @throws KeywardError not-found */
  update(id: SecretId, change: SecretChange): Promise<void>;
  /** @throws StaleSnapshot when its labels are not those that were read */
  putVersion(change: LabelChange): Promise<void>;
  /** With all its versions. @throws KeywardError not-found */
  delete(id: SecretId): Promise<void>;
}

/** A secret whose wait is over. */
export interface DuePurge {
  readonly tenant: TenantId;
  readonly secretId: SecretId;
  readonly name: SecretName;
  /** As the database writes it: compared with what is there when it goes. */
  readonly due: string;
  /** The same, to be compared with a clock. */
  readonly dueAt: Date;
  readonly logId: string;
}

/** The worker's: it looks, and the database decides again. @throws KeywardError unavailable */
export interface SecretPurges {
  /** By the database's clock: of this secret, or at most 500 of all. */
  duePurges(of?: Due): Promise<readonly DuePurge[]>;
  /** The record's place; undefined when it is not, or not any more, to be purged at this time. @throws TrailUnavailable */
  purge(due: DuePurge, body: RecordBody): Promise<bigint | undefined>;
}
