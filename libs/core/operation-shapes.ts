import type {
  Alias,
  AliasAnswer,
  AliasTarget,
  AsymmetricDecryptRequest,
  AsymmetricEncryptRequest,
  CapabilitiesAnswer,
  CalendarItem,
  CatalogueEntryRequest,
  CheckpointsAnswer,
  ConsistencyAnswer,
  ConsistencyQuery,
  CreateKeyRequest,
  CreateKeyVersionRequest,
  CreateSinkRequest,
  CredentialId,
  CredentialSummary,
  DecryptRequest,
  DeletionProtectionRequest,
  DisableKeyRequest,
  DiffPolicyQuery,
  EncryptionAlgorithm,
  EncryptRequest,
  EnrolAnswer,
  EnrolRequest,
  ErasePersonalFieldsRequest,
  ErasureAnswer,
  GenerateDataKeyRequest,
  GenerateDataKeyWithoutPlaintextRequest,
  GenerateMacRequest,
  GenerateRandomRequest,
  IdentityProviderAnswer,
  ImportKeyMaterialRequest,
  ImportParametersAnswer,
  ImportParametersRequest,
  IdentityProviderRequest,
  InventoryItem,
  InventoryQuery,
  IssueCredentialRequest,
  IssuedCredential,
  IssueServiceCredentialRequest,
  JobsAnswer,
  KeyDescription,
  KeyDescriptionRequest,
  GetPublicKeyRequest,
  KeyId,
  KeyReference,
  KeyRotation,
  KeyRotationRequest,
  KeySpec,
  KeyUsageAnswer,
  KeyVersionId,
  KeyVersionSummary,
  CoverageAnswer,
  CoverageQuery,
  Lease,
  LeasesAnswer,
  LeasesQuery,
  LintAnswer,
  ListAliasesQuery,
  ListKeysQuery,
  ListCheckpointsQuery,
  ListRecordsQuery,
  LogAnswer,
  LogKeyAnswer,
  AgreeRequest,
  OffBoardingAnswer,
  OffBoardRequest,
  OnboardTenantAnswer,
  OnboardTenantRequest,
  OperationName,
  PageQuery,
  PolicyAnswer,
  PolicyDiffAnswer,
  PolicyDocument,
  PolicyDraftAnswer,
  PolicyHistoryAnswer,
  PolicyHistoryQuery,
  PolicyText,
  PolicyVersionSummary,
  PreviewAnswer,
  PreviewQuery,
  PublicKeyAnswer,
  PublicKeyQuery,
  PublishDraftRequest,
  QuotaAnswer,
  QuotaName,
  QuotasAnswer,
  RecordsAnswer,
  RegisterServiceRequest,
  BindingKeyAnswer,
  RootAnswer,
  ScheduleDeletionRequest,
  ServiceName,
  PruneAnswer,
  PruneRequest,
  RetentionAnswer,
  RetentionRequest,
  RotateLogKeyRequest,
  ServiceSummary,
  ShreddingReceiptAnswer,
  SetQuotaRequest,
  SigningAlgorithm,
  SignRequest,
  SimulateAnswer,
  SimulateRequest,
  SinkAnswer,
  SinkId,
  StatsAnswer,
  StatsQuery,
  StopAnswer,
  StopId,
  StopRequest,
  SuspendRequest,
  SuspensionAnswer,
  TagKeyRequest,
  TenantId,
  TenantSummary,
  UntagKeyRequest,
  UpdateSinkRequest,
  TileName,
  ValidateDraftAnswer,
  VerifyMacRequest,
  VerifyRequest,
  WhoCanEntry,
  WhoCanQuery,
  CollectResultsAnswer,
  CollectResultsRequest,
  FinishRewrapRequest,
  LongOperation,
  LongOperationId,
  ProblemCode,
  RewrapAnswer,
  RewrapPageAnswer,
  RewrapPageRequest,
  RewrapResult,
  UploadItemsAnswer,
  UploadItemsRequest,
  CompletionCertificateAnswer,
  RetireVersionRequest,
  StartRewrapRequest,
  VersionReferencesAnswer,
  CreateSecretRequest,
  DeleteSecretRequest,
  DescribeSecretRequest,
  GetSecretValueRequest,
  ListSecretsQuery,
  PutSecretValueRequest,
  RandomPasswordRequest,
  SecretDescription,
  SecretFormat,
  SecretId,
  SecretName,
  SecretPutAnswer,
  SecretRotationRequest,
  SecretVersionsAnswer,
  UpdateSecretLabelsRequest,
  UpdateSecretRequest,
} from '#contract';
import type { CiphertextKind } from './ciphertext.js';
import type { Page } from './ports/reads.js';
import type { SettledPage } from './ports/rewraps.js';

