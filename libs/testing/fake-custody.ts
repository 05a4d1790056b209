import {
  createCipheriv,
  createECDH,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  timingSafeEqual,
  verify,
} from 'node:crypto';
import type { CipherGCMTypes, KeyObject, webcrypto } from 'node:crypto';
import {
  type EncryptionAlgorithm,
  ENCRYPTS_WITH,
  HASHED_BY,
  KEY_SPECS,
  type KeyId,
  type KeySpec,
  type OperationName,
  MAX_SIGNED_MESSAGE_BYTES,
  type SecretId,
  type SigningAlgorithm,
  signsDigests,
  SIGNS_WITH,
  type TenantId,
  tenantId,
} from '#contract';
import {
  bindingKeyRow,
  BOUND_KINDS,
  CustodyUnavailable,
  DecryptFailed,
  KeyBindingBroken,
  KeyDestroyed,
  KeywardError,
  Permit,
  PermitMisused,
  secretKeyAad,
  secretRow,
} from '#core';
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
  KeyEnding,
  KeyImports,
  KeptByCustody,
  KeyVersionDraft,
  LabelOperation,
  LogKey,
  LogKeyRemoval,
  ItemMover,
  CertificateOrder,
  Rebindable,
  ReceiptOrder,
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
import {
  bindingMessage,
  checkpointBody,
  CheckpointRefused,
  importMessage,
  ImportRefused,
  importStatement,
  messageOf,
  certificateBody,
  receiptBody,
  NotCapable,
  boundProject,
  boundUnder,
  mustBeOrdered,
  ruleMessage,
  claimedRows,
  mustBeWanted,
  namesAfter,
  signedNote,
  spendForRandom,
  spendToBind,
  spendToLabel,
  derOf,
  rawOf,
  tombstoneMessage,
} from '#custody/socket';
import { verifyConsistency } from '#trail';
import { FAKE_CURVES, type FakeCurve, signDigest, verifyDigest } from './ecdsa.js';
import { checkOf, isPairOf, kwpOpened, kwpSealed, materialOf, wrappingPair } from './fake-imports.js';
import { FAKE_RSA_BITS, type FakeRsa, openOaep, sealOaep, signRsa, verifyRsa } from './rsa.js';

const KEY_BYTES = { AES_256: 32, AES_128: 16, HMAC_256: 32, HMAC_384: 48, HMAC_512: 64, SM4: 16, HMAC_SM3: 32 } as const;
const CURVE_NAMES = { EC_P256: 'prime256v1', EC_P384: 'secp384r1', EC_P256K: 'secp256k1', EC_SM2: 'SM2' } as const;
const CIPHERS = { AES_256: 'aes-256-gcm', AES_128: 'aes-128-gcm', SM4: 'sm4-gcm' } as const;
const SM2_SPKI = Buffer.from('3059301306072a8648ce3d020106082a811ccf5501822d034200', 'hex');
const KW_IV = Buffer.alloc(8, 0xa6);
const TAG_BYTES = 16;

