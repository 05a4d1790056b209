import { Tenants } from './0001-tenants.js';
import { Callers } from './0002-callers.js';
import { Keys } from './0003-keys.js';
import { Rules } from './0004-rules.js';
import { TrailTables } from './0005-trail.js';
import { Epochs } from './0006-epochs.js';
import { RuleReads } from './0007-rule-reads.js';
import { TrailAppend } from './0008-trail-append.js';
import { TrailCommit } from './0009-trail-commit.js';
import { Onboarding } from './0010-onboarding.js';
import { Checkpoints } from './0011-checkpoints.js';
import { PlaneRights } from './0012-plane-rights.js';
import { UseReads } from './0013-use-reads.js';
import { SignedCheckpoints } from './0020-signed-checkpoints.js';
import { ReadCounts } from './0021-read-counts.js';
import { TrailStats } from './0022-trail-stats.js';
import { Heartbeats } from './0023-heartbeats.js';
import { KeyLife } from './0030-key-life.js';
import { KeyVersions } from './0031-key-versions.js';
import { Macs } from './0032-macs.js';
import { Capabilities } from './0033-capabilities.js';
import { ReEncryption } from './0034-re-encryption.js';
import { KeyPairs } from './0035-key-pairs.js';
import { EpochsOf } from './0040-epochs-of.js';
import { RunningLeases } from './0041-running-leases.js';
import { OpenLeases } from './0042-open-leases.js';
import { Disclosures } from './0043-disclosures.js';
import { KeyUses } from './0044-key-uses.js';
import { Sinks } from './0047-sinks.js';
import { Deliveries } from './0048-deliveries.js';
import { KeysOfBuckets } from './0049-keys-of-buckets.js';
import { MonthlyRecords } from './0051-monthly-records.js';
import { LogKeys } from './0052-log-keys.js';
import { Retention } from './0053-retention.js';
import { AsymmetricUses } from './0056-asymmetric-uses.js';
import { RandomBytes } from './0057-random-bytes.js';
import { KeyImport } from './0058-key-import.js';
import { KeyDestruction } from './0060-key-destruction.js';
import { RootRotation } from './0061-root-rotation.js';
import { RestoreCheck } from './0062-restore-check.js';
import { RewrappedImports } from './0063-rewrapped-imports.js';
import { LabelCoverage } from './0071-label-coverage.js';
import { Queue } from './0080-queue.js';
import { Jobs } from './0081-jobs.js';
import { DueRows } from './0082-due-rows.js';
import { ListOfJobs } from './0083-list-of-jobs.js';
import { KeyRotation } from './0085-key-rotation.js';
import { AutomaticRotation } from './0086-automatic-rotation.js';
import { WornKeys } from './0087-worn-keys.js';
import { Calendar } from './0088-calendar.js';
import { StateBefore } from './0090-state-before.js';
import { ForkedTrails } from './0091-forked-trails.js';
import { PrunedBeginnings } from './0094-pruned-beginnings.js';
import { ErasedReads } from './0095-erased-reads.js';
import { LastUse } from './0097-last-use.js';
import { RewrapProjects } from './0100-rewraps.js';
import { VersionEnd } from './0101-version-end.js';
import { Secrets } from './0110-secrets.js';
import { SecretEnds } from './0111-secret-ends.js';
import { SecretRotations } from './0120-secret-rotations.js';
import { JobAlerts } from './0130-job-alerts.js';
import { ExpiryWarnings } from './0131-expiry-warnings.js';
import { KeyWear } from './0132-key-wear.js';
import { BeforeJobs } from './0133-before-jobs.js';
import { BindingKey } from './0134-binding-key.js';
import { Uploads } from './0140-uploads.js';
import { PlatformFigures } from './0170-platform-figures.js';
import { RewrapsOfSecrets } from './0180-rewraps-of-secrets.js';
import { UploadedBytes } from './0181-uploaded-bytes.js';
import { UsesOfSecrets } from './0182-uses-of-secrets.js';
import { Quotas } from './0190-quotas.js';
import { OffBoarding } from './0191-off-boarding.js';
import { LotsOfDueKeys } from './0200-lots-of-due-keys.js';
import { ShortRests } from './0201-short-rests.js';
import { ClocksOfWorkers } from './0202-clocks-of-workers.js';

/** In order. A published one is never edited; the next one is added below. */
export const MIGRATIONS = [
  Tenants,
  Callers,
  Keys,
  Rules,
  TrailTables,
  Epochs,
  RuleReads,
  TrailAppend,
  TrailCommit,
  Onboarding,
  Checkpoints,
  PlaneRights,
  UseReads,
  SignedCheckpoints,
  ReadCounts,
  TrailStats,
  Heartbeats,
  KeyLife,
  KeyVersions,
  Macs,
  Capabilities,
  ReEncryption,
  KeyPairs,
  EpochsOf,
  RunningLeases,
  OpenLeases,
  Disclosures,
  KeyUses,
  Sinks,
  Deliveries,
  KeysOfBuckets,
  MonthlyRecords,
  LogKeys,
  Retention,
  AsymmetricUses,
  RandomBytes,
  KeyImport,
  KeyDestruction,
  RootRotation,
  RestoreCheck,
  RewrappedImports,
  LabelCoverage,
  Queue,
  Jobs,
  DueRows,
  ListOfJobs,
  KeyRotation,
  AutomaticRotation,
  WornKeys,
  Calendar,
  StateBefore,
  ForkedTrails,
  PrunedBeginnings,
  ErasedReads,
  LastUse,
  RewrapProjects,
  VersionEnd,
  Secrets,
  SecretEnds,
  SecretRotations,
  JobAlerts,
  ExpiryWarnings,
  KeyWear,
  BeforeJobs,
  BindingKey,
  Uploads,
  PlatformFigures,
  RewrapsOfSecrets,
  UploadedBytes,
  UsesOfSecrets,
  Quotas,
  OffBoarding,
  LotsOfDueKeys,
  ShortRests,
  ClocksOfWorkers,
];