interface UsedKey {
  readonly keyId: KeyId;
  readonly keyVersionId: KeyVersionId;
}
export interface CiphertextResult extends UsedKey {
  readonly ciphertext: Uint8Array;
}
/** The bytes are the caller's to wipe, once the response has finished. */
export interface PlaintextResult extends UsedKey {
  readonly lease: Lease;
  readonly plaintext: Uint8Array;
}
/** Never on the wire: re-encryption hands it from one key to the other. */
export interface OpenedResult extends PlaintextResult {
  readonly kind: CiphertextKind;
}
export interface DataKeyResult extends CiphertextResult {
  readonly lease: Lease;
  readonly plaintext: Uint8Array;
}
/** In the place of the plaintext, what only the recipient opens. */
export type ForRecipient<Result> = Omit<Result, 'plaintext'> & { readonly ciphertextForRecipient: Uint8Array };
export interface MacResult extends UsedKey {
  readonly mac: Uint8Array;
}
export interface ValidityResult extends UsedKey {
  readonly valid: boolean;
}
export interface SignatureResult extends UsedKey {
  readonly algorithm: SigningAlgorithm;
  readonly signature: Uint8Array;
}
export interface AsymmetricCiphertextResult extends CiphertextResult {
  readonly algorithm: EncryptionAlgorithm;
}
export interface AsymmetricPlaintextResult extends UsedKey {
  readonly algorithm: EncryptionAlgorithm;
  readonly plaintext: Uint8Array;
}
export interface PublicKeyResult extends UsedKey {
  readonly keySpec: KeySpec;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
}
/** The caller's to wipe. */
export interface RandomResult {
  readonly plaintext: Uint8Array;
}
export interface KeylessDryRunResult {
  readonly dryRun: true;
}
/** It would have been allowed. */
export interface DryRunResult extends UsedKey {
  readonly dryRun: true;
}

export interface SecretValueResult {
  readonly secretId: SecretId;
  readonly name: SecretName;
  readonly versionId: string;
  readonly labels: string[];
  readonly createdAt: string;
  readonly format: SecretFormat;
  /** The caller's to wipe. */
  readonly value: Uint8Array;
}
/** ASCII, the caller's to wipe. */
export interface PasswordResult {
  readonly password: Uint8Array;
}

/** A page of so many items, and its id. */
type BegunPage = Omit<RewrapPageRequest, 'items'> & { readonly page: string; readonly items: number };
export interface RewrapProject {
  readonly rewrap: RewrapAnswer;
  /** Of its key, those that have material. */
  readonly versions: ReadonlySet<KeyVersionId>;
}

/** What came of a page of a re-wrap: `results` in the order of its items, whose names are `itemIds`. */
type SettledResults = Omit<SettledPage, 'done' | 'kept' | 'failures'> & {
  readonly results: readonly RewrapResult[];
  readonly itemIds: readonly string[];
};
/** A page that the rules, or the key's state, do not allow now. */
interface RefusedPage {
  /** Undefined: it was to be finished. */
  readonly page: string | undefined;
  readonly refusedBy: ProblemCode;
}

/** `opened` is missing in a dry run only. */
interface SealAgain extends Omit<EncryptRequest, 'plaintext'> {
  readonly opened: Pick<OpenedResult, 'plaintext' | 'kind'> | undefined;
}

type Shape<Input, Answer> = { readonly input: Input; readonly answer: Answer };
type OfKey<Input> = Input & { readonly keyId: KeyId };
type OfVersion<Input> = OfKey<Input> & { readonly keyVersionId: KeyVersionId };
type OfOperation<Input> = Input & { readonly operationId: LongOperationId };
type OfSecret<Input> = Input & { readonly secretId: SecretId };
type OfSink<Input> = Input & { readonly sinkId: SinkId };
type OfService<Input> = Input & { readonly service: ServiceName };

