import type {
  BoundImport,
  BoundRow,
  CustodyCapabilities,
  EndedVersion,
  ImportParameters,
  KeyVersionDraft,
  LogAlgorithm,
  LogKey,
  ProtectionLevel,
  Rebindable,
  RotatedKey,
  RuleRow,
  Sealed,
  Tombstone,
  WrappedKeyVersion,
} from '#core';
import type { TenantId } from '#contract';
import { KeyBindingBroken } from '#core';
import type { PresentedVersion } from '../presented-version.js';
import { claimedRows, mustBeWanted, namesAfter, type RotationClaim } from '../rotation-order.js';
import { BindingKey } from './binding-key.js';
import { Canary } from './canary.js';
import { ImportRefused } from '../import-refused.js';
import { importStatement } from '../import-statement.js';
import { boundProject, boundUnder, type MoveClaim, mustBeOrdered } from '../move-order.js';
import { NotCapable } from '../not-capable.js';
import { type IncomingMaterial, KeyImportsInHsm } from './key-imports.js';
import { KeyUses } from './key-uses.js';
import { KeyVersions } from './key-versions.js';
import { LogKeys } from './log-keys.js';
import type { OpenToken } from './open-token.js';
import { RandomPool } from './random-pool.js';
import { RsaBirths } from './rsa-births.js';
import { selfTest } from './self-test.js';
import { SoftwareKeys } from './software-keys.js';
import { TenantRoots } from './tenant-roots.js';
import type { Tombstones } from './tombstones.js';
import { tryAllSpecs, type TriedSpecs } from './tried-specs.js';

export interface CustodyLimits {
  /** What new log keys are; default: what the module can. */
  readonly logKeys?: LogAlgorithm | undefined;
  /** Unwrapped keys held at once. */
  readonly cachedKeys: number;
  /** The longest that an unwrapped key is used without checking its row again. */
  readonly cachedForMs: number;
  /** Whether keys may be used in this process's memory at all. Default: where the token is software itself. */
  readonly softwareKeys: 'allowed' | 'refused' | 'unless-hardware';
  /** Whether the ephemeral key of an import may pass this process's memory, where the module cannot unwrap it inside. Default: no. */
  readonly importInMemory?: 'refused' | 'ephemeral';
}

/** One item to be moved, whose versions nothing is believed of before their MACs were checked. */
interface PresentedMove extends MoveClaim {
  readonly from: PresentedVersion;
  readonly to: PresentedVersion;
  /** As bound, without a header. */
  readonly context: Buffer;
  readonly sealed: { readonly iv: Buffer; readonly ciphertext: Buffer };
}

/** Custody on one open token: synchronous, and gone with its epoch. */
export class TokenCustody {
  readonly uses: KeyUses;
  readonly #roots: TenantRoots;
  readonly #binding: BindingKey;
  readonly #logKeys: LogKeys;
  readonly #versions: KeyVersions;
  readonly #imports: KeyImportsInHsm;
  readonly #random: RandomPool;
  readonly #software: SoftwareKeys;
  readonly #canary: Canary;
  #tried: TriedSpecs = { specs: [], unavailable: {}, algorithms: {}, inMemory: [] };
  #broken: readonly string[] = [];

