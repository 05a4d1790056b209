import type {
  CompletedRewrap,
  EncryptionAlgorithm,
  ImportAlgorithm,
  ImportToken,
  KeyId,
  KeyOrigin,
  KeySpec,
  KeyUsage,
  KeyVersionId,
  LongOperationId,
  OperationName,
  SecretId,
  SecretName,
  SecretRotationPolicy,
  SecretType,
  SigningAlgorithm,
  TenantId,
  TriedAlgorithm,
} from '#contract';
import type { Permit } from '../permit.js';

/** Told truthfully: HSM only for declared hardware, SOFTWARE_TOKEN for SoftHSM, SOFTWARE where the custodian computes. */
export type ProtectionLevel = 'HSM' | 'SOFTWARE_TOKEN' | 'SOFTWARE';

/** What a version's binding MAC covers; the row in PostgreSQL, as it travels to the custodian with each call. */
export interface WrappedKeyVersion {
  readonly tenant: TenantId;
  readonly keyId: KeyId;
  readonly versionId: KeyVersionId;
  readonly spec: KeySpec;
  readonly usage: KeyUsage;
  readonly origin: KeyOrigin;
  readonly protectionLevel: ProtectionLevel;
  /** The tenant's log: ties the key to the trail that records it. */
  readonly logId: string;
  /** The key, wrapped under the tenant root (AES-KW, RFC 3394: its length and eight bytes; a private key as PKCS#8 by AES-KWP, RFC 5649). */
  readonly blob: Uint8Array;
  /** Of a key pair: SubjectPublicKeyInfo (RFC 5280), DER. */
  readonly publicKey?: Uint8Array | undefined;
  readonly imported?: ImportedMaterial | undefined;
  /** HMAC-SHA-256 under the HSM's binding key over everything above, length-prefixed. */
  readonly mac: Uint8Array;
}

/** Of material that came from outside; it stays when the material is deleted, because only the same may come back. */
export interface ImportedMaterial {
  /** By the key itself: AES-CMAC or HMAC over a fixed label; of a pair the SHA-256 of its public key. Its first 5 bytes are the check value. */
  readonly check: Uint8Array;
  /** Milliseconds; it is not used from then on. 0: for good. */
  readonly validTo: number;
  /** The ephemeral key of its import passed the memory of the custodian. */
  readonly inMemory: boolean;
}

/** What an import token stands for: made by custody, bound by its MAC, spent once. */
export interface ImportParameters {
  readonly tenant: TenantId;
  readonly importToken: ImportToken;
  readonly keyId: KeyId;
  readonly versionId: KeyVersionId;
  readonly spec: KeySpec;
  readonly usage: KeyUsage;
  readonly logId: string;
  readonly algorithm: ImportAlgorithm;
  /** Milliseconds. */
  readonly expiresAt: number;
}
export interface BoundImport extends ImportParameters {
  /** The private half of the wrapping key, PKCS#8 under the tenant's root. */
  readonly blob: Uint8Array;
  readonly mac: Uint8Array;
}

/** Keys from outside: the key plane's socket only. */
export interface KeyImports {
  /** An RSA-4096 pair for one import; `statement` is a note, signed by the tenant's log key, that names all of it. Takes seconds. */
  createImport(
    permit: Permit<'GetImportParameters'>,
    parameters: ImportParameters,
    log: Pick<SignedLog, 'origin' | 'keys'>,
    root: number,
  ): Promise<{ readonly bound: BoundImport; readonly statement: string }>;
  /** @throws InvalidRequest for a token that has expired, what is no such key, and other material than `before` had */
  importKeyMaterial(
    permit: Permit<'ImportKeyMaterial'>,
    bound: BoundImport,
    material: {
      readonly encrypted: Uint8Array;
      readonly publicKey: Uint8Array | undefined;
      readonly validTo: number;
      /** The version's row so far, where there is one: its MAC is checked, and only material of its check comes back. */
      readonly before: WrappedKeyVersion | undefined;
      /** Number of the tenant's root that wraps it from now on. */
      readonly root: number;
    },
  ): Promise<WrappedKeyVersion>;
  /** The row without its material. */
  emptyKeyVersion(permit: Permit<'DeleteImportedKeyMaterial' | 'RetireKeyVersion'>, version: WrappedKeyVersion): Promise<WrappedKeyVersion>;
}

/** A version before it has bytes: what createKeyVersion is told to make; of origin EXTERNAL it has none then. */
export type KeyVersionDraft = Omit<WrappedKeyVersion, 'protectionLevel' | 'blob' | 'publicKey' | 'imported' | 'mac'>;

/** AES-256-GCM: 12-byte IV chosen in the HSM's custodian, 16-byte tag. */
export interface Sealed {
  readonly iv: Uint8Array;
  /** ciphertext ‖ tag */
  readonly ciphertext: Uint8Array;
}

