import type { BoundImport } from './custody.js';
import type {
  CoverageAnswer,
  Alias,
  AliasAnswer,
  AuthMethod,
  CalendarItem,
  CheckpointsAnswer,
  CredentialId,
  CredentialSummary,
  GrantedOperation,
  DisclosureName,
  InventoryItem,
  JobsAnswer,
  Justification,
  KeyDescription,
  ImportToken,
  KeyId,
  KeyState,
  KeyUsageAnswer,
  KeyVersionSummary,
  LeasesAnswer,
  LeasesQuery,
  ListAliasesQuery,
  ListKeysQuery,
  ListCheckpointsQuery,
  ListRecordsQuery,
  OffBoardingAnswer,
  PageQuery,
  PolicyDraftAnswer,
  PolicyHistoryAnswer,
  PolicyHistoryQuery,
  PolicyVersionSummary,
  ServiceName,
  ServiceSummary,
  ShreddingReceiptAnswer,
  ShownDisclosure,
  StatsAnswer,
  StatsQuery,
  StopAnswer,
  StopId,
  SuspensionAnswer,
  TenantId,
  TenantSummary,
  SecretId,
} from '#contract';
import type { StoredBindingKey } from './binding-keys.js';
import type { LeavingTenant } from './off-boardings.js';
import type { StoredQuotas } from './quotas.js';
import type { StoredRoot } from './roots.js';
import type { StoredPolicy, StoredRotation } from './rules.js';

export interface Page<Item> {
  readonly items: Item[];
  readonly nextCursor?: string;
}

/** Lists for people. Row-level security holds them to the tenant; ordered by id, oldest first. @throws InvalidRequest for a foreign cursor */
export interface Reads {
  tenants(query: PageQuery): Promise<Page<TenantSummary>>;
  tenantExists(tenant: TenantId): Promise<boolean>;
  quotas(tenant: TenantId): Promise<StoredQuotas>;
  /** Undefined for an unknown tenant. */
  leavingTenant(tenant: TenantId): Promise<LeavingTenant | undefined>;
  offBoardings(query: PageQuery): Promise<Page<OffBoardingAnswer>>;
  services(query: PageQuery): Promise<Page<ServiceSummary>>;
  serviceExists(service: ServiceName): Promise<boolean>;
  /** With `service` only that service's, which live in `platform`. */
  credentials(tenant: TenantId, query: PageQuery, service?: string): Promise<Page<CredentialSummary>>;
  keys(tenant: TenantId, query: ListKeysQuery): Promise<Page<KeyDescription>>;
  /** Of an unknown key: none. */
  keyVersions(tenant: TenantId, keyId: KeyId, query: PageQuery): Promise<Page<KeyVersionSummary>>;
  /** Read it after the rules: a rotation that began since makes the change stale. */
  root(tenant: TenantId): Promise<StoredRoot>;
  /** The platform's. */
  bindingKey(): Promise<StoredBindingKey>;
  /** Every kind of timed work, and what fails of the tenant's; of the platform, what is known of all. */
  jobs(tenant: TenantId): Promise<JobsAnswer>;
  /** By its token; spent or not. */
  keyImport(tenant: TenantId, token: ImportToken): Promise<StoredImport | undefined>;
  /** What a key was before it waited for its material, or for its end, and when that came. */
  keyPast(tenant: TenantId, id: KeyId): Promise<{ readonly stateBefore: KeyState | undefined; readonly destroyedAt: Date | undefined }>;
  /** Undefined for a key that is not destroyed. */
  shreddingReceipt(tenant: TenantId, id: KeyId): Promise<ShreddingReceiptAnswer | undefined>;
  /** What will happen by the clock, the soonest first. */
  calendar(tenant: TenantId, query: PageQuery): Promise<Page<CalendarItem>>;
  aliases(tenant: TenantId, query: ListAliasesQuery): Promise<Page<AliasAnswer>>;
  stops(tenant: TenantId, query: PageQuery): Promise<Page<StopAnswer>>;
  stop(tenant: TenantId, id: StopId): Promise<StopAnswer | undefined>;
  /** In the order of lifting. */
  liftedStops(tenant: TenantId): Promise<StopId[]>;
  suspensions(query: PageQuery): Promise<Page<SuspensionAnswer>>;
  service(service: ServiceName): Promise<ServiceSummary | undefined>;
  policyVersions(tenant: TenantId, query: PageQuery): Promise<Page<PolicyVersionSummary>>;
  /** Unproven: see RowProofs. */
  policyVersion(tenant: TenantId, version: number): Promise<StoredPolicy | undefined>;
  policyDraft(tenant: TenantId): Promise<PolicyDraftAnswer | undefined>;
  /** Keys with the names by which rules mean them. */
  keyNames(tenant: TenantId, query: PageQuery): Promise<Page<KeyNames>>;
  namesOfKey(tenant: TenantId, id: KeyId): Promise<KeyNames | undefined>;
  /** The newest key of the tenant's log, and whether the one before it still signs as well. */
  logKey(tenant: TenantId): Promise<{ readonly number: number; readonly vkey: string; readonly overlaps: boolean }>;
}

