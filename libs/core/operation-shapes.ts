import type {
  AliasAnswer,
  CreateAliasRequest,
  CreateKeyRequest,
  CredentialId,
  CredentialSummary,
  DecryptRequest,
  EncryptRequest,
  EnrolAnswer,
  EnrolRequest,
  GenerateDataKeyRequest,
  IssueCredentialRequest,
  IssuedCredential,
  IssueServiceCredentialRequest,
  KeyDescription,
  KeyId,
  KeyReference,
  KeyVersionId,
  ListRecordsQuery,
  OnboardTenantAnswer,
  OnboardTenantRequest,
  OperationName,
  PageQuery,
  PolicyAnswer,
  PolicyDocument,
  RecordsAnswer,
  RegisterServiceRequest,
  ServiceName,
  ServiceSummary,
  StopAnswer,
  StopId,
  StopRequest,
  TenantSummary,
} from '#contract';
import type { Page } from './ports/reads.js';

interface UsedKey {
  readonly keyId: KeyId;
  readonly keyVersionId: KeyVersionId;
}
export interface CiphertextResult extends UsedKey {
  readonly ciphertext: Uint8Array;
}
/** The bytes are the caller's to wipe, once the response has finished. */
export interface PlaintextResult extends UsedKey {
  readonly plaintext: Uint8Array;
}
export interface DataKeyResult extends CiphertextResult {
  readonly plaintext: Uint8Array;
}

type Shape<Input, Answer> = { readonly input: Input; readonly answer: Answer };
type OfService<Input> = Input & { readonly service: ServiceName };

/** What each operation takes and answers, inside the process. A name that is missing here does not compile below. */
export interface OperationShapes {
  Encrypt: Shape<EncryptRequest, CiphertextResult>;
  Decrypt: Shape<DecryptRequest, PlaintextResult>;
  GenerateDataKey: Shape<GenerateDataKeyRequest, DataKeyResult>;
  GenerateDataKeyWithoutPlaintext: Shape<GenerateDataKeyRequest, CiphertextResult>;

  OnboardTenant: Shape<OnboardTenantRequest, OnboardTenantAnswer>;
  ListTenants: Shape<PageQuery, Page<TenantSummary>>;
  RegisterService: Shape<RegisterServiceRequest, ServiceSummary>;
  ListServices: Shape<PageQuery, Page<ServiceSummary>>;
  IssueServiceCredential: Shape<OfService<IssueServiceCredentialRequest>, IssuedCredential>;
  ListServiceCredentials: Shape<OfService<PageQuery>, Page<CredentialSummary>>;
  RevokeServiceCredential: Shape<OfService<{ readonly credentialId: CredentialId }>, undefined>;
  Enrol: Shape<EnrolRequest, EnrolAnswer>;
  IssueCredential: Shape<IssueCredentialRequest, IssuedCredential>;
  ListCredentials: Shape<PageQuery, Page<CredentialSummary>>;
  RevokeCredential: Shape<{ readonly credentialId: CredentialId }, undefined>;
  CreateKey: Shape<CreateKeyRequest, KeyDescription>;
  DescribeKey: Shape<{ readonly keyId: KeyReference }, KeyDescription>;
  ListKeys: Shape<PageQuery, Page<KeyDescription>>;
  EnableKey: Shape<{ readonly keyId: KeyId }, KeyDescription>;
  DisableKey: Shape<{ readonly keyId: KeyId }, KeyDescription>;
  CreateAlias: Shape<CreateAliasRequest, AliasAnswer>;
  /** `replaces`: the version that the caller has read, 0 for none. */
  PutPolicy: Shape<{ readonly document: PolicyDocument; readonly replaces: number }, PolicyAnswer>;
  GetPolicy: Shape<undefined, PolicyAnswer>;
  Stop: Shape<StopRequest, StopAnswer>;
  Lift: Shape<{ readonly stopId: StopId }, undefined>;
  ListStops: Shape<PageQuery, Page<StopAnswer>>;

  ListRecords: Shape<ListRecordsQuery, RecordsAnswer>;
  GetCheckpoint: Shape<undefined, string>;
  GetBundle: Shape<undefined, AsyncIterable<Uint8Array>>;
}

export type InputOf<Operation extends OperationName> = OperationShapes[Operation]['input'];
export type AnswerOf<Operation extends OperationName> = OperationShapes[Operation]['answer'];