/** The caller owns `plaintext` and wipes it. */
export interface GeneratedDataKey extends Sealed {
  readonly plaintext: Uint8Array;
}

/** What signs a log: Ed25519, or ECDSA on P-256 where an HSM cannot (C2SP signed-note, types 1 and 2). */
export type LogAlgorithm = 'Ed25519' | 'ECDSA_P256';

export interface LogKey {
  /** Ed25519: 32 bytes (RFC 8032). ECDSA: SubjectPublicKeyInfo (RFC 5280), DER. Their lengths tell them apart. */
  readonly publicKey: Uint8Array;
}

export interface CustodyCapabilities {
  readonly module: string;
  /** Of the device, as it tells them: to find its own log of an operation. */
  readonly token: { readonly serial: string; readonly firmware: string };
  readonly protectionLevel: ProtectionLevel;
  /** By the self-test at its start. */
  readonly specs: readonly KeySpec[];
  /** Each spec that is not among them, and what the HSM said. */
  readonly unavailable: Readonly<Partial<Record<KeySpec, string>>>;
  /** Each algorithm that it cannot do, and why. */
  readonly algorithms: Readonly<Partial<Record<TriedAlgorithm, string>>>;
  /** Those by which an ephemeral key passes custody's memory: imports by them are marked. */
  readonly inMemory: readonly TriedAlgorithm[];
}

/** Kinds of rows that carry the binding MAC; each has its own digest (core/bound-rows.ts). */
export const BOUND_KINDS = [
  'policy',
  'stop',
  'lifted-stops',
  'credential',
  'identity-provider',
  'key-names',
  'key-rotation',
  'secret',
  'secret-labels',
  'rewrap',
  'binding-key',
] as const;
export type BoundKind = (typeof BOUND_KINDS)[number];

/** A row of a tenant's rules, by its digest: what the custodian is asked to bind to tenant, kind and id. */
export interface RuleRow {
  readonly tenant: TenantId;
  readonly kind: BoundKind;
  /** At most 128 printable ASCII characters. */
  readonly id: string;
  /** SHA-256 over the row's canonical form, 32 bytes. */
  readonly digest: Uint8Array;
}
export interface BoundRow extends RuleRow {
  /** HMAC-SHA-256 under the HSM's binding key, 32 bytes. */
  readonly mac: Uint8Array;
}

/** Checks rows that claim to be bound. Part of building a snapshot: it makes no authority, so it needs no permit. */
export interface BindingChecks {
  /** In order: is this MAC the binding key's? At most 64 rows. @throws CustodyUnavailable */
  checkBindings(rows: readonly BoundRow[]): Promise<boolean[]>;
}

/** Makes authority: the key plane's socket only. */
export interface RuleBindings extends BindingChecks {
  /** @throws CustodyUnavailable */
  bindRule(permit: Permit<RuleOperation>, row: Omit<RuleRow, 'tenant'>): Promise<Uint8Array>;
}

/** Operations that change a bound row. */
export type RuleOperation = Extract<
  OperationName,
  | 'OnboardTenant'
  | 'Enrol'
  | 'IssueCredential'
  | 'IssueServiceCredential'
  | 'PutIdentityProvider'
  | 'CreateKey'
  | 'CreateKeyVersion'
  | 'PutKeyRotation'
  | 'StartRewrap'
  | 'ImportKeyMaterial'
  | 'TagKey'
  | 'UntagKey'
  | 'CreateAlias'
  | 'UpdateAlias'
  | 'DeleteAlias'
  | 'PutPolicy'
  | 'PublishPolicyDraft'
  | 'RollbackPolicy'
  | 'Stop'
  | 'Lift'
  | 'CreateSecret'
  | 'UpdateSecret'
  | 'UpdateSecretRotationPolicy'
  | 'RetireBindingKey'
>;

/** Operations that say which version of a secret is which. */
export type LabelOperation = Extract<OperationName, 'CreateSecret' | 'PutSecretValue' | 'UpdateSecretVersionLabels'>;

/** One version of one secret: what the key of its value is bound to. */
export interface SecretVersionName {
  readonly secretId: SecretId;
  readonly versionId: string;
}

/** A secret as it is bound, with the rotation policy that lets the worker at its values and at those of its connection secret. */
export interface SecretClaim {
  readonly secretId: SecretId;
  readonly name: SecretName;
  readonly type: SecretType;
  readonly keyId: KeyId;
  readonly tags: Readonly<Record<string, string>>;
  readonly rotation: SecretRotationPolicy;
  /** As bound-rows.ts has it bound (secretRow). */
  readonly mac: Uint8Array;
}

