import { setTimeout as sleep } from 'node:timers/promises';
import { type EncryptionAlgorithm, type OperationName, PLATFORM, type SecretId, type SigningAlgorithm, type TenantId } from '#contract';
import { CustodyUnavailable, PermitMisused } from '#core';
import type {
  BindingKeeping,
  BindingKeyMaker,
  BoundImport,
  BoundRow,
  CheckpointSigner,
  ClaimedTree,
  Custody,
  CustodyCapabilities,
  CustodyMemory,
  EndedVersion,
  GeneratedDataKey,
  ImportParameters,
  CertificateOrder,
  CompletionCertifier,
  KeyImports,
  KeyEnding,
  KeptByCustody,
  KeyVersionDraft,
  LabelOperation,
  LogKey,
  LogKeyRemoval,
  Permit,
  Rebindable,
  ReceiptOrder,
  ItemMover,
  KeyRotator,
  RootKeeping,
  RotatedKey,
  RotationOrder,
  MoveOrder,
  RuleBindings,
  RuleOperation,
  RuleRow,
  Sealed,
  SecretClaim,
  SecretKeys,
  SecretVersionName,
  Tombstone,
  TombstoneKeeper,
  SignedLog,
  WrappedKeyVersion,
} from '#core';
import { spendForRandom } from '../spend-for-random.js';
import { spendToBind, spendToLabel } from '../spend-to-bind.js';
import {
  readBoundImport,
  readBytes,
  readCapabilities,
  readGeneratedDataKey,
  readImportOf,
  readLogKey,
  readMac,
  readNote,
  readNothing,
  readSealed,
  readSize,
  readTruth,
  readTruthsOf,
  readVersionOf,
} from './answers.js';
import { Connection } from './connection.js';
import type { Call } from './connection.js';
import { encodeImport, IMPORT } from './import-row.js';
import { encodeDraft, encodeRow } from './key-version-row.js';
import { encodeMove } from './move-on-wire.js';
import { encodeSecretClaim } from './secret-claim-on-wire.js';
import { encodeRebindable, readRebound } from './rebindable-on-wire.js';
import { encodeRotation, readRotated } from './rotation-on-wire.js';
import { encodeTombstone, readEndedVersion, readKept } from './tombstone-on-wire.js';
import { OPERATION } from './wire.js';

export interface SocketCustodyOptions {
  readonly socketPath: string;
  /** For a call that uses a key; making one may take five times as long. Default 2000. */
  readonly timeoutMs?: number;
}

const NOTHING = Buffer.alloc(0);
const TIMEOUT_MS = 2000;
/** A few of them may have to be made before. */
const RSA_PATIENCE_MS = 60_000;
/** A restarting custodian is back in about that time; longer waits would only fill the plane's queue. */
const WAIT_FOR_CONNECTION_MS = 250;
const BACK_OFF_MS = { first: 10, longest: 1000 } as const;

/**
 * Custody through the custodian's socket. Every call spends its permit for exactly what it sends. Reconnects by itself;
 * meanwhile calls fail with CustodyUnavailable, at the latest after 250 ms.
 */
