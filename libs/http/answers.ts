import { Readable } from 'node:stream';
import {
  aliasAnswer,
  asymmetricCiphertextAnswer,
  asymmetricPlaintextAnswer,
  checkpointAnswer,
  checkpointsAnswer,
  capabilitiesAnswer,
  ciphertextAnswer,
  credentialSummary,
  consistencyAnswer,
  dataKeyAnswer,
  dataKeyForRecipientAnswer,
  decryptBatchAnswer,
  dryRunAnswer,
  encryptBatchAnswer,
  enrolAnswer,
  erasureAnswer,
  generateDataKeyBatchAnswer,
  identityProviderAnswer,
  logKeyAnswer,
  pruneAnswer,
  retentionAnswer,
  importParametersAnswer,
  inventoryItem,
  issuedCredential,
  keyDescription,
  keyRotation,
  keylessDryRunAnswer,
  keyUsageAnswer,
  keyVersionSummary,
  coverageAnswer,
  leasesAnswer,
  lintAnswer,
  logAnswer,
  macAnswer,
  onboardTenantAnswer,
  type OperationName,
  page,
  plaintextAnswer,
  plaintextForRecipientAnswer,
  reEncryptBatchAnswer,
  policyAnswer,
  policyDiffAnswer,
  policyDraftAnswer,
  policyHistoryAnswer,
  policyVersionSummary,
  publicKeyAnswer,
  randomAnswer,
  previewAnswer,
  proofAnswer,
  recordsAnswer,
  longOperation,
  rewrapAnswer,
  rewrapPageAnswer,
  rootAnswer,
  serviceSummary,
  shreddingReceiptAnswer,
  signatureAnswer,
  simulateAnswer,
  sinkAnswer,
  statsAnswer,
  stopAnswer,
  suspensionAnswer,
  tenantSummary,
  tileAnswer,
  validateDraftAnswer,
  validityAnswer,
  whoCanEntry,
} from '#contract';
import { type AnswerOf, KeywardError } from '#core';
import { z } from 'zod';
import {
  asymmetricCiphertextMembers,
  asymmetricPlaintextMembers,
  ciphertextMembers,
  dataKeyMembers,
  macMembers,
  type Members,
  objectBody,
  plaintextMembers,
  publicKeyMembers,
  randomMembers,
  signatureMembers,
  validityMembers,
} from './answer-body.js';

/** How one operation's answer looks on the wire. */
export interface AnswerForm<Answer> {
  readonly status: 200 | 201 | 202 | 204;
  /** Media type; undefined for an answer without a body. */
  readonly type: string | undefined;
  /** One line for the OpenAPI document. */
  readonly summary: string;
  readonly schema: z.ZodType | undefined;
  readonly body: (answer: Answer) => Buffer | Readable;
  /** For conditional requests: the answer's version. */
  readonly version?: (answer: Answer) => number;
  /** What its object has in it, where that can be told in pieces: in a frame, and as an item of a batch. */
  readonly members?: Members<Answer>;
  /** Where the operation takes batches. */
  readonly batch?: Pick<AnswerForm<Answer>, 'summary'> & { readonly schema: z.ZodType };
}

export const JSON_TYPE = 'application/json';
const NOTHING = Buffer.alloc(0);
const json = (answer: unknown): Buffer => Buffer.from(JSON.stringify(answer));

/** Written by hand into bytes that can be wiped. */
const bytes = <Answer>(summary: string, schema: z.ZodType, members: Members<Answer>, batchSchema?: z.ZodType): AnswerForm<Answer> => ({
  status: 200,
  type: JSON_TYPE,
  summary,
  schema: z.union([schema, dryRunAnswer]),
  body: (answer) => objectBody(members(answer)),
  members,
  ...(batchSchema && { batch: { summary: `${summary} Many at once: one bad item fails alone.`, schema: batchSchema } }),
});
const read = (summary: string, schema: z.ZodType): AnswerForm<unknown> => ({ status: 200, type: JSON_TYPE, summary, schema, body: json });
const created = (summary: string, schema: z.ZodType): AnswerForm<unknown> => ({ ...read(summary, schema), status: 201 });
const accepted = (summary: string, schema: z.ZodType): AnswerForm<unknown> => ({ ...read(summary, schema), status: 202 });
const eventStream = (summary: string): AnswerForm<AsyncIterable<Uint8Array>> => ({
  status: 200,
  type: 'text/event-stream',
  summary,
  schema: undefined,
  body: (events) => Readable.from(events, { objectMode: false }),
});
const gone = (summary: string): AnswerForm<unknown> => ({ status: 204, type: undefined, summary, schema: undefined, body: () => NOTHING });
const versioned = (summary: string, schema: z.ZodType = policyAnswer): AnswerForm<{ readonly version: number }> => ({
  ...read(summary, schema),
  version: (answer) => answer.version,
});

