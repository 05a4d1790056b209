import type { TrailRecord } from '#contract';

/** `activity_id` of OCSF API Activity (class 6003). */
export const ACTIVITIES = { Create: 1, Read: 2, Update: 3, Delete: 4, Other: 99 } as const;
type Activity = keyof typeof ACTIVITIES;

export interface EventNames {
  readonly activity: Activity;
  /** As AWS KMS names it in CloudTrail; our own name where AWS has no such call. */
  readonly aws: string;
  /** As Alibaba Cloud KMS names it in ActionTrail; our own where it has no such call. */
  readonly alibaba: string;
}

type Operation = TrailRecord['op'];

/** `''`: the cloud has no such call. */
const row = (activity: Activity, aws: string, alibaba: string) => ({ activity, aws, alibaba });

/** What each recorded operation is called elsewhere. One that is missing here does not compile. */
// biome-ignore format: an aligned table is read column by column
const NAMES = {
  //                                   OCSF      AWS KMS                            Alibaba Cloud KMS
  Encrypt:                         row('Other',  'Encrypt',                         'Encrypt'),
  Decrypt:                         row('Other',  'Decrypt',                         'Decrypt'),
  GenerateDataKey:                 row('Create', 'GenerateDataKey',                 'GenerateDataKey'),
  GenerateDataKeyWithoutPlaintext: row('Create', 'GenerateDataKeyWithoutPlaintext', 'GenerateDataKeyWithoutPlaintext'),
  ReEncryptFrom:                   row('Other',  'ReEncrypt',                       'ReEncrypt'),
  ReEncryptTo:                     row('Other',  'ReEncrypt',                       'ReEncrypt'),
  GenerateMac:                     row('Other',  'GenerateMac',                     ''),
  VerifyMac:                       row('Other',  'VerifyMac',                       ''),
  Sign:                            row('Other',  'Sign',                            'AsymmetricSign'),
  Verify:                          row('Other',  'Verify',                          'AsymmetricVerify'),
  GetPublicKey:                    row('Read',   'GetPublicKey',                    'GetPublicKey'),
  AsymmetricEncrypt:               row('Other',  'Encrypt',                         'AsymmetricEncrypt'),
  AsymmetricDecrypt:               row('Other',  'Decrypt',                         'AsymmetricDecrypt'),
  GenerateRandom:                  row('Create', 'GenerateRandom',                  ''),
  WatchRules:                      row('Read',   '',                                ''),
  DescribeRewrap:                  row('Read',   '',                                ''),
  RewrapPage:                      row('Read',   '',                                ''),
  SettleRewrapPage:                row('Update', '',                                ''),
  FinishRewrap:                    row('Update', '',                                ''),

  OnboardTenant:                   row('Create', '',                                ''),
  ListTenants:                     row('Read',   '',                                ''),
  RegisterService:                 row('Create', '',                                ''),
  ListServices:                    row('Read',   '',                                ''),
  PutCatalogueEntry:               row('Update', '',                                ''),
  SuspendService:                  row('Update', '',                                ''),
  ResumeService:                   row('Update', '',                                ''),
  SuspendTenant:                   row('Update', '',                                ''),
  ResumeTenant:                    row('Update', '',                                ''),
  ListSuspensions:                 row('Read',   '',                                ''),
  IssueServiceCredential:          row('Create', '',                                'CreateClientKey'),
  ListServiceCredentials:          row('Read',   '',                                'ListClientKeys'),
  RevokeServiceCredential:         row('Delete', '',                                'DeleteClientKey'),
  Enrol:                           row('Create', '',                                ''),
  IssueCredential:                 row('Create', '',                                'CreateClientKey'),
  ListCredentials:                 row('Read',   '',                                'ListClientKeys'),
  RevokeCredential:                row('Delete', '',                                'DeleteClientKey'),
  CreateKey:                       row('Create', 'CreateKey',                       'CreateKey'),
  DescribeKey:                     row('Read',   'DescribeKey',                     'DescribeKey'),
  ListKeys:                        row('Read',   'ListKeys',                        'ListKeys'),
  EnableKey:                       row('Update', 'EnableKey',                       'EnableKey'),
  DisableKey:                      row('Update', 'DisableKey',                      'DisableKey'),
  DescribeCapabilities:            row('Read',   '',                                ''),
  CreateKeyVersion:                row('Create', 'RotateKeyOnDemand',               'CreateKeyVersion'),
  GetImportParameters:             row('Create', 'GetParametersForImport',          'GetParametersForImport'),
  ImportKeyMaterial:               row('Update', 'ImportKeyMaterial',               'ImportKeyMaterial'),
  DeleteImportedKeyMaterial:       row('Delete', 'DeleteImportedKeyMaterial',       'DeleteKeyMaterial'),
  ListKeyVersions:                 row('Read',   'ListKeyRotations',                'ListKeyVersions'),
  DescribePublicKey:               row('Read',   'GetPublicKey',                    'GetPublicKey'),
  UpdateKeyDescription:            row('Update', 'UpdateKeyDescription',            'UpdateKeyDescription'),
  TagKey:                          row('Update', 'TagResource',                     'TagResource'),
  UntagKey:                        row('Update', 'UntagResource',                   'UntagResource'),
  ListCalendar:                    row('Read',   '',                                ''),
  PutKeyRotation:                  row('Update', '',                                'UpdateRotationPolicy'),
  GetKeyRotation:                  row('Read',   'GetKeyRotationStatus',            'DescribeKeyRotation'),
  SetDeletionProtection:           row('Update', '',                                'SetDeletionProtection'),
  ScheduleKeyDeletion:             row('Delete', 'ScheduleKeyDeletion',             'ScheduleKeyDeletion'),
  CancelKeyDeletion:               row('Update', 'CancelKeyDeletion',               'CancelKeyDeletion'),
  RotateRoot:                      row('Update', '',                                ''),
  ListJobs:                        row('Read',   '',                                ''),
  DescribeRoot:                    row('Read',   '',                                ''),
  GetShreddingReceipt:             row('Read',   '',                                ''),
  CreateAlias:                     row('Create', 'CreateAlias',                     'CreateAlias'),
  UpdateAlias:                     row('Update', 'UpdateAlias',                     'UpdateAlias'),
  DeleteAlias:                     row('Delete', 'DeleteAlias',                     'DeleteAlias'),
  ListAliases:                     row('Read',   'ListAliases',                     'ListAliases'),
  PutIdentityProvider:             row('Update', '',                                ''),
  GetIdentityProvider:             row('Read',   '',                                ''),
  DeleteIdentityProvider:          row('Delete', '',                                ''),
  PutPolicy:                       row('Update', 'PutKeyPolicy',                    'SetKeyPolicy'),
  GetPolicy:                       row('Read',   'GetKeyPolicy',                    'GetKeyPolicy'),
  ListPolicyVersions:              row('Read',   'ListKeyPolicies',                 'ListKeyPolicies'),
  GetPolicyVersion:                row('Read',   'GetKeyPolicy',                    'GetKeyPolicy'),
  ExportPolicy:                    row('Read',   '',                                ''),
  DiffPolicy:                      row('Read',   '',                                ''),
  RollbackPolicy:                  row('Update', 'PutKeyPolicy',                    'SetKeyPolicy'),
  LintPolicy:                      row('Read',   '',                                ''),
  PutPolicyDraft:                  row('Update', '',                                ''),
  GetPolicyDraft:                  row('Read',   '',                                ''),
  DiscardPolicyDraft:              row('Delete', '',                                ''),
  ValidatePolicyDraft:             row('Read',   '',                                ''),
  PreviewPolicyDraft:              row('Read',   '',                                ''),
  PublishPolicyDraft:              row('Update', 'PutKeyPolicy',                    'SetKeyPolicy'),
  SimulatePolicy:                  row('Read',   '',                                ''),
  WhoCan:                          row('Read',   '',                                ''),
  Stop:                            row('Update', '',                                ''),
  Lift:                            row('Update', '',                                ''),
  SetRetention:                    row('Update', '',                                ''),
  PruneRecords:                    row('Delete', '',                                ''),
  ListStops:                       row('Read',   '',                                ''),
  GetStop:                         row('Read',   '',                                ''),
  CreateSink:                      row('Create',  '',                                ''),
  ListSinks:                       row('Read',    '',                                ''),
  DescribeSink:                    row('Read',    '',                                ''),
  UpdateSink:                      row('Update',  '',                                ''),
  DeleteSink:                      row('Delete',  '',                                ''),
  TestSink:                        row('Other',   '',                                ''),
  DescribeKeyUsage:                row('Read',   '',                                ''),
  StartRewrap:                     row('Create', '',                                ''),
  ListOperations:                  row('Read',   '',                                ''),
  DescribeOperation:               row('Read',   '',                                ''),
  WatchOperation:                  row('Read',   '',                                ''),
  CancelOperation:                 row('Update', '',                                ''),
  GetCompletionCertificate:        row('Read',   '',                                ''),
  ListVersionReferences:           row('Read',   '',                                ''),
  RetireKeyVersion:                row('Delete', '',                                ''),
  ErasePersonalFields:             row('Delete', '',                                ''),
  RotateLogKey:                    row('Update', '',                                ''),

  ListRecords:                     row('Read',   '',                                ''),
  GetCheckpoint:                   row('Read',   '',                                ''),
  ListCheckpoints:                 row('Read',   '',                                ''),
  GetTile:                         row('Read',   '',                                ''),
  GetLog:                          row('Read',   '',                                ''),
  GetBundle:                       row('Read',   '',                                ''),
  GetRecordProof:                  row('Read',   '',                                ''),
  GetConsistencyProof:             row('Read',   '',                                ''),
  GetRecordStats:                  row('Read',   '',                                ''),
  ListKeyInventory:                row('Read',   '',                                ''),
  ReadShreddingReceipt:            row('Read',   '',                                ''),
  ListPolicyHistory:               row('Read',   '',                                ''),
  ListLeases:                      row('Read',   '',                                ''),
  GetCoverage:                     row('Read',   '',                                ''),

  SinkDisabled:                    row('Update',  '',                                ''),
  Heartbeat:                       row('Other',  '',                                ''),
  DestroyAgain:                    row('Update', 'ScheduleKeyDeletion',             'ScheduleKeyDeletion'),
  StopRestored:                    row('Update', '',                                ''),
  RetireRoot:                      row('Delete', '',                                ''),
  RotateKey:                       row('Create', 'RotateKey',                       'CreateKeyVersion'),
  DestroyKey:                      row('Delete', 'DeleteKey',                       'DeleteKey'),
  RetireLogKey:                    row('Delete', '',                                ''),
} as const satisfies Record<Operation, EventNames>;

export function eventNames(op: Operation): EventNames {
  const { activity, aws, alibaba } = NAMES[op];
  return { activity, aws: aws || op, alibaba: alibaba || op };
}