/** What each operation takes and answers, inside the process. A name that is missing here does not compile below. */
export interface OperationShapes {
  Encrypt: Shape<EncryptRequest, CiphertextResult | DryRunResult>;
  Decrypt: Shape<DecryptRequest, PlaintextResult | ForRecipient<PlaintextResult> | DryRunResult>;
  GenerateDataKey: Shape<GenerateDataKeyRequest, DataKeyResult | ForRecipient<DataKeyResult> | DryRunResult>;
  GenerateDataKeyWithoutPlaintext: Shape<GenerateDataKeyWithoutPlaintextRequest, CiphertextResult | DryRunResult>;
  ReEncryptFrom: Shape<Omit<DecryptRequest, 'recipient'>, OpenedResult | DryRunResult>;
  ReEncryptTo: Shape<SealAgain, CiphertextResult | DryRunResult>;
  GenerateMac: Shape<GenerateMacRequest, MacResult | DryRunResult>;
  VerifyMac: Shape<VerifyMacRequest, ValidityResult | DryRunResult>;
  Sign: Shape<SignRequest, SignatureResult | DryRunResult>;
  Verify: Shape<VerifyRequest, ValidityResult | DryRunResult>;
  GetPublicKey: Shape<GetPublicKeyRequest, PublicKeyResult | DryRunResult>;
  AsymmetricEncrypt: Shape<AsymmetricEncryptRequest, AsymmetricCiphertextResult | DryRunResult>;
  AsymmetricDecrypt: Shape<AsymmetricDecryptRequest, AsymmetricPlaintextResult | DryRunResult>;
  GenerateRandom: Shape<GenerateRandomRequest, RandomResult | KeylessDryRunResult>;

  GetSecretValue: Shape<GetSecretValueRequest, SecretValueResult>;
  PutSecretValue: Shape<PutSecretValueRequest, SecretPutAnswer>;
  DescribeSecret: Shape<DescribeSecretRequest, SecretDescription>;
  GetRandomPassword: Shape<RandomPasswordRequest, PasswordResult>;

  /** An event stream. */
  WatchRules: Shape<undefined, AsyncIterable<Uint8Array>>;
  DescribeRewrap: Shape<OfOperation<unknown>, RewrapAnswer>;
  RewrapPage: Shape<OfOperation<BegunPage>, RewrapProject>;
  SettleRewrapPage: Shape<OfOperation<SettledResults | RefusedPage>, RewrapPageAnswer>;
  UploadRewrapItems: Shape<OfOperation<UploadItemsRequest>, UploadItemsAnswer>;
  CollectRewrapResults: Shape<OfOperation<CollectResultsRequest>, CollectResultsAnswer>;
  FinishRewrap: Shape<OfOperation<FinishRewrapRequest>, RewrapAnswer>;