/** Of an operation that is a step of another one: nobody is ever answered it. */
const inside = (summary: string): AnswerForm<unknown> => ({
  ...gone(summary),
  body: () => {
    throw new KeywardError('internal', '', { reason: 'a step was to be answered' });
  },
});

// biome-ignore format: an aligned table is read column by column
export const ANSWERS: { readonly [Name in OperationName]: AnswerForm<AnswerOf<Name>> } = {
  Encrypt:                         bytes('Encrypts 1 to 6144 bytes with a key that the tenant granted.', ciphertextAnswer, ciphertextMembers, encryptBatchAnswer),
  Decrypt:                         bytes('Decrypts what Encrypt or GenerateDataKey answered, under the same encryption context.', z.union([plaintextAnswer, plaintextForRecipientAnswer]), plaintextMembers, decryptBatchAnswer),
  GenerateDataKey:                 bytes('Makes a data key: in plain text for use now, and encrypted to be stored.', z.union([dataKeyAnswer, dataKeyForRecipientAnswer]), dataKeyMembers, generateDataKeyBatchAnswer),
  GenerateDataKeyWithoutPlaintext: bytes('Makes a data key for later use: encrypted only.', ciphertextAnswer, ciphertextMembers),
  ReEncryptFrom:                   inside('Opens what another key of the tenant is to seal: no route of its own.'),
  ReEncryptTo:                     bytes('Encrypts under another key or context what one of the keys encrypted: it needs ReEncryptFrom there and ReEncryptTo here.', ciphertextAnswer, ciphertextMembers, reEncryptBatchAnswer),
  GenerateMac:                     bytes('Makes a MAC over 1 to 4096 bytes with the hash of the key.', macAnswer, macMembers),
  VerifyMac:                       bytes('Tells whether a MAC is one of this key over these bytes.', validityAnswer, validityMembers),
  Sign:                            bytes('Signs 1 to 6144 bytes, or their digest, with the private key in the HSM.', signatureAnswer, signatureMembers),
  Verify:                          bytes('Tells whether a signature is one of this key over these bytes, or their digest.', validityAnswer, validityMembers),
  GetPublicKey:                    bytes('Answers the public key, to verify elsewhere.', publicKeyAnswer, publicKeyMembers),
  AsymmetricEncrypt:               bytes('Encrypts a few bytes to the public key of an RSA key.', asymmetricCiphertextAnswer, asymmetricCiphertextMembers),
  AsymmetricDecrypt:               bytes('Decrypts with the private key in the HSM what was encrypted to its public key.', asymmetricPlaintextAnswer, asymmetricPlaintextMembers),
  GenerateRandom:                  { ...bytes("Answers 1 to 1024 bytes of the HSM's generator.", randomAnswer, randomMembers), schema: z.union([randomAnswer, keylessDryRunAnswer]) },
  WatchRules:                      eventStream('Streams an event whenever rules of the tenant change: wipe the data keys that you hold.'),
  DescribeRewrap:                  read('Tells how far a re-wrap of the service is, and where its next page begins.', rewrapAnswer),
  RewrapPage:                      inside('Begins a page: no route of its own.'),
  SettleRewrapPage:                read('Re-encrypts one page of a re-wrap under the primary version; counts the page before it, which is written back.', rewrapPageAnswer),
  FinishRewrap:                    read('Ends a re-wrap whose last page is written back.', rewrapAnswer),

  OnboardTenant:           created('Makes a tenant, its root and its log; answers the one-use enrolment code for its admin.', onboardTenantAnswer),
  ListTenants:             read('Lists tenants.', page('TenantPage', tenantSummary)),
  RegisterService:         created('Registers a service of the ISV; it may use no key until a tenant grants one.', serviceSummary),
  ListServices:            read('Lists services.', page('ServicePage', serviceSummary)),
  PutCatalogueEntry:       read('Says what a service may ask for; the tenant must grant it too.', serviceSummary),
  SuspendService:          read('Suspends a service: it may use no key of any tenant.', serviceSummary),
  ResumeService:           read('Ends the suspension of a service.', serviceSummary),
  SuspendTenant:           read('Suspends a tenant: no service may use its keys. Its own people are not affected.', suspensionAnswer),
  ResumeTenant:            gone('Ends the suspension of a tenant.'),
  ListSuspensions:         read('Lists suspended tenants.', page('SuspensionPage', suspensionAnswer)),
  IssueServiceCredential:  created('Issues an API key to a service.', issuedCredential),
  ListServiceCredentials:  read("Lists a service's credentials.", page('CredentialPage', credentialSummary)),
  RevokeServiceCredential: gone("Revokes a service's credential."),
  Enrol:                   created("Turns the enrolment code into the tenant's first admin.", enrolAnswer),
  IssueCredential:         created('Issues an API key to an admin or auditor.', issuedCredential),
  ListCredentials:         read("Lists the credentials of the tenant's people.", page('CredentialPage', credentialSummary)),
  RevokeCredential:        gone('Revokes a credential.'),
  CreateKey:               created('Makes a key inside the HSM.', keyDescription),
  DescribeKey:             read('Describes a key.', keyDescription),
  ListKeys:                read('Lists keys.', page('KeyPage', keyDescription)),
  EnableKey:               read('Enables a key.', keyDescription),
  DisableKey:              read('Disables a key: nothing can be done with it until it is enabled.', keyDescription),
  DescribeCapabilities:    read('Tells what the connected HSM can do, as it was tried at its start.', capabilitiesAnswer),
  CreateKeyVersion:        created('Makes a new version of a key inside the HSM: it is primary, the older ones go on opening what they sealed.', keyDescription),
  GetImportParameters:     created('Makes a wrapping key in the HSM for one import of key material; answers what is signed about it.', importParametersAnswer),
  ImportKeyMaterial:       read('Takes wrapped key material into the HSM: the key, or its new version, lives once it has proven itself.', keyDescription),
  DeleteImportedKeyMaterial: read('Deletes imported material: nothing can be done with the key until the same material is imported again.', keyDescription),
  ListKeyVersions:         read('Lists the versions of a key.', page('KeyVersionPage', keyVersionSummary)),
  DescribePublicKey:       read('Answers the public key of a key pair, as DER and PEM.', publicKeyAnswer),
  UpdateKeyDescription:    read('Describes what a key is for.', keyDescription),
  TagKey:                  read('Adds tags to a key, or changes their values.', keyDescription),
  UntagKey:                read('Takes tags from a key.', keyDescription),
  PutKeyRotation:          versioned('Sets how often a key is rotated automatically, or that it is not.', keyRotation),
  GetKeyRotation:          versioned('Tells whether a key is rotated automatically, and when next.', keyRotation),
  SetDeletionProtection:   read('Switches deletion protection: while it is on, deletion cannot be scheduled.', keyDescription),
  ScheduleKeyDeletion:     read('Schedules the deletion of a key: nothing can be done with it from now on, and until then it can be cancelled.', keyDescription),
  CancelKeyDeletion:       read('Cancels the deletion of a key, which is again as it was before.', keyDescription),
  RotateRoot:              read("Begins to replace the root that wraps the tenant's keys; the worker goes on.", rootAnswer),
  DescribeRoot:            read("Tells which root wraps the tenant's keys, and how far its rotation is.", rootAnswer),
  GetShreddingReceipt:     read('Answers the signed statement that a key was destroyed, and when that is final.', shreddingReceiptAnswer),
  CreateAlias:             created('Names a key.', aliasAnswer),
  UpdateAlias:             read('Gives a name to another key.', aliasAnswer),
  DeleteAlias:             gone('Takes a name from its key.'),
  ListAliases:             read('Lists names of keys.', page('AliasPage', aliasAnswer)),
  PutIdentityProvider:     read("Says who vouches for the tenant's people.", identityProviderAnswer),
  GetIdentityProvider:     read("Answers the tenant's identity provider.", identityProviderAnswer),
  DeleteIdentityProvider:  gone("Ends sign-in by the tenant's identity provider."),
  PutPolicy:               versioned('Publishes the policy: which service may use which key for what.'),
  GetPolicy:               versioned('Answers the published policy.'),
  ListPolicyVersions:      read('Lists every version that was published.', page('PolicyVersionPage', policyVersionSummary)),
  GetPolicyVersion:        read('Answers one version.', policyAnswer),
  ExportPolicy:            { status: 200, type: 'text/csv; charset=utf-8', summary: 'Answers one version as Casbin CSV.', schema: z.string(), body: (csv) => Buffer.from(csv) },
  DiffPolicy:              read('Tells in sentences what differs between two versions, or the draft.', policyDiffAnswer),
  RollbackPolicy:          versioned('Publishes an old version again, as a new one.'),
  LintPolicy:              read('Checks a policy without storing it.', lintAnswer),
  PutPolicyDraft:          read('Stores the draft.', policyDraftAnswer),
  GetPolicyDraft:          read('Answers the draft.', policyDraftAnswer),
  DiscardPolicyDraft:      gone('Removes the draft.'),
  ValidatePolicyDraft:     read('Checks the draft, and tells what it would change.', validateDraftAnswer),
  PreviewPolicyDraft:      read('Replays the recorded calls of the last days against the draft.', previewAnswer),
  PublishPolicyDraft:      versioned('Publishes the draft.'),
  SimulatePolicy:          read('Decides one imagined request, and explains.', simulateAnswer),
  WhoCan:                  read('Lists who may use which key, and under which conditions.', page('WhoCanPage', whoCanEntry)),
  Stop:                    created('Stops a use of keys at once: when this returns, nothing is accepted under the old rule.', stopAnswer),
  Lift:                    gone('Lifts a stop.'),
  SetRetention:            read("Says how long records of the tenant's log are kept at least.", retentionAnswer),
  PruneRecords:            read('Has records pruned that are older than the retention and were exported; their hashes, and every proof, stay.', pruneAnswer),
  ListStops:               read('Lists stops, lifted ones too.', page('StopPage', stopAnswer)),
  GetStop:                 read('Answers a stop with its receipt, signed as soon as a checkpoint covers it.', stopAnswer),
  CreateSink:              created("Makes a sink: records of the tenant's log are delivered to it.", sinkAnswer),
  ListSinks:               read('Lists sinks, and how far each has come.', page('SinkPage', sinkAnswer)),
  DescribeSink:            read('Answers a sink, how far it has come and what hinders it.', sinkAnswer),
  UpdateSink:              read('Changes a sink; pauses or resumes it; delivers again from a record on.', sinkAnswer),
  DeleteSink:              gone('Ends the delivery to a sink.'),
  TestSink:                read('Has the worker try a sink; `test` of the sink tells how it went.', sinkAnswer),
  DescribeKeyUsage:        read('Tells who uses a key, how much and when last: what breaks if it is disabled.', keyUsageAnswer),
  StartRewrap:             accepted('Begins a re-wrap: what a service has under an older version of a key moves to the primary one. The service carries it out.', longOperation),
  ListOperations:          read('Lists work that goes on after its call was answered, and how far it is.', page('LongOperationPage', longOperation)),
  DescribeOperation:       read('Tells how far a long operation is.', longOperation),
  WatchOperation:          eventStream('Streams how far a long operation is, once a second, until it is over.'),
  CancelOperation:         read('Ends a long operation where it is.', longOperation),
  ErasePersonalFields:     created('Erases personal fields of records for good; the records, and every proof of them, stay as they are.', erasureAnswer),
  RotateLogKey:            created("Makes the next key of the tenant's log: both sign its checkpoints, until the older one is retired and leaves the HSM.", logKeyAnswer),

  ListRecords:   read("Lists records of the tenant's log.", recordsAnswer),
  GetCheckpoint: { status: 200, type: 'text/plain; charset=utf-8', summary: 'Answers the newest signed checkpoint.', schema: checkpointAnswer, body: (note) => Buffer.from(note) },
  ListCheckpoints: read('Lists every checkpoint that was ever signed, the largest first.', checkpointsAnswer),
  GetTile:       { status: 200, type: 'application/octet-stream', summary: 'Answers one tile of the log (C2SP tlog-tiles).', schema: tileAnswer, body: (tile) => Buffer.from(tile) },
  GetLog:        read('Tells the name, keys and size of the log.', logAnswer),
  GetRecordProof:      { status: 200, type: 'text/plain; charset=utf-8', summary: 'Proves that a record stands in the log (C2SP tlog-proof).', schema: proofAnswer, body: (proof) => Buffer.from(proof) },
  GetConsistencyProof: read('Proves that the log began as it was at a smaller size.', consistencyAnswer),
  GetRecordStats:      read('Counts records by interval, operation and outcome.', statsAnswer),
  ListKeyInventory:    read('Lists keys: their versions, their last use and who may use them.', page('InventoryPage', inventoryItem)),
  ReadShreddingReceipt: read('Answers the signed statement that a key was destroyed, and when that is final.', shreddingReceiptAnswer),
  ListPolicyHistory:   read('Lists every policy that was ever in force, the newest first.', policyHistoryAnswer),
  GetCoverage:         read('Counts the uses of each key by the values of a label, as far as records are counted.', coverageAnswer),
  ListLeases:          read('Lists the data keys and decrypted ones that services may still hold, oldest first.', leasesAnswer),
  GetBundle:     { status: 200, type: 'application/x-tar', summary: 'Streams everything that an offline verification needs.', schema: undefined, body: (tar) => Readable.from(tar, { objectMode: false }) },
};