  constructor(
    private readonly token: OpenToken,
    private readonly protectionLevel: ProtectionLevel,
    tombstones: Pick<Tombstones, 'of'>,
    private readonly limits: CustodyLimits,
  ) {
    this.#roots = new TenantRoots(token);
    this.#logKeys = new LogKeys(token, limits.logKeys);
    this.#binding = new BindingKey(token);
    this.#random = new RandomPool(token);
    this.#software = new SoftwareKeys(token, this.#random, mayBeInSoftware(limits.softwareKeys, protectionLevel));
    const births = new RsaBirths();
    this.#versions = new KeyVersions(token, this.#roots, this.#binding, this.#software, births, protectionLevel, tombstones, limits);
    this.#imports = new KeyImportsInHsm(token, this.#roots, this.#binding, births, protectionLevel);
    this.#canary = new Canary(token);
    this.uses = new KeyUses(token, this.#versions, this.#random, this.#canary, () => this.#tried);
  }

  /** Tries what the module must refuse, and what it can do. @throws SelfTestFailed, unless tolerant */
  async examine(how: { readonly tolerant: boolean }): Promise<void> {
    this.#broken = selfTest(this.token, how);
    this.#tried = await tryAllSpecs(this.token, this.#software, this.limits.importInMemory === 'ephemeral');
  }

  createTenantRoot(tenant: string, root: number): void {
    this.#roots.ensure(tenant, root);
  }

  destroyOlderRoots(tenant: string, root: number): void {
    this.#roots.destroyOlder(tenant, root);
  }

  rewrapImport(bound: BoundImport, root: number): BoundImport {
    return this.#imports.rewrapped(bound, root);
  }

  createBindingKey(number: number): void {
    this.#binding.ensure(number);
  }

  rebind(row: Rebindable): Buffer | undefined {
    return this.#binding.rebound(row);
  }

  /** @throws KeyBindingBroken */
  destroyOlderBindingKeys(number: number, mac: Uint8Array): void {
    this.#binding.retireOlder(number, mac);
  }

  hasRoot(tenant: string, root: number): boolean {
    return this.#roots.has(tenant, root);
  }

  oldestRoot(tenant: string): number {
    return this.#roots.oldest(tenant);
  }

  rewrap(version: PresentedVersion, root: number): WrappedKeyVersion {
    return this.#versions.rewrapped(version, root);
  }

  createLogKey(tenant: string, number: number): LogKey {
    return { publicKey: Uint8Array.from(this.#logKeys.ensure(tenant, number)) };
  }

  destroyLogKey(tenant: string, number: number): void {
    this.#logKeys.destroy(tenant, number);
  }

  /** An RSA key takes seconds. @throws CustodyBusy */
  async createKeyVersion(draft: KeyVersionDraft, root: number): Promise<WrappedKeyVersion> {
    const refusal = this.#tried.unavailable[draft.spec];
    if (refusal !== undefined) throw new RangeError(`The HSM cannot do it: ${refusal}`);
    return this.#versions.create(draft, root);
  }

  /** Looks itself whether the tenant's admins want it. @throws KeyBindingBroken, KeyDestroyed */
  async rotateKey(tenant: TenantId, presented: PresentedVersion, claim: RotationClaim): Promise<RotatedKey> {
    mustBeWanted(claim, presented.row());
    if (!claimedRows(tenant, claim).every((row) => this.#binding.isBound(row)))
      throw new KeyBindingBroken(`of a rotation of ${claim.key.keyId}`);
    const version = await this.#versions.createNext(presented, claim.versionId, claim.root);
    return { version, namesMac: this.#binding.ruleMac(namesAfter(tenant, claim)) };
  }

  /** Opened and sealed again in here: the worker sees neither. Looks itself whether an admin wants it. @throws KeyBindingBroken, DecryptFailed, KeyDestroyed */
  moveItem(tenant: TenantId, { from, to, context, sealed, ...claim }: PresentedMove): Sealed {
    mustBeOrdered(claim, from.row(), to.row());
    if (!this.#binding.isBound(boundProject(tenant, claim))) throw new KeyBindingBroken(`of a re-wrap of ${claim.rewrap.keyId}`);
    const plaintext = this.uses.decrypt(from, boundUnder(claim.kind, from.row(), context), sealed);
    try {
      return this.uses.encrypt(to, boundUnder(claim.kind, to.row(), context), plaintext);
    } finally {
      plaintext.fill(0);
    }
  }

  /** A wrapping key takes seconds. `body` is what the tenant's log key signs. @throws CustodyBusy */
  async createImport(parameters: ImportParameters, root: number): Promise<{ readonly bound: BoundImport; readonly body: string }> {
    const { bound, publicKey } = await this.#imports.create(parameters, root);
    return { bound, body: importStatement(parameters, publicKey) };
  }

  /** @throws ImportRefused, KeyBindingBroken, NotCapable */
  importKeyMaterial(bound: BoundImport, material: IncomingMaterial): WrappedKeyVersion {
    if (this.#tried.algorithms[bound.algorithm] !== undefined) throw new NotCapable();
    try {
      return this.#imports.take(bound, material, Date.now(), this.#tried.inMemory.includes(bound.algorithm));
    } catch (error) {
      // What the HSM could not unwrap is no key, unless the HSM is not well.
      if (error instanceof ImportRefused) this.#canary.mustBeWell();
      throw error;
    }
  }

  /** The row without its material; handles of the key are gone. @throws KeyBindingBroken */
  emptyKeyVersion(presented: PresentedVersion): WrappedKeyVersion {
    const emptied = this.#imports.empty(presented.row());
    this.#versions.evict(emptied.keyId);
    return emptied;
  }

  /** The MACs of what stays of a version and of its key. */
  makeTombstone(presented: PresentedVersion): EndedVersion & { readonly tombstoneMac: Uint8Array } {
    const version = presented.row();
    const { versionId } = version;
    return { versionId, mac: this.#binding.macOfEnded(version), tombstoneMac: this.#binding.tombstoneMac(version) };
  }

  /** Evicts the key; answers the number of the tenant's newest root. @throws KeyBindingBroken for a forged tombstone */
  bury(tombstone: Omit<Tombstone, 'versionIds' | 'destroyedAt'>): number {
    this.#binding.verifyTombstone(tombstone);
    this.#versions.evict(tombstone.keyId);
    return this.#roots.newest(tombstone.tenant);
  }

  /** After the token is lost: nothing that was made on it stays in memory. */
  release(): void {
    this.#versions.release();
  }

  bindRule(row: RuleRow): Uint8Array {
    return this.#binding.ruleMac(row);
  }

  isBound(row: BoundRow): boolean {
    return this.#binding.isBound(row);
  }

  publicKey(version: PresentedVersion): Buffer {
    const { publicKey } = this.#versions.checked(version);
    if (publicKey === undefined) throw new RangeError('The key is no pair.');
    return Buffer.from(publicKey);
  }

  capabilities(): CustodyCapabilities {
    const unsafe = this.#broken.length === 0 ? '' : ` (for tests only: it ${this.#broken.join(', and ')})`;
    const { cryptoki, slot } = this.token;
    return {
      module: `${cryptoki.describe()}${unsafe}`,
      token: cryptoki.identity(slot),
      protectionLevel: this.protectionLevel,
      ...this.#tried,
    };
  }

  /** @throws CryptokiError or CustodyUnavailable when the HSM does not do its work. */
  heartbeat(): void {
    this.#canary.sing();
  }

  /** Public halves of the keys that sign the tenant's log. @throws CustodyUnavailable when one is missing */
  logKeys(tenant: string, numbers: readonly number[]): Uint8Array[] {
    return numbers.map((number) => this.#logKeys.publicKeyOf(tenant, number));
  }

  /** Over a checkpoint's body, by each of them. */
  signLog(tenant: string, numbers: readonly number[], body: string): Uint8Array[] {
    return numbers.map((number) => this.#logKeys.sign(tenant, number, body));
  }
}

/**
 * Where the token is software too, a key in this process is no weaker in kind, and says what it is; where customers were promised an HSM,
 * the operator has to want it.
 */
const mayBeInSoftware = (setting: CustodyLimits['softwareKeys'], level: ProtectionLevel): boolean =>
  setting === 'allowed' || (setting === 'unless-hardware' && level !== 'HSM');