  OnboardTenant: Shape<OnboardTenantRequest, OnboardTenantAnswer>;
  ListTenants: Shape<PageQuery, Page<TenantSummary>>;
  RegisterService: Shape<RegisterServiceRequest, ServiceSummary>;
  ListServices: Shape<PageQuery, Page<ServiceSummary>>;
  PutCatalogueEntry: Shape<OfService<CatalogueEntryRequest>, ServiceSummary>;
  SuspendService: Shape<OfService<SuspendRequest>, ServiceSummary>;
  ResumeService: Shape<OfService<unknown>, ServiceSummary>;
  SuspendTenant: Shape<SuspendRequest & { readonly suspended: TenantId }, SuspensionAnswer>;
  ResumeTenant: Shape<{ readonly suspended: TenantId }, undefined>;
  ListSuspensions: Shape<PageQuery, Page<SuspensionAnswer>>;
  SetQuota: Shape<SetQuotaRequest & { readonly limited: TenantId; readonly quota: QuotaName }, QuotaAnswer>;
  DescribeTenantQuotas: Shape<{ readonly limited: TenantId }, QuotasAnswer>;
  DescribeQuotas: Shape<undefined, QuotasAnswer>;
  OffBoardTenant: Shape<OffBoardRequest & { readonly leaving: TenantId }, OffBoardingAnswer>;
  CancelOffBoarding: Shape<{ readonly leaving: TenantId }, undefined>;
  ListOffBoardings: Shape<PageQuery, Page<OffBoardingAnswer>>;
  AgreeToOffBoarding: Shape<AgreeRequest, OffBoardingAnswer>;
  WithdrawFromOffBoarding: Shape<undefined, undefined>;
  DescribeOffBoarding: Shape<undefined, OffBoardingAnswer>;
  RotateBindingKey: Shape<undefined, BindingKeyAnswer>;
  RetireBindingKey: Shape<undefined, BindingKeyAnswer>;
  DescribeBindingKey: Shape<undefined, BindingKeyAnswer>;
  IssueServiceCredential: Shape<OfService<IssueServiceCredentialRequest>, IssuedCredential>;
  ListServiceCredentials: Shape<OfService<PageQuery>, Page<CredentialSummary>>;
  RevokeServiceCredential: Shape<OfService<{ readonly credentialId: CredentialId }>, undefined>;
  Enrol: Shape<EnrolRequest, EnrolAnswer>;
  IssueCredential: Shape<IssueCredentialRequest, IssuedCredential>;
  ListCredentials: Shape<PageQuery, Page<CredentialSummary>>;
  RevokeCredential: Shape<{ readonly credentialId: CredentialId }, undefined>;
  CreateKey: Shape<CreateKeyRequest, KeyDescription>;
  DescribeKey: Shape<{ readonly keyId: KeyReference }, KeyDescription>;
  ListKeys: Shape<ListKeysQuery, Page<KeyDescription>>;
  EnableKey: Shape<{ readonly keyId: KeyId }, KeyDescription>;
  DisableKey: Shape<{ readonly keyId: KeyId } & DisableKeyRequest, KeyDescription>;
  DescribeCapabilities: Shape<undefined, CapabilitiesAnswer>;
  CreateKeyVersion: Shape<OfKey<CreateKeyVersionRequest>, KeyDescription>;
  /** `replaces`: the version that the caller has read, 0 for none. */
  PutKeyRotation: Shape<OfKey<KeyRotationRequest> & { readonly replaces: number }, KeyRotation>;
  ListCalendar: Shape<PageQuery, Page<CalendarItem>>;
  GetKeyRotation: Shape<{ readonly keyId: KeyId }, KeyRotation>;
  GetImportParameters: Shape<OfKey<ImportParametersRequest>, ImportParametersAnswer>;
  ImportKeyMaterial: Shape<OfKey<ImportKeyMaterialRequest>, KeyDescription>;
  DeleteImportedKeyMaterial: Shape<{ readonly keyId: KeyId }, KeyDescription>;
  ListKeyVersions: Shape<OfKey<PageQuery>, Page<KeyVersionSummary>>;
  DescribePublicKey: Shape<OfKey<PublicKeyQuery>, PublicKeyAnswer>;
  UpdateKeyDescription: Shape<OfKey<KeyDescriptionRequest>, KeyDescription>;
  TagKey: Shape<OfKey<TagKeyRequest>, KeyDescription>;
  UntagKey: Shape<OfKey<UntagKeyRequest>, KeyDescription>;
  SetDeletionProtection: Shape<OfKey<DeletionProtectionRequest>, KeyDescription>;
  ScheduleKeyDeletion: Shape<OfKey<ScheduleDeletionRequest>, KeyDescription>;
  CancelKeyDeletion: Shape<{ readonly keyId: KeyId }, KeyDescription>;
  RotateRoot: Shape<undefined, RootAnswer>;
  DescribeRoot: Shape<undefined, RootAnswer>;
  ListJobs: Shape<undefined, JobsAnswer>;
  GetShreddingReceipt: Shape<{ readonly keyId: KeyId }, ShreddingReceiptAnswer>;
  CreateAlias: Shape<AliasTarget, AliasAnswer>;
  UpdateAlias: Shape<AliasTarget, AliasAnswer>;
  DeleteAlias: Shape<{ readonly alias: Alias }, undefined>;
  ListAliases: Shape<ListAliasesQuery, Page<AliasAnswer>>;
  PutIdentityProvider: Shape<IdentityProviderRequest, IdentityProviderAnswer>;
  GetIdentityProvider: Shape<undefined, IdentityProviderAnswer>;
  DeleteIdentityProvider: Shape<undefined, undefined>;
  /** `replaces`: the version that the caller has read, 0 for none. */
  PutPolicy: Shape<{ readonly document: PolicyDocument; readonly replaces: number }, PolicyAnswer>;
  GetPolicy: Shape<undefined, PolicyAnswer>;
  ListPolicyVersions: Shape<PageQuery, Page<PolicyVersionSummary>>;
  GetPolicyVersion: Shape<{ readonly version: number }, PolicyAnswer>;
  /** Casbin CSV. */
  ExportPolicy: Shape<{ readonly version: number }, string>;
  DiffPolicy: Shape<DiffPolicyQuery, PolicyDiffAnswer>;
  RollbackPolicy: Shape<{ readonly version: number; readonly replaces: number }, PolicyAnswer>;
  LintPolicy: Shape<PolicyText, LintAnswer>;
  PutPolicyDraft: Shape<PolicyText, PolicyDraftAnswer>;
  GetPolicyDraft: Shape<undefined, PolicyDraftAnswer>;
  DiscardPolicyDraft: Shape<undefined, undefined>;
  ValidatePolicyDraft: Shape<undefined, ValidateDraftAnswer>;
  PreviewPolicyDraft: Shape<PreviewQuery, PreviewAnswer>;
  PublishPolicyDraft: Shape<PublishDraftRequest & { readonly replaces: number }, PolicyAnswer>;
  SimulatePolicy: Shape<SimulateRequest, SimulateAnswer>;
  WhoCan: Shape<WhoCanQuery, Page<WhoCanEntry>>;
  Stop: Shape<StopRequest, StopAnswer>;
  Lift: Shape<{ readonly stopId: StopId }, undefined>;
  SetRetention: Shape<RetentionRequest, RetentionAnswer>;
  PruneRecords: Shape<PruneRequest, PruneAnswer>;
  ListStops: Shape<PageQuery, Page<StopAnswer>>;
  GetStop: Shape<{ readonly stopId: StopId }, StopAnswer>;
  CreateSink: Shape<CreateSinkRequest, SinkAnswer>;
  ListSinks: Shape<PageQuery, Page<SinkAnswer>>;
  DescribeSink: Shape<OfSink<unknown>, SinkAnswer>;
  UpdateSink: Shape<OfSink<UpdateSinkRequest>, SinkAnswer>;
  DeleteSink: Shape<OfSink<unknown>, undefined>;
  TestSink: Shape<OfSink<unknown>, SinkAnswer>;
  StartRewrap: Shape<OfKey<StartRewrapRequest>, LongOperation>;
  ListOperations: Shape<PageQuery, Page<LongOperation>>;
  DescribeOperation: Shape<OfOperation<unknown>, LongOperation>;
  /** An event stream. */
  WatchOperation: Shape<OfOperation<unknown>, AsyncIterable<Uint8Array>>;
  CancelOperation: Shape<OfOperation<unknown>, LongOperation>;
  GetCompletionCertificate: Shape<OfOperation<unknown>, CompletionCertificateAnswer>;
  ListVersionReferences: Shape<OfVersion<unknown>, VersionReferencesAnswer>;
  RetireKeyVersion: Shape<OfVersion<RetireVersionRequest>, KeyDescription>;
  CreateSecret: Shape<CreateSecretRequest, SecretDescription>;
  ListSecrets: Shape<ListSecretsQuery, Page<SecretDescription>>;
  ListSecretVersions: Shape<OfSecret<unknown>, SecretVersionsAnswer>;
  UpdateSecret: Shape<OfSecret<UpdateSecretRequest>, SecretDescription>;
  UpdateSecretVersionLabels: Shape<OfSecret<UpdateSecretLabelsRequest>, SecretDescription>;
  DeleteSecret: Shape<OfSecret<DeleteSecretRequest>, SecretDescription>;
  RestoreSecret: Shape<OfSecret<unknown>, SecretDescription>;
  UpdateSecretRotationPolicy: Shape<OfSecret<SecretRotationRequest>, SecretDescription>;
  RotateSecret: Shape<OfSecret<unknown>, SecretDescription>;
  DescribeKeyUsage: Shape<{ readonly keyId: KeyReference }, KeyUsageAnswer>;
  ErasePersonalFields: Shape<ErasePersonalFieldsRequest, ErasureAnswer>;
  RotateLogKey: Shape<RotateLogKeyRequest, LogKeyAnswer>;

