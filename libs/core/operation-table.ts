import type { KeyState, OperationName, Role } from '#contract';

export type Plane = 'data' | 'key' | 'audit';
/** `use` puts a tenant's key to work, `change` alters state in one transaction with its record, `read` answers what is stored. */
export type Effect = 'use' | 'change' | 'read';
/**
 * Rate limits are counted per credential and class. `stop` has room of its own, so that one can stop when everything else is too much;
 * only who may make the call has it, for all others it counts as `manage`.
 */
export type RateClass = 'use' | 'manage' | 'read' | 'stop';

export interface OperationRow {
  readonly plane: Plane;
  readonly effect: Effect;
  /**
   * Roles that may call at all; a service's calls are decided by the tenant's grants on top. A person's calls are about the own tenant:
   * an operator's about `platform`, whose log is read and its key rotated as any other's.
   */
  readonly callers: readonly Role[];
  /** Key states in which it may run; empty: the state does not matter. */
  readonly keyStates: readonly KeyState[];
  readonly rateClass: RateClass;
  /** In the record, besides who, when and what: context digests, sizes, what changed. */
  readonly records: readonly ('context' | 'size' | 'change')[];
}

const row = (
  plane: Plane,
  effect: Effect,
  callers: readonly Role[],
  keyStates: readonly KeyState[],
  rateClass: RateClass,
  records: OperationRow['records'],
): OperationRow => ({ plane, effect, callers, keyStates, rateClass, records });

const NONE: readonly KeyState[] = [];
const NOT_DESTROYED: readonly KeyState[] = ['Enabled', 'Disabled', 'PendingDeletion', 'PendingImport'];
/** Everything but what is on its way out. */
const NOT_ENDING: readonly KeyState[] = ['Enabled', 'Disabled', 'PendingImport'];