/**
 * Data keys of secrets' values, 32 bytes each, sealed under a CMK and bound to the name of one version: custody composes the encryption
 * context itself (`keyward:secret`, `keyward:version`), so that what may open secrets opens nothing else of a tenant.
 *
 * `claim`: the worker's, without which its socket accepts none of it. Custody checks that it is bound, and that it is about this secret (or,
 * for a reading, about one that is rotated with this one's value): whoever takes over the worker reads no other secrets.
 * @throws KeyBindingBroken for a claim that is not
 */
export interface SecretKeys {
  generateSecretKey(
    permit: Permit<'CreateSecret' | 'PutSecretValue'>,
    version: WrappedKeyVersion,
    of: SecretVersionName,
    claim?: SecretClaim,
  ): Promise<GeneratedDataKey>;
  openSecretKey(
    permit: Permit<'GetSecretValue' | 'PutSecretValue'>,
    version: WrappedKeyVersion,
    of: SecretVersionName,
    sealed: Sealed,
    claim?: SecretClaim,
  ): Promise<Uint8Array>;
  /** Of kind `secret-labels`, and no other: whoever puts values says which is current. `digest`: bound-rows.ts. */
  bindSecretLabels(permit: Permit<LabelOperation>, secretId: SecretId, digest: Uint8Array, claim?: SecretClaim): Promise<Uint8Array>;
}

/**
 * Where CMKs live, as the planes see it. The additional authenticated data of every cryptographic call is the permit's own
 * (`permit.aad`), so that what was decided and what the HSM binds cannot differ.
 * Errors: CustodyUnavailable (retryable), DecryptFailed, KeyBindingBroken, KeyDestroyed, PermitMisused.
 */
export interface Custody {
  /** Found or made: the root with this number, 0 for the tenant's first. */
  createTenantRoot(permit: Permit<'OnboardTenant' | 'RotateRoot' | 'OffBoardTenant'>, root: number): Promise<void>;
  /** The tenant's by its number, from 1; found or created by label, so that onboarding and rotation may be repeated after a crash. */
  createLogKey(permit: Permit<'OnboardTenant' | 'RotateLogKey'>, number: number): Promise<LogKey>;
  /**
   * `root`: number of the one that wraps it, as the database said it after the rules were read. An RSA key takes seconds; custody
   * refuses with 429 when too many are being made.
   */
  createKeyVersion(permit: Permit<'CreateKey' | 'CreateKeyVersion'>, draft: KeyVersionDraft, root: number): Promise<WrappedKeyVersion>;
  encrypt(permit: Permit<'Encrypt' | 'ReEncryptTo'>, version: WrappedKeyVersion, plaintext: Uint8Array): Promise<Sealed>;
  decrypt(permit: Permit<'Decrypt' | 'ReEncryptFrom'>, version: WrappedKeyVersion, sealed: Sealed): Promise<Uint8Array>;
  generateDataKey(permit: Permit<'GenerateDataKey'>, version: WrappedKeyVersion, length: number): Promise<GeneratedDataKey>;
  generateDataKeyWithoutPlaintext(
    permit: Permit<'GenerateDataKeyWithoutPlaintext'>,
    version: WrappedKeyVersion,
    length: number,
  ): Promise<Sealed>;
  /** HMAC (RFC 2104) with the hash of the key's spec; `message` is 1 to 4096 bytes. */
  generateMac(permit: Permit<'GenerateMac'>, version: WrappedKeyVersion, message: Uint8Array): Promise<Uint8Array>;
  verifyMac(permit: Permit<'VerifyMac'>, version: WrappedKeyVersion, message: Uint8Array, mac: Uint8Array): Promise<boolean>;
  /** `digest` is as long as the algorithm's hash; ECDSA answers DER (SEC 1, C.5), RSA as many bytes as the modulus (RFC 8017 §8). */
  sign(permit: Permit<'Sign'>, version: WrappedKeyVersion, algorithm: SigningAlgorithm, digest: Uint8Array): Promise<Uint8Array>;
  /** Anything that is no signature of this key over the digest is false. */
  verify(
    permit: Permit<'Verify'>,
    version: WrappedKeyVersion,
    algorithm: SigningAlgorithm,
    digest: Uint8Array,
    signature: Uint8Array,
  ): Promise<boolean>;
  /** 1 to 1024 bytes of the HSM's generator, for the caller to wipe; of no key. */
  generateRandom(permit: Permit<'GenerateRandom' | 'GetRandomPassword'>, length: number): Promise<Uint8Array>;
  /** RSAES-OAEP (RFC 8017 §7.1), as long as the modulus. @throws InvalidRequest for an algorithm that the HSM cannot do */
  asymmetricEncrypt(
    permit: Permit<'AsymmetricEncrypt'>,
    version: WrappedKeyVersion,
    algorithm: EncryptionAlgorithm,
    plaintext: Uint8Array,
  ): Promise<Uint8Array>;
  asymmetricDecrypt(
    permit: Permit<'AsymmetricDecrypt'>,
    version: WrappedKeyVersion,
    algorithm: EncryptionAlgorithm,
    ciphertext: Uint8Array,
  ): Promise<Uint8Array>;
  /** The row's, after its MAC was checked. */
  publicKey(permit: Permit<'GetPublicKey' | 'DescribePublicKey'>, version: WrappedKeyVersion): Promise<Uint8Array>;
  capabilities(): Promise<CustodyCapabilities>;
  /** Resolves while the custodian's own heartbeat (token information and a canary unwrap, each second) succeeds. */
  ping(): Promise<void>;
}