  ListRecords: Shape<ListRecordsQuery, RecordsAnswer>;
  GetCheckpoint: Shape<undefined, string>;
  ListCheckpoints: Shape<ListCheckpointsQuery, CheckpointsAnswer>;
  /** The tile's bytes. */
  GetTile: Shape<TileName, Uint8Array>;
  GetLog: Shape<undefined, LogAnswer>;
  /** C2SP tlog-proof. */
  GetRecordProof: Shape<{ readonly seq: number }, string>;
  GetConsistencyProof: Shape<ConsistencyQuery, ConsistencyAnswer>;
  GetRecordStats: Shape<StatsQuery, StatsAnswer>;
  ReadShreddingReceipt: Shape<{ readonly keyId: KeyId }, ShreddingReceiptAnswer>;
  ListKeyInventory: Shape<InventoryQuery, Page<InventoryItem>>;
  ListPolicyHistory: Shape<PolicyHistoryQuery, PolicyHistoryAnswer>;
  ListLeases: Shape<LeasesQuery, LeasesAnswer>;
  GetCoverage: Shape<CoverageQuery, CoverageAnswer>;
  GetBundle: Shape<undefined, AsyncIterable<Uint8Array>>;
}

export type InputOf<Operation extends OperationName> = OperationShapes[Operation]['input'];
export type AnswerOf<Operation extends OperationName> = OperationShapes[Operation]['answer'];