export class SocketCustody
  implements
    Custody,
    KeyImports,
    CompletionCertifier,
    RuleBindings,
    SecretKeys,
    CheckpointSigner,
    LogKeyRemoval,
    KeyEnding,
    TombstoneKeeper,
    RootKeeping,
    BindingKeyMaker,
    BindingKeeping,
    KeyRotator,
    ItemMover
{
  readonly #timeoutMs: number;
  #connection: Connection | undefined;
  #connecting: Promise<void> | undefined;
  #closed = false;

  constructor(private readonly options: SocketCustodyOptions) {
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  }

  /** Resolves when connected; goes on trying in the background when it rejects. @throws CustodyUnavailable after the call time-out. */
  async connect(): Promise<void> {
    await this.#connected(this.#timeoutMs);
  }

  /** Rejects what is in flight, and every later call. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#connection?.close('closed by this process');
    await this.#connecting;
  }

  async createTenantRoot(permit: Permit<'OnboardTenant' | 'RotateRoot' | 'OffBoardTenant'>, root: number): Promise<void> {
    permit.spend({ operation: permit.operation, tenant: permit.tenant, versionId: undefined });
    return this.#call(OPERATION.createTenantRoot, permit.tenant, [root], readNothing, '', 5 * this.#timeoutMs);
  }

  async createLogKey(permit: Permit<'OnboardTenant' | 'RotateLogKey'>, number: number): Promise<LogKey> {
    permit.spend({ operation: permit.operation, tenant: permit.tenant, versionId: undefined });
    return this.#call(OPERATION.createLogKey, permit.tenant, [number], readLogKey, '', 5 * this.#timeoutMs);
  }

  async createKeyVersion(
    permit: Permit<'CreateKey' | 'CreateKeyVersion'>,
    draft: KeyVersionDraft,
    root: number,
  ): Promise<WrappedKeyVersion> {
    // A permit to create may leave the version open, which does not exist yet; if it names one, it is this one.
    permit.spend({ operation: permit.operation, tenant: draft.tenant, versionId: permit.versionId && draft.versionId });
    const patienceMs = draft.spec.startsWith('RSA') ? RSA_PATIENCE_MS : this.#timeoutMs;
    return this.#call(
      OPERATION.createKeyVersion,
      draft.tenant,
      [encodeDraft(draft), root],
      readVersionOf(draft),
      draft.versionId,
      patienceMs,
    );
  }

  async createImport(
    permit: Permit<'GetImportParameters'>,
    parameters: ImportParameters,
    log: Pick<SignedLog, 'origin' | 'keys'>,
    root: number,
  ) {
    const { tenant, versionId } = parameters;
    permit.spend({ operation: 'GetImportParameters', tenant, versionId });
    const args = [encodeImport(parameters), log.origin, root, ...log.keys];
    return this.#call(OPERATION.createImport, tenant, args, readImportOf(parameters), versionId, RSA_PATIENCE_MS);
  }

  async importKeyMaterial(
    permit: Permit<'ImportKeyMaterial'>,
    bound: BoundImport,
    { encrypted, publicKey, validTo, before, root }: Parameters<KeyImports['importKeyMaterial']>[2],
  ): Promise<WrappedKeyVersion> {
    permit.spend({ operation: 'ImportKeyMaterial', tenant: bound.tenant, versionId: bound.versionId });
    const args = [encodeImport(bound), encrypted, publicKey ?? NOTHING, validTo, before === undefined ? NOTHING : encodeRow(before), root];
    return this.#call(OPERATION.importKeyMaterial, bound.tenant, args, readVersionOf(bound), bound.versionId);
  }

  async emptyKeyVersion(
    permit: Permit<'DeleteImportedKeyMaterial' | 'RetireKeyVersion'>,
    version: WrappedKeyVersion,
  ): Promise<WrappedKeyVersion> {
    spendWithoutAad(permit, version);
    return this.#call(OPERATION.emptyKeyVersion, version.tenant, [encodeRow(version)], readVersionOf(version), version.versionId);
  }

  async bindRule(permit: Permit<RuleOperation>, row: Omit<RuleRow, 'tenant'>): Promise<Uint8Array> {
    return this.#call(OPERATION.bindRule, spendToBind(permit), [row.kind, row.id, row.digest], readMac);
  }

  async checkBindings(rows: readonly BoundRow[]): Promise<boolean[]> {
    const asked = rows.map(({ tenant, kind, id, digest, mac }) => [tenant, kind, id, digest, mac]);
    return this.#call(OPERATION.checkBindings, '', asked, readTruthsOf(rows.length));
  }

  async generateSecretKey(
    permit: Permit<'CreateSecret' | 'PutSecretValue'>,
    version: WrappedKeyVersion,
    { secretId, versionId }: SecretVersionName,
    claim?: SecretClaim,
  ): Promise<GeneratedDataKey> {
    spendWithoutAad(permit, version);
    const args = [...claimed(claim), encodeRow(version), secretId, versionId];
    const operation = claim === undefined ? OPERATION.generateSecretKey : OPERATION.generateRotatedKey;
    return this.#call(operation, version.tenant, args, readGeneratedDataKey, version.versionId);
  }

  async openSecretKey(
    permit: Permit<'GetSecretValue' | 'PutSecretValue'>,
    version: WrappedKeyVersion,
    { secretId, versionId }: SecretVersionName,
    { iv, ciphertext }: Sealed,
    claim?: SecretClaim,
  ): Promise<Uint8Array> {
    spendWithoutAad(permit, version);
    const args = [...claimed(claim), encodeRow(version), secretId, versionId, iv, ciphertext];
    const operation = claim === undefined ? OPERATION.openSecretKey : OPERATION.openRotatedKey;
    return this.#call(operation, version.tenant, args, readBytes, version.versionId);
  }

  async bindSecretLabels(permit: Permit<LabelOperation>, secretId: SecretId, digest: Uint8Array, claim?: SecretClaim): Promise<Uint8Array> {
    const operation = claim === undefined ? OPERATION.bindSecretLabels : OPERATION.bindRotatedLabels;
    return this.#call(operation, spendToLabel(permit), [...claimed(claim), secretId, digest], readMac);
  }

  async encrypt(permit: Permit<'Encrypt' | 'ReEncryptTo'>, version: WrappedKeyVersion, plaintext: Uint8Array): Promise<Sealed> {
    const aad = spend(permit, ['Encrypt', 'ReEncryptTo'], version);
    return await this.#call(OPERATION.encrypt, version.tenant, [encodeRow(version), aad, plaintext], readSealed, version.versionId);
  }

  async decrypt(permit: Permit<'Decrypt' | 'ReEncryptFrom'>, version: WrappedKeyVersion, sealed: Sealed): Promise<Uint8Array> {
    const aad = spend(permit, ['Decrypt', 'ReEncryptFrom'], version);
    const args = [encodeRow(version), aad, sealed.iv, sealed.ciphertext];
    return await this.#call(OPERATION.decrypt, version.tenant, args, readBytes, version.versionId);
  }

  async generateDataKey(permit: Permit<'GenerateDataKey'>, version: WrappedKeyVersion, length: number): Promise<GeneratedDataKey> {
    const aad = spend(permit, ['GenerateDataKey'], version);
    return await this.#call(
      OPERATION.generateDataKey,
      version.tenant,
      [encodeRow(version), aad, length],
      readGeneratedDataKey,
      version.versionId,
    );
  }

  async generateDataKeyWithoutPlaintext(
    permit: Permit<'GenerateDataKeyWithoutPlaintext'>,
    version: WrappedKeyVersion,
    length: number,
  ): Promise<Sealed> {
    const aad = spend(permit, ['GenerateDataKeyWithoutPlaintext'], version);
    const args = [encodeRow(version), aad, length];
    return this.#call(OPERATION.generateDataKeyWithoutPlaintext, version.tenant, args, readSealed, version.versionId);
  }

  async generateMac(permit: Permit<'GenerateMac'>, version: WrappedKeyVersion, message: Uint8Array): Promise<Uint8Array> {
    spendWithoutAad(permit, version);
    return this.#call(OPERATION.generateMac, version.tenant, [encodeRow(version), message], readBytes, version.versionId);
  }

  async verifyMac(permit: Permit<'VerifyMac'>, version: WrappedKeyVersion, message: Uint8Array, mac: Uint8Array): Promise<boolean> {
    spendWithoutAad(permit, version);
    return this.#call(OPERATION.verifyMac, version.tenant, [encodeRow(version), message, mac], readTruth, version.versionId);
  }

  async sign(permit: Permit<'Sign'>, version: WrappedKeyVersion, algorithm: SigningAlgorithm, digest: Uint8Array): Promise<Uint8Array> {
    spendWithoutAad(permit, version);
    return this.#call(OPERATION.sign, version.tenant, [encodeRow(version), algorithm, digest], readBytes, version.versionId);
  }

  async verify(
    permit: Permit<'Verify'>,
    version: WrappedKeyVersion,
    algorithm: SigningAlgorithm,
    digest: Uint8Array,
    signature: Uint8Array,
  ): Promise<boolean> {
    spendWithoutAad(permit, version);
    return this.#call(OPERATION.verify, version.tenant, [encodeRow(version), algorithm, digest, signature], readTruth, version.versionId);
  }

  async generateRandom(permit: Permit<'GenerateRandom' | 'GetRandomPassword'>, length: number): Promise<Uint8Array> {
    return this.#call(OPERATION.generateRandom, spendForRandom(permit), [length], readBytes);
  }

  async asymmetricEncrypt(
    permit: Permit<'AsymmetricEncrypt'>,
    version: WrappedKeyVersion,
    algorithm: EncryptionAlgorithm,
    plaintext: Uint8Array,
  ): Promise<Uint8Array> {
    spendWithoutAad(permit, version);
    const args = [encodeRow(version), algorithm, plaintext];
    return this.#call(OPERATION.asymmetricEncrypt, version.tenant, args, readBytes, version.versionId);
  }

  async asymmetricDecrypt(
    permit: Permit<'AsymmetricDecrypt'>,
    version: WrappedKeyVersion,
    algorithm: EncryptionAlgorithm,
    ciphertext: Uint8Array,
  ): Promise<Uint8Array> {
    spendWithoutAad(permit, version);
    const args = [encodeRow(version), algorithm, ciphertext];
    return this.#call(OPERATION.asymmetricDecrypt, version.tenant, args, readBytes, version.versionId);
  }

  async publicKey(permit: Permit<'GetPublicKey' | 'DescribePublicKey'>, version: WrappedKeyVersion): Promise<Uint8Array> {
    spendWithoutAad(permit, version);
    return this.#call(OPERATION.publicKey, version.tenant, [encodeRow(version)], readBytes, version.versionId);
  }

  async capabilities(): Promise<CustodyCapabilities> {
    return this.#call(OPERATION.capabilities, '', [], readCapabilities);
  }

  async ping(): Promise<void> {
    return this.#call(OPERATION.ping, '', [], readNothing);
  }

  async signCheckpoint(tenant: TenantId, { logId, origin, keys }: SignedLog, { size, root, proof }: ClaimedTree): Promise<string> {
    return this.#call(OPERATION.signCheckpoint, tenant, [logId, origin, size.toString(), root, proof, keys], readNote, logId);
  }

  async destroyLogKey(tenant: TenantId, number: number): Promise<void> {
    return this.#call(OPERATION.destroyLogKey, tenant, [number], readNothing);
  }

  async signedSize(tenant: TenantId, logId: string): Promise<bigint> {
    return this.#call(OPERATION.signedSize, tenant, [logId], readSize, logId);
  }

  async makeTombstone(version: WrappedKeyVersion): Promise<EndedVersion & { readonly tombstoneMac: Uint8Array }> {
    return this.#call(OPERATION.makeTombstone, version.tenant, [encodeRow(version)], readEndedVersion, version.versionId);
  }

  async keepTombstone(tombstone: Tombstone): Promise<void> {
    return this.#call(OPERATION.keepTombstone, tombstone.tenant, encodeTombstone(tombstone), readNothing, tombstone.keyId);
  }

  async shreddingReceipt(tenant: TenantId, { origin, keyId, seq, logKey, rootEndedAt }: ReceiptOrder): Promise<string> {
    return this.#call(OPERATION.shreddingReceipt, tenant, [origin, keyId, seq.toString(), logKey, rootEndedAt ?? null], readNote, keyId);
  }

  async completionCertificate(permit: Permit<'GetCompletionCertificate'>, order: CertificateOrder): Promise<string> {
    const { tenant, origin, logKey, operationId, keyId, fromVersionId, toVersionId, service, startedAt, endedAt } = order;
    permit.spend({ operation: 'GetCompletionCertificate', tenant, versionId: undefined });
    const counts = [order.population, order.moved, order.kept, order.failed];
    const args = [origin, logKey, operationId, keyId, fromVersionId, toVersionId, service ?? null, ...counts, startedAt, endedAt];
    return this.#call(OPERATION.completionCertificate, tenant, [...args, order.firstRecord, order.lastRecord], readNote, operationId);
  }

  async kept(tenant: TenantId, { logId, root, afterKey }: Parameters<CustodyMemory['kept']>[1]): Promise<KeptByCustody> {
    return this.#call(OPERATION.kept, tenant, [logId, root, afterKey], readKept);
  }

  async rotateKey(permit: Permit<'CreateKeyVersion'>, { primary, ...claim }: RotationOrder): Promise<RotatedKey> {
    const { tenant } = primary;
    permit.spend({ operation: 'CreateKeyVersion', tenant, versionId: claim.versionId });
    const args = [encodeRow(primary), encodeRotation(claim)];
    return this.#call(OPERATION.rotateKey, tenant, args, readRotated(tenant, claim), claim.versionId);
  }

  async moveItem(permit: Permit<'ReEncryptTo'>, { from, to, sealed, ...claim }: MoveOrder): Promise<Sealed> {
    const context = spend(permit, ['ReEncryptTo'], to);
    const args = [encodeRow(from), encodeRow(to), encodeMove(claim), context, sealed.iv, sealed.ciphertext];
    return this.#call(OPERATION.moveItem, to.tenant, args, readSealed, to.versionId);
  }

  async rewrap(version: WrappedKeyVersion, root: number): Promise<WrappedKeyVersion> {
    return this.#call(OPERATION.rewrap, version.tenant, [encodeRow(version), root], readVersionOf(version), version.versionId);
  }

  async rewrapImport(bound: BoundImport, root: number): Promise<BoundImport> {
    return this.#call(OPERATION.rewrap, bound.tenant, [encodeImport(bound), root, IMPORT], readBoundImport(bound), bound.importToken);
  }

  async destroyOlderRoots(tenant: TenantId, root: number): Promise<void> {
    return this.#call(OPERATION.destroyOlderRoots, tenant, [root], readNothing);
  }

  async createBindingKey(permit: Permit<'RotateBindingKey'>, number: number): Promise<void> {
    permit.spend({ operation: 'RotateBindingKey', tenant: permit.tenant, versionId: undefined });
    return this.#call(OPERATION.createBindingKey, permit.tenant, [number], readNothing);
  }

  async rebind(row: Rebindable): Promise<Uint8Array | undefined> {
    return this.#call(OPERATION.rebind, row.row.tenant, encodeRebindable(row), readRebound);
  }

  async destroyOlderBindingKeys(number: number, mac: Uint8Array): Promise<void> {
    return this.#call(OPERATION.destroyOlderBindingKeys, PLATFORM, [number, mac], readNothing);
  }

  #call<Answer>(
    operation: number,
    tenant: string,
    args: readonly unknown[],
    read: (result: unknown) => Answer,
    subject = '',
    timeoutMs = this.#timeoutMs,
  ): Promise<Answer> {
    const call: Call<Answer> = { operation, tenant, args, read, subject, timeoutMs };
    return this.#connection?.call(call) ?? this.#callLater(call);
  }

  async #callLater<Answer>(call: Call<Answer>): Promise<Answer> {
    const connection = await this.#connected(WAIT_FOR_CONNECTION_MS);
    return connection.call(call);
  }

  async #connected(patienceMs: number): Promise<Connection> {
    if (this.#closed) throw new CustodyUnavailable('closed by this process');
    if (this.#connection === undefined) await Promise.race([this.#reconnect(), sleep(patienceMs, undefined, { ref: false })]);
    if (this.#connection === undefined) throw new CustodyUnavailable('there is no connection to the custodian');
    return this.#connection;
  }

  #reconnect(): Promise<void> {
    this.#connecting ??= this.#tryUntilConnected().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  async #tryUntilConnected(): Promise<void> {
    for (
      let backOff: number = BACK_OFF_MS.first;
      !this.#closed && this.#connection === undefined;
      backOff = Math.min(2 * backOff, BACK_OFF_MS.longest)
    ) {
      try {
        this.#connection = await Connection.to(this.options.socketPath, () => this.#lost());
      } catch {
        // Nobody listens yet; whoever waits is told so by #connected.
        await sleep(backOff, undefined, { ref: false });
      }
    }
    if (this.#closed) this.#connection?.close('closed by this process');
  }

  #lost(): void {
    this.#connection = undefined;
    if (!this.#closed) void this.#reconnect();
  }
}

function spendWithoutAad(permit: Permit, { tenant, versionId }: WrappedKeyVersion): void {
  permit.spend({ operation: permit.operation, tenant, versionId });
}

/** Spends a permit for this key version, and answers the additional data that was decided on. */
function spend<Operation extends OperationName>(
  permit: Permit<Operation>,
  allowed: readonly Operation[],
  { tenant, versionId }: WrappedKeyVersion,
): Uint8Array {
  const { operation, aad } = permit;
  if (!allowed.includes(operation)) throw new PermitMisused(`A permit for ${operation} was used for something else.`);
  permit.spend({ operation, tenant, versionId });
  if (aad === undefined || aad.length === 0) throw new PermitMisused(`A permit for ${operation} without additional data.`);
  return aad;
}

const claimed = (claim: SecretClaim | undefined): Buffer[] => (claim === undefined ? [] : [encodeSecretClaim(claim)]);
