/** Every operation's name: the same in records, policies, OpenAPI and metrics. Their rows: core/operation-table.ts. */
export const DATA_OPERATIONS = [
  'Encrypt',
  'Decrypt',
  'GenerateDataKey',
  'GenerateDataKeyWithoutPlaintext',
  'ReEncryptFrom',
  'ReEncryptTo',
  'GenerateMac',
  'VerifyMac',
  'Sign',
  'Verify',
  'GetPublicKey',
  'AsymmetricEncrypt',
  'AsymmetricDecrypt',
  'GenerateRandom',
] as const;
export type DataOperation = (typeof DATA_OPERATIONS)[number];

/**
 * What services do with secrets that a tenant granted to them, at the data plane; its admins do the same with their own at the key plane.
 * Who reads or writes a value needs Decrypt or GenerateDataKey of the secret's key besides.
 */
export const SECRET_USES = ['GetSecretValue', 'PutSecretValue', 'DescribeSecret', 'GetRandomPassword'] as const;
export type SecretUse = (typeof SECRET_USES)[number];

/** What a grant can name, and the ISV's catalogue. */
export const GRANTED_OPERATIONS = [...DATA_OPERATIONS, ...SECRET_USES] as const;
export type GrantedOperation = (typeof GRANTED_OPERATIONS)[number];

export const KEY_OPERATIONS = [
  'OnboardTenant',
  'ListTenants',
  'RegisterService',
  'ListServices',
  'PutCatalogueEntry',
  'SuspendService',
  'ResumeService',
  'SuspendTenant',
  'ResumeTenant',
  'ListSuspensions',
  'SetQuota',
  'DescribeTenantQuotas',
  'DescribeQuotas',
  'OffBoardTenant',
  'CancelOffBoarding',
  'ListOffBoardings',
  'AgreeToOffBoarding',
  'WithdrawFromOffBoarding',
  'DescribeOffBoarding',
  'RotateBindingKey',
  'RetireBindingKey',
  'DescribeBindingKey',
  'IssueServiceCredential',
  'ListServiceCredentials',
  'RevokeServiceCredential',
  'Enrol',
  'IssueCredential',
  'ListCredentials',
  'RevokeCredential',
  'CreateKey',
  'DescribeKey',
  'ListKeys',
  'EnableKey',
  'DisableKey',
  'DescribeCapabilities',
  'CreateKeyVersion',
  'GetImportParameters',
  'ImportKeyMaterial',
  'DeleteImportedKeyMaterial',
  'ListCalendar',
  'PutKeyRotation',
  'GetKeyRotation',
  'ListKeyVersions',
  'DescribePublicKey',
  'UpdateKeyDescription',
  'TagKey',
  'UntagKey',
  'SetDeletionProtection',
  'ScheduleKeyDeletion',
  'CancelKeyDeletion',
  'GetShreddingReceipt',
  'RotateRoot',
  'DescribeRoot',
  'CreateAlias',
  'UpdateAlias',
  'DeleteAlias',
  'ListAliases',
  'PutIdentityProvider',
  'GetIdentityProvider',
  'DeleteIdentityProvider',
  'PutPolicy',
  'GetPolicy',
  'ListPolicyVersions',
  'GetPolicyVersion',
  'ExportPolicy',
  'DiffPolicy',
  'RollbackPolicy',
  'LintPolicy',
  'PutPolicyDraft',
  'GetPolicyDraft',
  'DiscardPolicyDraft',
  'ValidatePolicyDraft',
  'PreviewPolicyDraft',
  'PublishPolicyDraft',
  'SimulatePolicy',
  'WhoCan',
  'Stop',
  'Lift',
  'SetRetention',
  'PruneRecords',
  'ListStops',
  'GetStop',
  'CreateSink',
  'ListSinks',
  'DescribeSink',
  'UpdateSink',
  'DeleteSink',
  'TestSink',
  'ErasePersonalFields',
  'RotateLogKey',
  'DescribeKeyUsage',
  'StartRewrap',
  'ListOperations',
  'ListJobs',
  'DescribeOperation',
  'WatchOperation',
  'CancelOperation',
  'GetCompletionCertificate',
  'ListVersionReferences',
  'RetireKeyVersion',
  'CreateSecret',
  'ListSecrets',
  'ListSecretVersions',
  'UpdateSecret',
  'UpdateSecretVersionLabels',
  'DeleteSecret',
  'RestoreSecret',
  'UpdateSecretRotationPolicy',
  'RotateSecret',
] as const;
export type KeyOperation = (typeof KEY_OPERATIONS)[number];

export const AUDIT_OPERATIONS = [
  'ListRecords',
  'GetCheckpoint',
  'ListCheckpoints',
  'GetTile',
  'GetLog',
  'GetBundle',
  'GetRecordProof',
  'GetConsistencyProof',
  'GetRecordStats',
  'ListKeyInventory',
  'ReadShreddingReceipt',
  'ListPolicyHistory',
  'ListLeases',
  'GetCoverage',
] as const;
export type AuditOperation = (typeof AUDIT_OPERATIONS)[number];

/** What services do at the data plane without using a key: no rule of a tenant grants it. What a re-wrap does with the key are ReEncryptFrom and ReEncryptTo. */
export const SERVICE_OPERATIONS = [
  'WatchRules',
  'DescribeRewrap',
  'RewrapPage',
  'SettleRewrapPage',
  'UploadRewrapItems',
  'CollectRewrapResults',
  'FinishRewrap',
] as const;
export type ServiceOperation = (typeof SERVICE_OPERATIONS)[number];

/** What the key plane does of itself when the custodian remembers more than the database: no route, no caller. */
export const RESTORE_OPERATIONS = ['DestroyAgain', 'StopRestored'] as const;

/** What the worker does with a tenant's keys because a rule of its admins says so: no route, no caller. */
export const WORKER_OPERATIONS = ['RotateKey', 'ReWrap'] as const;
export type WorkerOperation = (typeof WORKER_OPERATIONS)[number];

/** What the worker does because a secret's rotation policy says so, by the names that services and admins do it by. */
export const ROTATION_USES = ['GetSecretValue', 'PutSecretValue'] as const satisfies readonly SecretUse[];

/** What the platform does of itself and records: no route, no caller. All but those above are the worker's. */
export const SYSTEM_OPERATIONS = [
  'Heartbeat',
  'RetireLogKey',
  'DestroyKey',
  'RetireRoot',
  'DestroyBindingKey',
  'SinkDisabled',
  'JobFailing',
  'JobRecovered',
  'CredentialExpiring',
  'MaterialExpiring',
  'KeyWorn',
  'KeyExhausted',
  'PurgeSecret',
  'CloseTenant',
  'EndTenant',
  'StartSecretRotation',
  'PromoteSecretVersion',
  'EndSecretRotation',
  'SecretRotationInvalid',
  'EndRewrap',
  ...WORKER_OPERATIONS,
  ...RESTORE_OPERATIONS,
] as const;

/** All that somebody may ask for, in one list. */
export const OPERATION_NAMES = [...DATA_OPERATIONS, ...SECRET_USES, ...SERVICE_OPERATIONS, ...KEY_OPERATIONS, ...AUDIT_OPERATIONS] as const;
export type OperationName = DataOperation | SecretUse | ServiceOperation | KeyOperation | AuditOperation;