export interface StoredImport extends BoundImport {
  readonly usedAt: Date | undefined;
}

export interface KeyNames {
  /** Where it has a rotation policy. */
  readonly rotation?: Pick<StoredRotation, 'intervalDays'> | undefined;
  readonly keyId: KeyId;
  readonly state: KeyState;
  readonly aliases: readonly Alias[];
  readonly tags: Readonly<Record<string, string>>;
}

/** One recorded decision about a use of a key: what a replay needs of it. */
export interface RecordedUse {
  readonly seq: bigint;
  readonly at: Date;
  readonly operation: GrantedOperation;
  readonly service: string;
  readonly authMethod: AuthMethod;
  /** Undefined of a call about a secret that no grant of the secret allowed. */
  readonly keyId: KeyId | undefined;
  readonly secret?: { readonly id: SecretId; readonly versionId?: string | undefined } | undefined;
  readonly contextDigests: readonly string[];
  readonly justification: Justification | null;
  readonly allowed: boolean;
  /** Calls that the record tells of. */
  readonly count: number;
}

/** What the usage ledger says of one key. */
export interface KeyUses {
  /** Records that are counted; fewer than the log has (`size`) while the count is far behind. */
  readonly asOf: number;
  readonly size: number;
  readonly uses: readonly (KeyUsageAnswer['services'][number]['operations'][number] & { readonly service: string })[];
  readonly leases: readonly { readonly service: string; readonly count: number; readonly until: string }[];
  readonly leasesComplete: boolean;
}

/** Personal fields of records, to be erased. */
export interface PersonalFields {
  readonly fromSeq: number;
  /** Not included; default: to the end. */
  readonly toSeq?: number | undefined;
  /** The first record whose shared fields a record of the range may carry. */
  readonly sharedFrom: number;
  /** As records name them; undefined: of everybody. */
  readonly abouts: readonly string[] | undefined;
  readonly fields: readonly DisclosureName[];
}

/** What the key plane may read of the trail: decisions about uses, for the tenant's own admins. */
export interface UseReads {
  /** The newest first, at most `limit` records before `before` and not older than `since`; those without a key are left out, so a page may be short. `next`: continue before it. */
  recordedUses(
    tenant: TenantId,
    page: { readonly since: Date; readonly before: bigint | undefined; readonly limit: number },
  ): Promise<{ readonly uses: readonly RecordedUse[]; readonly next: bigint | undefined }>;
  /** What a receipt tells about the uses before a record that made a stop. Looks at the newest 10,000 records before it at most. */
  usesBefore(
    tenant: TenantId,
    seq: bigint,
    scope: { readonly service?: string; readonly keyId?: KeyId; readonly contextDigest?: string },
    leasedSince: Date,
  ): Promise<{
    readonly recordedAt: Date;
    readonly lastAllowed: { readonly seq: bigint; readonly recordedAt: Date } | undefined;
    /**
     * Data keys and decrypted ones that were answered since `leasedSince` under leases that were not over; when the last of these ends,
     * and when the last was answered, at the latest. Not `complete`: some may be older than what was looked at.
     */
    readonly leases: {
      readonly count: number;
      readonly until: Date | undefined;
      readonly last: Date | undefined;
      readonly complete: boolean;
    };
  }>;
  /** How a key was used, exact as of a size of the log; `since`: from the beginning of its day, UTC. */
  keyUses(tenant: TenantId, keyId: KeyId, since: Date): Promise<KeyUses>;
  /** The last use of a key that succeeded. */
  lastUse(tenant: TenantId, keyId: KeyId): Promise<KeyDescription['lastUse']>;
  /** Uses of all keys since the beginning of a day, UTC, whatever became of them. */
  callsSince(tenant: TenantId, since: Date): Promise<number>;
  /** How many of them there are, and from where on shared ones count. */
  personalFields(
    tenant: TenantId,
    chosen: Omit<PersonalFields, 'sharedFrom'>,
  ): Promise<{ readonly count: number; readonly sharedFrom: number }>;
  /** The newest signed checkpoint if it covers this record. */
  checkpointOver(tenant: TenantId, seq: bigint): Promise<string | undefined>;
  /** Where in the log the change was recorded. */
  seqOfStop(tenant: TenantId, id: StopId): Promise<bigint | undefined>;
}