// biome-ignore format: an aligned table is read column by column
export const OPERATIONS = {
  //                                       plane    effect    callers                states                  rate      records
  Encrypt:                         row('data',  'use',    ['service'],           ['Enabled'],            'use',    ['context', 'size']),
  Decrypt:                         row('data',  'use',    ['service'],           ['Enabled'],            'use',    ['context', 'size']),
  GenerateDataKey:                 row('data',  'use',    ['service'],           ['Enabled'],            'use',    ['context', 'size']),
  GenerateDataKeyWithoutPlaintext: row('data',  'use',    ['service'],           ['Enabled'],            'use',    ['context', 'size']),
  ReEncryptFrom:                   row('data',  'use',    ['service'],           ['Enabled'],            'use',    ['context', 'size']),
  ReEncryptTo:                     row('data',  'use',    ['service'],           ['Enabled'],            'use',    ['context', 'size']),
  GenerateMac:                     row('data',  'use',    ['service'],           ['Enabled'],            'use',    ['size']),
  VerifyMac:                       row('data',  'use',    ['service'],           ['Enabled'],            'use',    ['size']),
  Sign:                            row('data',  'use',    ['service'],           ['Enabled'],            'use',    ['size']),
  Verify:                          row('data',  'use',    ['service'],           ['Enabled'],            'use',    ['size']),
  GetPublicKey:                    row('data',  'use',    ['service'],           ['Enabled'],            'use',    []),
  AsymmetricEncrypt:               row('data',  'use',    ['service'],           ['Enabled'],            'use',    ['size']),
  AsymmetricDecrypt:               row('data',  'use',    ['service'],           ['Enabled'],            'use',    []),
  GenerateRandom:                  row('data',  'use',    ['service'],           NONE,                   'use',    ['size']),
  GetSecretValue:                  row('data',  'use',    ['service', 'admin'],  NONE,                   'use',    ['context']),
  PutSecretValue:                  row('data',  'change', ['service', 'admin'],  NONE,                   'use',    ['change']),
  DescribeSecret:                  row('data',  'read',   ['service', 'admin'],  NONE,                   'read',   []),
  GetRandomPassword:               row('data',  'use',    ['service', 'admin'],  NONE,                   'use',    []),
  WatchRules:                      row('data',  'read',   ['service'],           NONE,                   'read',   []),
  DescribeRewrap:                  row('data',  'read',   ['service'],           NONE,                   'read',   []),
  RewrapPage:                      row('data',  'use',    ['service'],           NONE,                   'use',    ['change']),
  SettleRewrapPage:                row('data',  'use',    ['service'],           NONE,                   'use',    ['change']),
  UploadRewrapItems:               row('data',  'use',    ['service'],           NONE,                   'use',    ['change']),
  CollectRewrapResults:            row('data',  'use',    ['service'],           NONE,                   'use',    ['change']),
  FinishRewrap:                    row('data',  'use',    ['service'],           NONE,                   'use',    ['change']),

  OnboardTenant:                   row('key',   'change', ['operator'],          NONE,                   'manage', ['change']),
  ListTenants:                     row('key',   'read',   ['operator'],          NONE,                   'read',   []),
  RegisterService:                 row('key',   'change', ['operator'],          NONE,                   'manage', ['change']),
  ListServices:                    row('key',   'read',   ['operator'],          NONE,                   'read',   []),
  PutCatalogueEntry:               row('key',   'change', ['operator'],          NONE,                   'manage', ['change']),
  SuspendService:                  row('key',   'change', ['operator'],          NONE,                   'stop',   ['change']),
  ResumeService:                   row('key',   'change', ['operator'],          NONE,                   'manage', ['change']),
  SuspendTenant:                   row('key',   'change', ['operator'],          NONE,                   'stop',   ['change']),
  ResumeTenant:                    row('key',   'change', ['operator'],          NONE,                   'manage', ['change']),
  ListSuspensions:                 row('key',   'read',   ['operator'],          NONE,                   'read',   []),
  SetQuota:                        row('key',   'change', ['operator'],          NONE,                   'manage', ['change']),
  DescribeTenantQuotas:            row('key',   'read',   ['operator'],          NONE,                   'read',   []),
  DescribeQuotas:                  row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  OffBoardTenant:                  row('key',   'change', ['operator'],          NONE,                   'manage', ['change']),
  CancelOffBoarding:               row('key',   'change', ['operator'],          NONE,                   'manage', ['change']),
  ListOffBoardings:                row('key',   'read',   ['operator'],          NONE,                   'read',   []),
  AgreeToOffBoarding:              row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  WithdrawFromOffBoarding:         row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  DescribeOffBoarding:             row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  RotateBindingKey:                row('key',   'change', ['operator'],          NONE,                   'manage', ['change']),
  RetireBindingKey:                row('key',   'change', ['operator'],          NONE,                   'manage', ['change']),
  DescribeBindingKey:              row('key',   'read',   ['operator'],          NONE,                   'read',   []),
  IssueServiceCredential:          row('key',   'change', ['operator'],          NONE,                   'manage', ['change']),
  ListServiceCredentials:          row('key',   'read',   ['operator'],          NONE,                   'read',   []),
  RevokeServiceCredential:         row('key',   'change', ['operator'],          NONE,                   'stop',   ['change']),
  Enrol:                           row('key',   'change', ['enrolment'],         NONE,                   'manage', ['change']),
  IssueCredential:                 row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  ListCredentials:                 row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  RevokeCredential:                row('key',   'change', ['admin'],             NONE,                   'stop',   ['change']),
  CreateKey:                       row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  DescribeKey:                     row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  ListKeys:                        row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  EnableKey:                       row('key',   'change', ['admin'],             ['Enabled', 'Disabled'], 'manage', ['change']),
  DisableKey:                      row('key',   'change', ['admin'],             ['Enabled', 'Disabled'], 'stop',   ['change']),
  DescribeCapabilities:            row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  CreateKeyVersion:                row('key',   'change', ['admin'],             ['Enabled'],            'manage', ['change']),
  ListCalendar:                    row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  PutKeyRotation:                  row('key',   'change', ['admin'],             ['Enabled'],            'manage', ['change']),
  GetKeyRotation:                  row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  GetImportParameters:             row('key',   'change', ['admin'],             NOT_DESTROYED,          'manage', ['change']),
  ImportKeyMaterial:               row('key',   'change', ['admin'],             NOT_ENDING,             'manage', ['change']),
  DeleteImportedKeyMaterial:       row('key',   'change', ['admin'],             NOT_DESTROYED,          'stop',   ['change']),
  ListKeyVersions:                 row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  DescribePublicKey:               row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  UpdateKeyDescription:            row('key',   'change', ['admin'],             NOT_ENDING,             'manage', ['change']),
  TagKey:                          row('key',   'change', ['admin'],             NOT_ENDING,             'manage', ['change']),
  UntagKey:                        row('key',   'change', ['admin'],             NOT_ENDING,             'manage', ['change']),
  SetDeletionProtection:           row('key',   'change', ['admin'],             NOT_ENDING,             'manage', ['change']),
  ScheduleKeyDeletion:             row('key',   'change', ['admin'],             NOT_ENDING,             'manage', ['change']),
  CancelKeyDeletion:               row('key',   'change', ['admin'],             ['PendingDeletion'],    'manage', ['change']),
  GetShreddingReceipt:             row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  RotateRoot:                      row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  DescribeRoot:                    row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  CreateAlias:                     row('key',   'change', ['admin'],             NOT_ENDING,             'manage', ['change']),
  UpdateAlias:                     row('key',   'change', ['admin'],             NOT_ENDING,             'manage', ['change']),
  DeleteAlias:                     row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  ListAliases:                     row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  PutIdentityProvider:             row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  GetIdentityProvider:             row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  DeleteIdentityProvider:          row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  PutPolicy:                       row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  GetPolicy:                       row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  ListPolicyVersions:              row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  GetPolicyVersion:                row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  ExportPolicy:                    row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  DiffPolicy:                      row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  RollbackPolicy:                  row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  LintPolicy:                      row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  PutPolicyDraft:                  row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  GetPolicyDraft:                  row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  DiscardPolicyDraft:              row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  ValidatePolicyDraft:             row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  PreviewPolicyDraft:              row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  PublishPolicyDraft:              row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  SimulatePolicy:                  row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  WhoCan:                          row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  Stop:                            row('key',   'change', ['admin'],             NONE,                   'stop',   ['change']),
  Lift:                            row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  SetRetention:                    row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  PruneRecords:                    row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  ListStops:                       row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  GetStop:                         row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  CreateSink:                      row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  ListSinks:                       row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  DescribeSink:                    row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  UpdateSink:                      row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  DeleteSink:                      row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  TestSink:                        row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  DescribeKeyUsage:                row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  StartRewrap:                     row('key',   'change', ['admin'],             ['Enabled'],            'manage', ['change']),
  ListOperations:                  row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  DescribeOperation:               row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  WatchOperation:                  row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  CancelOperation:                 row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  GetCompletionCertificate:        row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  ListVersionReferences:           row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  RetireKeyVersion:                row('key',   'change', ['admin'],             ['Enabled', 'Disabled'], 'manage', ['change']),
  CreateSecret:                    row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  ListSecrets:                     row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  ListSecretVersions:              row('key',   'read',   ['admin'],             NONE,                   'read',   []),
  UpdateSecret:                    row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  UpdateSecretVersionLabels:       row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  DeleteSecret:                    row('key',   'change', ['admin'],             NONE,                   'stop',   ['change']),
  RestoreSecret:                   row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  UpdateSecretRotationPolicy:      row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  RotateSecret:                    row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  ErasePersonalFields:             row('key',   'change', ['admin'],             NONE,                   'manage', ['change']),
  ListJobs:                        row('key',   'read',   ['admin', 'operator'], NONE,                   'read',   []),
  RotateLogKey:                    row('key',   'change', ['admin', 'operator'], NONE,                   'manage', ['change']),

  ListRecords:                     row('audit', 'read',   ['auditor', 'operator'], NONE,                 'read',   []),
  GetCheckpoint:                   row('audit', 'read',   ['auditor', 'operator'], NONE,                 'read',   []),
  ListCheckpoints:                 row('audit', 'read',   ['auditor', 'operator'], NONE,                 'read',   []),
  GetTile:                         row('audit', 'read',   ['auditor', 'operator'], NONE,                 'read',   []),
  GetLog:                          row('audit', 'read',   ['auditor', 'operator'], NONE,                 'read',   []),
  GetBundle:                       row('audit', 'read',   ['auditor', 'operator'], NONE,                 'read',   []),
  GetRecordProof:                  row('audit', 'read',   ['auditor', 'operator'], NONE,                 'read',   []),
  GetConsistencyProof:             row('audit', 'read',   ['auditor', 'operator'], NONE,                 'read',   []),
  GetRecordStats:                  row('audit', 'read',   ['auditor'],           NONE,                   'read',   []),
  ListKeyInventory:                row('audit', 'read',   ['auditor'],           NONE,                   'read',   []),
  ReadShreddingReceipt:            row('audit', 'read',   ['auditor'],           NONE,                   'read',   []),
  ListPolicyHistory:               row('audit', 'read',   ['auditor'],           NONE,                   'read',   []),
  ListLeases:                      row('audit', 'read',   ['auditor'],           NONE,                   'read',   []),
  GetCoverage:                     row('audit', 'read',   ['auditor'],           NONE,                   'read',   []),
} as const satisfies Record<OperationName, OperationRow>;