/** What stays of a destroyed key: who keeps it never uses the key again, whatever row is shown. */
export interface Tombstone {
  readonly tenant: TenantId;
  readonly keyId: KeyId;
  readonly versionIds: readonly KeyVersionId[];
  /** By the database's clock, RFC 3339. */
  readonly destroyedAt: string;
  /** HMAC-SHA-256 under the HSM's binding key over tenant and key: nobody makes one by SQL. */
  readonly mac: Uint8Array;
}

/** A version's row without its blob. */
export interface EndedVersion {
  readonly versionId: KeyVersionId;
  /** The row's MAC, over an empty blob: its public half stays proven. */
  readonly mac: Uint8Array;
}

/** What custody does not know itself of a destroyed key. */
export interface ReceiptOrder {
  readonly origin: string;
  readonly keyId: KeyId;
  /** Place of the record. */
  readonly seq: bigint;
  /** Number of the log's key that signs. */
  readonly logKey: number;
  /** When the tenant's last rotation ended; told only if custody finds the root gone that had wrapped the key. */
  readonly rootEndedAt: string | undefined;
}

/**
 * What the worker asks of custody to carry out a destruction that an admin had recorded. System operations without a permit: none of them
 * uses a key. @throws CustodyUnavailable, KeyBindingBroken
 */
export interface KeyEnding {
  /** Nothing is lost by it: only what follows in the database destroys. */
  makeTombstone(version: WrappedKeyVersion): Promise<EndedVersion & { readonly tombstoneMac: Uint8Array }>;
  /** A signed note (C2SP signed-note) that custody composes itself, by the log's key of this number. Only of a key whose tombstone it keeps. */
  shreddingReceipt(tenant: TenantId, receipt: ReceiptOrder): Promise<string>;
}

/** What a certificate of a re-wrap says, and who signs it. */
export interface CertificateOrder extends CompletedRewrap {
  readonly origin: string;
  /** Number of the log's key that signs. */
  readonly logKey: number;
  readonly tenant: TenantId;
  readonly operationId: LongOperationId;
  readonly keyId: KeyId;
  readonly fromVersionId: KeyVersionId;
  readonly toVersionId: KeyVersionId;
}

export interface CompletionCertifier {
  /** A signed note (C2SP signed-note) that custody composes itself, so that nobody can have other text signed. */
  completionCertificate(permit: Permit<'GetCompletionCertificate'>, order: CertificateOrder): Promise<string>;
}

/** Every process that has custody hands tombstones to it. */
export interface TombstoneKeeper {
  /** Evicts the key, and keeps the tombstone in a file of the custodian's own, fsynced. May be repeated. @throws CustodyUnavailable, KeyBindingBroken for a forged one */
  keepTombstone(tombstone: Tombstone): Promise<void>;
}

/** A tree that somebody wants signed. */
export interface ClaimedTree {
  readonly size: bigint;
  readonly root: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/** A system operation, without a permit: it touches the tenant's log key only. */
export interface CheckpointSigner {
  /** Records under the last checkpoint that was signed for this log, by the signer's own file; 0 before the first. */
  signedSize(tenant: TenantId, logId: string): Promise<bigint>;
  /**
   * Composes the signed note (C2SP signed-note, tlog-checkpoint) of a tree itself, so that nobody can have other text signed.
   * Refuses a tree that is not, by `proof`, an extension of the last one it signed for this log (its own fsynced file).
   * `root` is 32 bytes, `proof` the consistency proof from `signedSize` (RFC 9162 §2.1.4.1), 32 bytes each; the answer is the note's text,
   * signed by each of the log's keys that is named.
   */
  signCheckpoint(tenant: TenantId, log: SignedLog, tree: ClaimedTree): Promise<string>;
}

/** As CheckpointSigner without a permit: the row that the worker works off is the tenant's own decision. */
export interface LogKeyRemoval {
  /** Ends a log key for good, if the next one exists; one that is gone already is success. @throws CustodyUnavailable */
  destroyLogKey(tenant: TenantId, number: number): Promise<void>;
}

export interface SignedLog {
  readonly logId: string;
  readonly origin: string;
  /** Numbers of the keys that sign it now: one, or two while one takes over from the other. */
  readonly keys: readonly number[];
}