/** Who reads: each statement that reads for a credential looks at that credential too. */
export interface Reader {
  readonly tenant: TenantId;
  readonly credentialId: CredentialId;
}

/**
 * A log, as its auditor sees it: read-only, under row-level security, no lock that an append would wait for.
 * @throws StaleSnapshot when the reader's credential does not hold any more
 */
/** As `CoverageAnswer`, with the digest of a value for the value. */
export interface LabelCoverage extends Pick<CoverageAnswer, 'coveredSize'> {
  readonly items: readonly (Omit<CoverageAnswer['items'][number], 'value'> & { readonly digest: string | undefined })[];
}

export interface AuditReads {
  /** `nextSeq`: where the list goes on. */
  records(
    reader: Reader,
    filter: RecordsFilter,
  ): Promise<ToldDisclosures & { readonly size: number; readonly items: unknown[]; readonly nextSeq?: number }>;
  /** The newest signed checkpoint, undefined while the log has none. */
  checkpoint(reader: Reader): Promise<{ readonly note: string; readonly size: bigint } | undefined>;
  checkpoints(reader: Reader, query: ListCheckpointsQuery): Promise<CheckpointsAnswer>;
  /** The note that was signed at this size, if one was. */
  checkpointOfSize(reader: Reader, size: number): Promise<string | undefined>;
  /** Records below `minIndex` were pruned; they are kept so many days at least. */
  retention(reader: Reader): Promise<{ readonly minIndex: number; readonly days: number }>;
  /** Its keys after the first, the oldest first: each with its record and the smallest signed checkpoint over that, where there is one. */
  logKeys(reader: Reader): Promise<readonly LaterLogKey[]>;
  stats(reader: Reader, query: StatsQuery): Promise<StatsAnswer>;
  /** Keys after this id, at most so many. */
  inventory(reader: Reader, query: { readonly after: string | undefined; readonly most: number }): Promise<InventoryEntry[]>;
  /** Undefined for a key that is not destroyed. */
  shreddingReceipt(reader: Reader, id: KeyId): Promise<ShreddingReceiptAnswer | undefined>;
  /** Versions before this one, the newest first. */
  policyHistory(reader: Reader, query: PolicyHistoryQuery): Promise<PolicyHistoryAnswer>;
  /** What services may hold now, oldest first. */
  leases(reader: Reader, query: LeasesQuery): Promise<LeasesAnswer>;
  /** Uses by the one of these digests that their context has. */
  coverage(reader: Reader, digests: readonly string[]): Promise<LabelCoverage>;
  /** Stored bytes and stored leaf hashes of records [from, size), in pages. */
  entries(reader: Reader, from: bigint, size: bigint): AsyncIterable<StoredEntry>;
  /** Those of one tile: at most 256 records; fewer where one is missing. */
  tileEntries(reader: Reader, index: number, width: number): Promise<readonly StoredEntry[]>;
  /** The hashes of one tile, 32 bytes each; fewer where one is missing. */
  tileHashes(reader: Reader, level: number, index: number, width: number): Promise<readonly Uint8Array[]>;
}

export interface ToldDisclosures {
  readonly disclosures: ShownDisclosure[];
  /** Digests for which something else than a personal field is stored. */
  readonly unreadable: string[];
}

/** `principal`: any of these. */
export type RecordsFilter = Partial<Omit<ListRecordsQuery, 'cursor' | 'principal'>> &
  Pick<ListRecordsQuery, 'fromSeq' | 'limit'> & { readonly principal?: readonly string[] | undefined };
export type InventoryEntry = Omit<InventoryItem, 'usableBy'>;

export interface LaterLogKey {
  readonly vkey: string;
  readonly evidence: { readonly seq: number; readonly record: Uint8Array; readonly checkpoint: string; readonly size: number } | undefined;
}

export interface StoredEntry {
  readonly bytes: Uint8Array;
  readonly leafHash: Uint8Array;
  /** Of the personal fields that this record was the first to carry, those that are not erased. */
  readonly disclosures?: readonly string[] | undefined;
}