/** Custody in memory, true to the port (custody-contract.ts runs against both). For tests that need no HSM. */
export class FakeCustody
  implements
    Custody,
    KeyImports,
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
    ItemMover,
    CustodyMemory
{
  /** While true every call fails, as when the HSM is lost. */
  down = false;
  /** What it cannot make, and why. */
  unavailable: CustodyCapabilities['unavailable'] = {};
  algorithms: CustodyCapabilities['algorithms'] = {};
  /** The names of the calls that reached the HSM. */
  readonly calls: string[] = [];
  /** The plaintext that was answered last: to see whether it was wiped. */
  lastPlaintext: Uint8Array | undefined;
  /** Of keys that are no more. */
  readonly tombstones = new Map<KeyId, Tombstone & { readonly root: number }>();
  /** By tenant, then by number. */
  readonly #roots = new Map<string, Map<number, KeyObject>>();
  readonly #logKeys = new Map<string, Map<number, { readonly publicKey: KeyObject; readonly privateKey: KeyObject }>>();
  readonly #signed = new Map<string, { readonly size: bigint; readonly root: string; readonly origin: string }>();
  /** By number, the oldest first. */
  readonly #bindingKeys = new Map([[0, createSecretKey(randomBytes(32))]]);

  /** A tenant's root and log key, without a call. */
  onboard(tenant: TenantId): void {
    this.#ensureRoot(tenant, 0);
    this.#logKeys.set(tenant, new Map([[1, generateKeyPairSync('ed25519')]]));
  }

  /** Of the tenant's log, 32 bytes. */
  logKeyOf(tenant: TenantId): Uint8Array {
    return rawPublicKey(this.#logKeys.get(tenant)!.get(1)!.publicKey);
  }

  async createTenantRoot(permit: Permit<'OnboardTenant' | 'RotateRoot' | 'OffBoardTenant'>, root: number): Promise<void> {
    permit.spend({ operation: permit.operation, tenant: permit.tenant, versionId: undefined });
    this.#reach('createTenantRoot');
    this.#ensureRoot(permit.tenant, root);
  }

  async createLogKey(permit: Permit<'OnboardTenant' | 'RotateLogKey'>, number: number): Promise<LogKey> {
    permit.spend({ operation: permit.operation, tenant: permit.tenant, versionId: undefined });
    this.#reach('createLogKey');
    const keys = this.#logKeys.get(permit.tenant) ?? new Map();
    const pair = keys.get(number) ?? generateKeyPairSync('ed25519');
    this.#logKeys.set(permit.tenant, keys.set(number, pair));
    return { publicKey: rawPublicKey(pair.publicKey) };
  }

  async destroyLogKey(tenant: TenantId, number: number): Promise<void> {
    this.#reach('destroyLogKey');
    const keys = this.#logKeys.get(tenant);
    if (keys?.has(number + 1) !== true) throw new CustodyUnavailable('a log key without a successor is not destroyed');
    keys.delete(number);
  }

  async createKeyVersion(
    permit: Permit<'CreateKey' | 'CreateKeyVersion'>,
    draft: KeyVersionDraft,
    root: number,
  ): Promise<WrappedKeyVersion> {
    permit.spend({ operation: permit.operation, tenant: draft.tenant, versionId: permit.versionId && draft.versionId });
    this.#reach('createKeyVersion');
    const version = { ...draft, protectionLevel: 'SOFTWARE' as const, ...this.#bear(draft, this.#rootOf(draft.tenant, root)) };
    return { ...version, mac: this.#mac(version) };
  }

  async createImport(
    permit: Permit<'GetImportParameters'>,
    parameters: ImportParameters,
    log: Pick<SignedLog, 'origin' | 'keys'>,
    root: number,
  ): Promise<{ readonly bound: BoundImport; readonly statement: string }> {
    const { tenant, versionId } = parameters;
    permit.spend({ operation: 'GetImportParameters', tenant, versionId });
    this.#reach('createImport');
    const { publicKey, privateKey } = wrappingPair();
    const made = { ...parameters, blob: kwpSealed(this.#rootOf(tenant, root), privateKey) };
    const statement = this.#noteOf(tenant, log, importStatement(parameters, publicKey));
    return { bound: { ...made, mac: this.#importMac(made) }, statement };
  }

  async importKeyMaterial(
    permit: Permit<'ImportKeyMaterial'>,
    bound: BoundImport,
    { encrypted, publicKey, validTo, before, root }: Parameters<KeyImports['importKeyMaterial']>[2],
  ): Promise<WrappedKeyVersion> {
    const { tenant, keyId, versionId, spec, usage, logId, algorithm } = bound;
    permit.spend({ operation: 'ImportKeyMaterial', tenant, versionId });
    this.#reach('importKeyMaterial');
    const wrappingKey = this.#wrappingKeyOf(bound);
    if (bound.expiresAt <= Date.now()) throw new ImportRefused('importExpired');
    if (before !== undefined) {
      this.#mustBeBound(before);
      wellFormed(before.keyId === keyId && before.versionId === versionId);
    }
    const material = materialOf(wrappingKey, algorithm, encrypted);
    const isOfSpec = isPair(spec) ? publicKey !== undefined && isPairOf(material, publicKey) : material.length === KEY_BYTES[spec];
    if (!isOfSpec) throw new ImportRefused('notMaterial');
    const ownPublicKey = isPair(spec) ? publicKey : undefined;
    const check = checkOf(material, ownPublicKey);
    if (before?.imported !== undefined && !check.equals(before.imported.check)) throw new ImportRefused('otherMaterial');
    const imported = { check, validTo, inMemory: before?.imported?.inMemory === true };
    const row = { tenant, keyId, versionId, spec, usage, origin: 'EXTERNAL', protectionLevel: 'SOFTWARE', logId, imported } as const;
    const blob = sealedUnder(this.#rootOf(tenant, root), spec, material);
    const version = { ...row, blob, ...(ownPublicKey && { publicKey: ownPublicKey }) };
    return { ...version, mac: this.#mac(version) };
  }

  async emptyKeyVersion(
    permit: Permit<'DeleteImportedKeyMaterial' | 'RetireKeyVersion'>,
    version: WrappedKeyVersion,
  ): Promise<WrappedKeyVersion> {
    permit.spend({ operation: permit.operation, tenant: version.tenant, versionId: version.versionId });
    this.#reach('emptyKeyVersion');
    this.#mustBeBound(version);
    const emptied = { ...version, blob: new Uint8Array(0) };
    return { ...emptied, mac: this.#mac(emptied) };
  }

  async bindRule(permit: Permit<RuleOperation>, row: Omit<RuleRow, 'tenant'>): Promise<Uint8Array> {
    const bound = { ...row, tenant: spendToBind(permit) };
    this.#reach('bindRule');
    wellFormed(isRule(bound));
    return this.#ruleMac(bound);
  }

  async checkBindings(rows: readonly BoundRow[]): Promise<boolean[]> {
    this.#reach('checkBindings');
    wellFormed(rows.length > 0 && rows.length <= 64 && rows.every((row) => isRule(row) && row.mac.length === 32));
    return rows.map((row) => this.#fits(row.mac, ruleMessage(row)));
  }

  async generateSecretKey(
    permit: Permit<'CreateSecret' | 'PutSecretValue'>,
    version: WrappedKeyVersion,
    of: SecretVersionName,
    claim?: SecretClaim,
  ): Promise<GeneratedDataKey> {
    permit.spend({ operation: permit.operation, tenant: version.tenant, versionId: version.versionId });
    this.#reach('generateSecretKey');
    this.#mustBeClaimed(version.tenant, claim, ({ secretId }) => secretId === of.secretId);
    const plaintext = randomBytes(32);
    return { plaintext: this.#remember(plaintext), ...this.#seal(version, secretKeyAad(version.tenant, version, of), plaintext) };
  }

  async openSecretKey(
    permit: Permit<'GetSecretValue' | 'PutSecretValue'>,
    version: WrappedKeyVersion,
    of: SecretVersionName,
    sealed: Sealed,
    claim?: SecretClaim,
  ): Promise<Uint8Array> {
    permit.spend({ operation: permit.operation, tenant: version.tenant, versionId: version.versionId });
    this.#reach('openSecretKey');
    this.#mustBeClaimed(version.tenant, claim, ({ secretId, rotation }) => [secretId, rotation.connectionSecret].includes(of.secretId));
    return this.#open(version, secretKeyAad(version.tenant, version, of), sealed);
  }

  async bindSecretLabels(permit: Permit<LabelOperation>, secretId: SecretId, digest: Uint8Array, claim?: SecretClaim): Promise<Uint8Array> {
    const bound = { tenant: spendToLabel(permit), kind: 'secret-labels' as const, id: secretId, digest };
    this.#reach('bindSecretLabels');
    this.#mustBeClaimed(bound.tenant, claim, ({ secretId: id }) => id === secretId);
    wellFormed(isRule(bound) && secretId.startsWith('sec_'));
    return this.#ruleMac(bound);
  }

  async encrypt(permit: Permit<'Encrypt' | 'ReEncryptTo'>, version: WrappedKeyVersion, plaintext: Uint8Array): Promise<Sealed> {
    const aad = spend(permit, ['Encrypt', 'ReEncryptTo'], version);
    this.#reach('encrypt');
    requireLength(plaintext.length, 6144);
    return this.#seal(version, aad, plaintext);
  }

  async decrypt(permit: Permit<'Decrypt' | 'ReEncryptFrom'>, version: WrappedKeyVersion, sealed: Sealed): Promise<Uint8Array> {
    const aad = spend(permit, ['Decrypt', 'ReEncryptFrom'], version);
    this.#reach('decrypt');
    return this.#open(version, aad, sealed);
  }

  #open(version: WrappedKeyVersion, aad: Uint8Array, sealed: Sealed): Uint8Array {
    const key = this.#keyOf(version);
    const decipher = createDecipheriv(cipherOf(version), key, sealed.iv);
    decipher.setAAD(aad).setAuthTag(sealed.ciphertext.subarray(-TAG_BYTES));
    const opened = decipher.update(sealed.ciphertext.subarray(0, -TAG_BYTES));
    try {
      decipher.final();
    } catch {
      throw new DecryptFailed('wrong-tag-or-context');
    }
    return this.#remember(opened);
  }

  async generateDataKey(permit: Permit<'GenerateDataKey'>, version: WrappedKeyVersion, length: number): Promise<GeneratedDataKey> {
    const aad = spend(permit, ['GenerateDataKey'], version);
    this.#reach('generateDataKey');
    requireLength(length, 1024);
    const plaintext = randomBytes(length);
    return { plaintext: this.#remember(plaintext), ...this.#seal(version, aad, plaintext) };
  }

  async generateDataKeyWithoutPlaintext(
    permit: Permit<'GenerateDataKeyWithoutPlaintext'>,
    version: WrappedKeyVersion,
    length: number,
  ): Promise<Sealed> {
    const aad = spend(permit, ['GenerateDataKeyWithoutPlaintext'], version);
    this.#reach('generateDataKeyWithoutPlaintext');
    requireLength(length, 1024);
    return this.#seal(version, aad, randomBytes(length));
  }

  async generateMac(permit: Permit<'GenerateMac'>, version: WrappedKeyVersion, message: Uint8Array): Promise<Uint8Array> {
    permit.spend({ operation: 'GenerateMac', tenant: version.tenant, versionId: version.versionId });
    this.#reach('generateMac');
    return this.#macWith(version, message);
  }

  async verifyMac(permit: Permit<'VerifyMac'>, version: WrappedKeyVersion, message: Uint8Array, mac: Uint8Array): Promise<boolean> {
    permit.spend({ operation: 'VerifyMac', tenant: version.tenant, versionId: version.versionId });
    this.#reach('verifyMac');
    const expected = this.#macWith(version, message);
    return mac.length === expected.length && timingSafeEqual(mac, expected);
  }

  async sign(permit: Permit<'Sign'>, version: WrappedKeyVersion, algorithm: SigningAlgorithm, digest: Uint8Array): Promise<Uint8Array> {
    permit.spend({ operation: 'Sign', tenant: version.tenant, versionId: version.versionId });
    this.#reach('sign');
    const spec = signerOf(version, algorithm, digest);
    const secret = this.#secretOf(version);
    if (spec === 'ED25519') return sign(null, digest, privateKeyOf(secret));
    return isCurve(spec) ? derOf(signDigest(spec, secretOf(spec, secret), digest)) : signRsa(privateKeyOf(secret), algorithm, digest);
  }

  async verify(
    permit: Permit<'Verify'>,
    version: WrappedKeyVersion,
    algorithm: SigningAlgorithm,
    digest: Uint8Array,
    signature: Uint8Array,
  ): Promise<boolean> {
    permit.spend({ operation: 'Verify', tenant: version.tenant, versionId: version.versionId });
    this.#reach('verify');
    const spec = signerOf(version, algorithm, digest);
    this.#mustLive(version);
    if (spec === 'ED25519') return verify(null, digest, this.#publicKeyOf(version), signature);
    if (!isCurve(spec))
      return signature.length === FAKE_RSA_BITS[spec] / 8 && verifyRsa(this.#publicKeyOf(version), algorithm, digest, signature);
    const raw = rawOf(signature, FAKE_CURVES[spec].bytes);
    const key = pointOf(spec, Buffer.from(version.publicKey ?? []));
    return raw !== undefined && verifyDigest(spec, key, digest, raw);
  }

  async generateRandom(permit: Permit<'GenerateRandom' | 'GetRandomPassword'>, length: number): Promise<Uint8Array> {
    spendForRandom(permit);
    this.#reach('generateRandom');
    wellFormed(Number.isSafeInteger(length) && length >= 1 && length <= 1024);
    return this.#remember(randomBytes(length));
  }

  async asymmetricEncrypt(
    permit: Permit<'AsymmetricEncrypt'>,
    version: WrappedKeyVersion,
    algorithm: EncryptionAlgorithm,
    plaintext: Uint8Array,
  ): Promise<Uint8Array> {
    permit.spend({ operation: 'AsymmetricEncrypt', tenant: version.tenant, versionId: version.versionId });
    this.#reach('asymmetricEncrypt');
    this.#mustDecrypt(version, algorithm);
    return sealOaep(this.#publicKeyOf(version), algorithm, plaintext);
  }

  async asymmetricDecrypt(
    permit: Permit<'AsymmetricDecrypt'>,
    version: WrappedKeyVersion,
    algorithm: EncryptionAlgorithm,
    ciphertext: Uint8Array,
  ): Promise<Uint8Array> {
    permit.spend({ operation: 'AsymmetricDecrypt', tenant: version.tenant, versionId: version.versionId });
    this.#reach('asymmetricDecrypt');
    this.#mustDecrypt(version, algorithm);
    const key = privateKeyOf(this.#secretOf(version));
    try {
      return this.#remember(openOaep(key, algorithm, ciphertext));
    } catch {
      throw new DecryptFailed('wrong-tag-or-context');
    }
  }

  async publicKey(permit: Permit<'GetPublicKey' | 'DescribePublicKey'>, version: WrappedKeyVersion): Promise<Uint8Array> {
    permit.spend({ operation: permit.operation, tenant: version.tenant, versionId: version.versionId });
    this.#reach('publicKey');
    this.#mustBeBound(version);
    wellFormed(version.publicKey !== undefined);
    return Buffer.from(version.publicKey ?? []);
  }

  async capabilities(): Promise<CustodyCapabilities> {
    return {
      module: 'fake',
      token: { serial: 'fake', firmware: '0.0' },
      protectionLevel: 'SOFTWARE',
      specs: KEY_SPECS.filter((spec) => this.unavailable[spec] === undefined),
      unavailable: this.unavailable,
      algorithms: this.algorithms,
      inMemory: [],
    };
  }

  async ping(): Promise<void> {
    if (this.down) throw new CustodyUnavailable('down');
  }

  async signCheckpoint(tenant: TenantId, log: SignedLog, { size, root, proof }: ClaimedTree): Promise<string> {
    this.#reach('signCheckpoint');
    const body = checkpointBody(log.origin, size, root);
    const note = this.#noteOf(tenant, log, body);
    this.#claim(`${tenant}/${log.logId}`, { size, root: Buffer.from(root).toString('hex'), origin: log.origin }, proof);
    return note;
  }

  async signedSize(tenant: TenantId, logId: string): Promise<bigint> {
    return this.#signed.get(`${tenant}/${logId}`)?.size ?? 0n;
  }

  async makeTombstone(version: WrappedKeyVersion): Promise<EndedVersion & { readonly tombstoneMac: Uint8Array }> {
    this.#reach('makeTombstone');
    const isBound = this.#fits(version.mac, bindingMessage(version));
    const mac = isBound ? this.#mac({ ...version, blob: new Uint8Array(0) }) : version.mac;
    return { versionId: version.versionId, mac, tombstoneMac: this.#tombstoneMac(version) };
  }

  async keepTombstone(tombstone: Tombstone): Promise<void> {
    this.#reach('keepTombstone');
    if (!this.#fits(tombstone.mac, tombstoneMessage(tombstone))) throw new KeyBindingBroken('of a tombstone');
    if (!this.tombstones.has(tombstone.keyId))
      this.tombstones.set(tombstone.keyId, { ...tombstone, root: Math.max(...this.rootsOf(tombstone.tenant)) });
  }

  async kept(tenant: TenantId, { logId, root, afterKey }: Parameters<CustodyMemory['kept']>[1]): Promise<KeptByCustody> {
    const destroyed = [...this.tombstones.values()].flatMap((kept) =>
      kept.tenant === tenant && kept.keyId > afterKey ? [kept.keyId] : [],
    );
    const signedSize = await this.signedSize(tenant, logId);
    const known = this.#signed.get(`${tenant}/${logId}`);
    const signedRoot = known && Buffer.from(known.root, 'hex');
    return { signedSize, signedRoot, hasRoot: this.rootsOf(tenant).includes(root), destroyed: destroyed.sort().slice(0, 100) };
  }

  #mustBeClaimed(tenant: TenantId, claim: SecretClaim | undefined, isAbout: (claim: SecretClaim) => boolean): void {
    if (claim !== undefined && !(isAbout(claim) && this.#fits(claim.mac, ruleMessage(secretRow(tenant, claim)))))
      throw new KeyBindingBroken('of a rotation');
  }

  async rotateKey(permit: Permit<'CreateKeyVersion'>, { primary, ...claim }: RotationOrder): Promise<RotatedKey> {
    const { tenant, keyId, spec, usage, origin, logId } = primary;
    permit.spend({ operation: 'CreateKeyVersion', tenant, versionId: claim.versionId });
    this.#reach('rotateKey');
    mustBeWanted(claim, primary);
    if (!claimedRows(tenant, claim).every((row) => this.#fits(row.mac, ruleMessage(row)))) throw new KeyBindingBroken('of a rotation');
    this.#mustLive(primary);
    const draft = { tenant, keyId, versionId: claim.versionId, spec, usage, origin, logId };
    const version = { ...draft, protectionLevel: 'SOFTWARE' as const, ...this.#bear(draft, this.#rootOf(tenant, claim.root)) };
    return { version: { ...version, mac: this.#mac(version) }, namesMac: this.#ruleMac(namesAfter(tenant, claim)) };
  }

  async moveItem(permit: Permit<'ReEncryptTo'>, { from, to, sealed, ...claim }: MoveOrder): Promise<Sealed> {
    const { tenant, versionId } = to;
    permit.spend({ operation: 'ReEncryptTo', tenant, versionId });
    this.#reach('moveItem');
    mustBeOrdered(claim, from, to);
    const row = boundProject(tenant, claim);
    if (!timingSafeEqual(row.mac, this.#ruleMac(row))) throw new KeyBindingBroken('of a re-wrap');
    const aad = (version: WrappedKeyVersion) => boundUnder(claim.kind, version, permit.aad ?? new Uint8Array(0));
    const opening = new Permit<'Decrypt'>({ operation: 'Decrypt', tenant, versionId: from.versionId, aad: aad(from) });
    const plaintext = await this.decrypt(opening, from, sealed);
    return await this.encrypt(new Permit<'Encrypt'>({ operation: 'Encrypt', tenant, versionId, aad: aad(to) }), to, plaintext);
  }

  async rewrap(version: WrappedKeyVersion, root: number): Promise<WrappedKeyVersion> {
    this.#reach('rewrap');
    this.#mustLive(version);
    const rewrapped = { ...version, blob: sealedUnder(this.#rootOf(version.tenant, root), version.spec, this.#unwrapped(version)) };
    return { ...rewrapped, mac: this.#mac(rewrapped) };
  }

  async rewrapImport(bound: BoundImport, root: number): Promise<BoundImport> {
    this.#reach('rewrapImport');
    const wrappingKey = this.#wrappingKeyOf(bound);
    const anew = { ...bound, blob: kwpSealed(this.#rootOf(bound.tenant, root), wrappingKey) };
    return { ...anew, mac: this.#importMac(anew) };
  }

  async destroyOlderRoots(tenant: TenantId, root: number): Promise<void> {
    this.#reach('destroyOlderRoots');
    this.#rootOf(tenant, root);
    const roots = this.#roots.get(tenant)!;
    for (const number of [...roots.keys()]) if (number < root) roots.delete(number);
  }

  async createBindingKey(permit: Permit<'RotateBindingKey'>, number: number): Promise<void> {
    permit.spend({ operation: 'RotateBindingKey', tenant: permit.tenant, versionId: undefined });
    this.#reach('createBindingKey');
    wellFormed(this.#bindingKeys.has(number) || this.#bindingKeys.has(number - 1));
    if (!this.#bindingKeys.has(number)) this.#bindingKeys.set(number, createSecretKey(randomBytes(32)));
  }

  async rebind(row: Rebindable): Promise<Uint8Array | undefined> {
    this.#reach('rebind');
    const message = messageOf(row);
    return this.#fits(row.row.mac, message) ? this.#newestMac(message) : undefined;
  }

  async destroyOlderBindingKeys(number: number, mac: Uint8Array): Promise<void> {
    this.#reach('destroyOlderBindingKeys');
    const isWanted = number === this.bindingKeys.at(-1) && timingSafeEqual(mac, this.#ruleMac(bindingKeyRow(number)));
    if (!isWanted) throw new KeyBindingBroken('of the end of binding keys');
    for (const older of this.bindingKeys.slice(0, -1)) this.#bindingKeys.delete(older);
  }

  /** Numbers of the binding keys, the oldest first. */
  get bindingKeys(): number[] {
    return [...this.#bindingKeys.keys()];
  }

  /** Numbers of a tenant's roots. */
  rootsOf(tenant: TenantId): number[] {
    return [...(this.#roots.get(tenant)?.keys() ?? [])];
  }

  async shreddingReceipt(tenant: TenantId, { origin, keyId, seq, logKey, rootEndedAt }: ReceiptOrder): Promise<string> {
    this.#reach('shreddingReceipt');
    const kept = this.tombstones.get(keyId);
    if (kept === undefined) throw new CustodyUnavailable('no tombstone');
    const isRootGone = Math.min(...this.rootsOf(tenant)) > kept.root;
    const body = receiptBody(
      { ...kept, seq, rootDestroyedAt: isRootGone ? rootEndedAt : undefined },
      { wal: undefined, database: undefined, token: undefined },
    );
    return this.#noteOf(tenant, { origin, keys: [logKey] }, body);
  }

  /** @throws CustodyUnavailable without one of the log's keys */
  #noteOf(tenant: TenantId, { origin, keys }: Pick<SignedLog, 'origin' | 'keys'>, body: string): string {
    const signatures = keys.map((number) => {
      const pair = this.#logKeys.get(tenant)?.get(number);
      if (pair === undefined) throw new CustodyUnavailable('the tenant has no such log key on this token');
      return { publicKey: rawPublicKey(pair.publicKey), signature: sign(null, Buffer.from(body), pair.privateKey) };
    });
    return signedNote(origin, body, signatures);
  }

  async completionCertificate(permit: Permit<'GetCompletionCertificate'>, { origin, logKey, ...order }: CertificateOrder): Promise<string> {
    permit.spend({ operation: 'GetCompletionCertificate', tenant: order.tenant, versionId: undefined });
    this.#reach('completionCertificate');
    return this.#note(order.tenant, logKey, origin, certificateBody(order));
  }

  #note(tenant: TenantId, logKey: number, origin: string, body: string): string {
    const pair = this.#logKeys.get(tenant)?.get(logKey);
    if (pair === undefined) throw new CustodyUnavailable('no log key');
    return signedNote(origin, body, [
      { publicKey: rawPublicKey(pair.publicKey), signature: sign(null, Buffer.from(body), pair.privateKey) },
    ]);
  }

  #claim(name: string, next: { size: bigint; root: string; origin: string }, proof: readonly Uint8Array[]): void {
    const known = this.#signed.get(name);
    const forks =
      known && (next.size < known.size || next.origin !== known.origin || (next.size === known.size && next.root !== known.root));
    const taken = known === undefined && this.#signed.values().some(({ origin }) => origin === next.origin);
    const [from, to] = [known, next].map((tree) => ({ size: Number(tree?.size ?? 0), root: Buffer.from(tree?.root ?? '', 'hex') }));
    const grows =
      known === undefined || verifyConsistency({ fromSize: from!.size, fromRoot: from!.root, toSize: to!.size, toRoot: to!.root, proof });
    if (forks || taken || !grows) throw new CheckpointRefused('a fork');
    this.#signed.set(name, next);
  }

  #reach(call: string): void {
    if (this.down) throw new CustodyUnavailable('down');
    this.calls.push(call);
  }

  #remember<Bytes extends Uint8Array>(plaintext: Bytes): Bytes {
    this.lastPlaintext = plaintext;
    return plaintext;
  }

  #macWith(version: WrappedKeyVersion, message: Uint8Array): Buffer {
    const key = this.#keyOf(version);
    wellFormed(version.usage === 'GENERATE_VERIFY_MAC' && message.length > 0 && message.length <= 4096);
    return createHmac(version.spec === 'HMAC_SM3' ? 'sm3' : `sha${version.spec.slice(-3)}`, key)
      .update(message)
      .digest();
  }

  #seal(version: WrappedKeyVersion, aad: Uint8Array, plaintext: Uint8Array): Sealed {
    const iv = randomBytes(12);
    const key = this.#keyOf(version);
    const cipher = createCipheriv(cipherOf(version), key, iv).setAAD(aad);
    return { iv, ciphertext: Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]) };
  }

  #keyOf(version: WrappedKeyVersion): KeyObject {
    this.#mustLive(version);
    return createSecretKey(this.#unwrapped(version));
  }

  #mustDecrypt({ spec, usage }: WrappedKeyVersion, algorithm: EncryptionAlgorithm): void {
    wellFormed(usage === 'ENCRYPT_DECRYPT' && ENCRYPTS_WITH[spec]?.includes(algorithm) === true);
    if (this.algorithms[algorithm] !== undefined) throw new NotCapable();
  }

  /** A private half, as it was wrapped. */
  #secretOf(version: WrappedKeyVersion): Buffer {
    this.#mustLive(version);
    return this.#unwrapped(version);
  }

  #publicKeyOf(version: WrappedKeyVersion): KeyObject {
    this.#mustLive(version);
    return createPublicKey({ key: Buffer.from(version.publicKey ?? []), format: 'der', type: 'spki' });
  }

  #mustBeBound(version: WrappedKeyVersion): void {
    if (!this.#fits(version.mac, bindingMessage(version))) throw new KeyBindingBroken(version.versionId);
  }

  #mustLive(version: WrappedKeyVersion): void {
    this.#mustBeBound(version);
    if (version.blob.length === 0 || this.tombstones.has(version.keyId)) throw new KeyDestroyed();
  }

  #bear({ spec, origin }: KeyVersionDraft, root: KeyObject): Pick<WrappedKeyVersion, 'blob' | 'publicKey'> {
    if (origin === 'EXTERNAL') return { blob: new Uint8Array(0) };
    if (!isPair(spec)) return { blob: sealedUnder(root, spec, randomBytes(KEY_BYTES[spec])) };
    const { secret, publicKey } = aPairOf(spec);
    return { blob: sealedUnder(root, spec, secret), publicKey };
  }

  #ensureRoot(tenant: string, root: number): void {
    const roots = this.#roots.get(tenant) ?? new Map<number, KeyObject>();
    if (!roots.has(root)) roots.set(root, createSecretKey(randomBytes(32)));
    this.#roots.set(tenant, roots);
  }

  #rootOf(tenant: string, root: number): KeyObject {
    const found = this.#roots.get(tenant)?.get(root);
    if (found === undefined) throw new CustodyUnavailable('the tenant has no such root on this token');
    return found;
  }

  /** By whichever root fits. */
  #unwrapped({ tenant, spec, blob }: Pick<WrappedKeyVersion, 'tenant' | 'spec' | 'blob'>): Buffer {
    for (const root of this.#roots.get(tenant)?.values() ?? []) {
      try {
        if (isPair(spec)) return kwpOpened(root, blob);
        const unwrap = createDecipheriv('id-aes256-wrap', root, KW_IV);
        return Buffer.concat([unwrap.update(blob), unwrap.final()]);
      } catch {
        // Another root's.
      }
    }
    throw new CustodyUnavailable('no root fits');
  }

  #wrappingKeyOf(bound: BoundImport): Buffer {
    if (!this.#fits(bound.mac, importMessage(bound))) throw new KeyBindingBroken(`of an import for ${bound.keyId}`);
    return this.#unwrapped({ ...bound, spec: 'RSA_4096' });
  }

  /** Under the newest binding key. */
  #newestMac(message: Uint8Array): Buffer {
    return macBy([...this.#bindingKeys.values()].at(-1)!, message);
  }

  /** Under any of them. */
  #fits(mac: Uint8Array, message: Uint8Array): boolean {
    return mac.length === 32 && this.#bindingKeys.values().some((key) => timingSafeEqual(mac, macBy(key, message)));
  }

  #importMac(bound: Omit<BoundImport, 'mac'>): Buffer {
    return this.#newestMac(importMessage(bound));
  }

  #tombstoneMac(of: Pick<Tombstone, 'tenant' | 'keyId'>): Buffer {
    return this.#newestMac(tombstoneMessage(of));
  }

  #ruleMac(row: RuleRow): Buffer {
    return this.#newestMac(ruleMessage(row));
  }

  #mac(version: Omit<WrappedKeyVersion, 'mac'>): Buffer {
    return this.#newestMac(bindingMessage(version));
  }
}

const macBy = (key: KeyObject, message: Uint8Array): Buffer => createHmac('sha256', key).update(message).digest();

/** AES-KW (RFC 3394), or AES-KWP for what is no whole number of blocks. */
function sealedUnder(root: KeyObject, spec: KeySpec, bytes: Uint8Array): Buffer {
  if (isPair(spec)) return kwpSealed(root, bytes);
  const wrap = createCipheriv('id-aes256-wrap', root, KW_IV);
  return Buffer.concat([wrap.update(bytes), wrap.final()]);
}

type FakePair = FakeCurve | FakeRsa | 'ED25519';
const isPair = (spec: KeySpec): spec is FakePair => isCurve(spec) || isRsa(spec) || spec === 'ED25519';
const isCurve = (spec: KeySpec): spec is FakeCurve => Object.hasOwn(FAKE_CURVES, spec);
const isRsa = (spec: KeySpec): spec is FakeRsa => Object.hasOwn(FAKE_RSA_BITS, spec);

function signerOf({ spec, usage }: WrappedKeyVersion, algorithm: SigningAlgorithm, digest: Uint8Array): FakePair {
  const [least, most] = signsDigests(algorithm) ? [HASHED_BY[algorithm].bytes, HASHED_BY[algorithm].bytes] : [1, MAX_SIGNED_MESSAGE_BYTES];
  wellFormed(usage === 'SIGN_VERIFY' && digest.length >= least && digest.length <= most && SIGNS_WITH[spec]?.includes(algorithm) === true);
  return spec as FakePair;
}

function cipherOf({ spec, usage }: WrappedKeyVersion) {
  wellFormed(usage === 'ENCRYPT_DECRYPT' && Object.hasOwn(CIPHERS, spec));
  return CIPHERS[spec as keyof typeof CIPHERS] as CipherGCMTypes;
}

/** The private half as PKCS#8; of SM2, whose PKCS#8 node:crypto makes and does not read, as its number. */
function aPair(spec: FakeCurve): { readonly secret: Buffer; readonly publicKey: Buffer } {
  if (spec === 'EC_SM2') {
    const pair = createECDH('SM2');
    const publicKey = Buffer.concat([SM2_SPKI, pair.generateKeys()]);
    return { secret: Buffer.concat([Buffer.alloc(32), pair.getPrivateKey()]).subarray(-32), publicKey };
  }
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: CURVE_NAMES[spec] });
  return { secret: privateKey.export({ format: 'der', type: 'pkcs8' }), publicKey: publicKey.export({ format: 'der', type: 'spki' }) };
}

function secretOf(spec: FakeCurve, secret: Buffer): webcrypto.JsonWebKey {
  if (spec === 'EC_SM2') return { d: secret.toString('base64url') };
  return privateKeyOf(secret).export({ format: 'jwk' });
}

const privateKeyOf = (key: Buffer): KeyObject => createPrivateKey({ key, format: 'der', type: 'pkcs8' });

function pointOf(spec: FakeCurve, spki: Buffer): webcrypto.JsonWebKey {
  if (spec === 'EC_SM2') return { x: spki.toString('base64url', 27, 59), y: spki.toString('base64url', 59, 91) };
  return createPublicKey({ key: spki, format: 'der', type: 'spki' }).export({ format: 'jwk' });
}

function aPairOf(spec: FakePair): { readonly secret: Buffer; readonly publicKey: Buffer } {
  if (isCurve(spec)) return aPair(spec);
  const { publicKey, privateKey } = isRsa(spec)
    ? generateKeyPairSync('rsa', { modulusLength: FAKE_RSA_BITS[spec] })
    : generateKeyPairSync('ed25519');
  return { secret: privateKey.export({ format: 'der', type: 'pkcs8' }), publicKey: publicKey.export({ format: 'der', type: 'spki' }) };
}

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

function requireLength(length: number, max: number): void {
  if (!Number.isSafeInteger(length) || length < 1 || length > max) throw new RangeError(`1 to ${max} bytes.`);
}

const rawPublicKey = (key: KeyObject): Uint8Array => key.export({ type: 'spki', format: 'der' }).subarray(-32);

const isRule = ({ tenant, kind, id, digest }: RuleRow): boolean =>
  tenantId.safeParse(tenant).success && BOUND_KINDS.includes(kind) && /^[!-~]{1,128}$/.test(id) && digest.length === 32;

/** What the custodian could not read is a bug of the caller's. */
function wellFormed(is: boolean): void {
  if (!is) throw new KeywardError('internal', '', { reason: 'custody: the custodian could not read the request' });
}
