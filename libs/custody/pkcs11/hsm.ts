import type { CompletedRewrap } from '#contract';
import { CustodyUnavailable } from '#core';
import type { BoundImport, ClaimedTree, CustodyCapabilities, ImportParameters, ReceiptOrder, SignedLog, Tombstone } from '#core';
import { checkpointBody, signedNote } from '../checkpoint-note.js';
import { Cryptoki } from './cryptoki.js';
import { CryptokiError } from './cryptoki-error.js';
import { OpenToken } from './open-token.js';
import { PinRefused, readPin } from './pin.js';
import { SelfTestFailed } from './self-test.js';
import type { SignedCheckpoints } from './signed-checkpoints.js';
import { certificateBody } from '../completion-certificate.js';
import { type BackupDays, receiptBody } from '../shredding-receipt.js';
import { sweep } from './sweeper.js';
import type { SweepReport } from './sweeper.js';
import { TokenCustody } from './token-custody.js';
import type { CustodyLimits } from './token-custody.js';
import type { Tombstones } from './tombstones.js';

export interface HsmOptions extends CustodyLimits {
  /** Absolute path of the vendor's PKCS#11 module. */
  readonly module: string;
  readonly tokenLabel: string;
  readonly pinFile: string;
  /** The operator says that the module is hardware; believed only if the slot says so too. */
  readonly declaredHardware: boolean;
  /** Take a module that does not keep what PKCS#11 promises: for tests of what else it does. */
  readonly tolerant: boolean;
  /** What the operator says of copies; told in receipts. */
  readonly backupDays: BackupDays;
}

/** The custodian's own files. */
export interface KeptFiles {
  readonly signed: SignedCheckpoints;
  readonly tombstones: Tombstones;
}

/** What the owner of an Hsm hears of; no event carries a secret. */
export interface HsmEvents {
  connected(
    report: SweepReport & Pick<CustodyCapabilities, 'module' | 'protectionLevel' | 'unavailable'> & { readonly epoch: number },
  ): void;
  lost(cause: Error): void;
  /** The PIN was refused, or the module is unsafe: end the process, for good. */
  fatal(cause: Error): void;
  /** A call on another thread does not come back: nothing ends it but the end of the process. */
  stuck(): void;
}

const HEARTBEAT_MS = 1000;
/** As core/ports/restores.ts says. */
const DESTROYED_AT_ONCE = 100;
const MAX_BACK_OFF_MS = 30_000;
/** The longest that a key may be in the making: some devices take half a minute. */
const STUCK_MS = 60_000;

/** The HSM over its ups and downs: rejects while it is gone, and makes everything anew when it is back. */
export class Hsm {
  readonly #cryptoki: Cryptoki;
  readonly #pin: string;
  #initialised = false;
  #open: { readonly custody: TokenCustody; readonly token: OpenToken } | undefined;
  #epoch = 0;
  #backOffMs = HEARTBEAT_MS;
  #timer: NodeJS.Timeout | undefined;
  #destroyedBefore = 0;
  /** What other threads do in the module: C_Finalize under a running call is undefined (PKCS#11 v3.0 §5.4). */
  readonly #underWay = new Set<Promise<unknown>>();

  /** @throws PinRefused when the PIN file is unusable, Error when the module cannot be loaded. */
  constructor(
    private readonly options: HsmOptions,
    private readonly kept: KeptFiles,
    private readonly events: HsmEvents,
  ) {
    this.#pin = readPin(options.pinFile);
    this.#cryptoki = new Cryptoki(options.module);
  }

  /** Connects, and from then on looks every second whether the HSM still works. */
  async start(): Promise<void> {
    await this.#beat();
  }

  /** Resolves when nothing runs in the module any more. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#drop();
  }

  /** Session objects destroyed since the process began. */
  get destroyed(): number {
    return this.#destroyedBefore + (this.#open?.token.destroyed ?? 0);
  }

  /**
   * Does something on the token. @throws CustodyUnavailable when it is gone or fails; what fails is then looked at at once,
   * because a single call's error code does not tell a lost HSM from a bad argument.
   */
  use<T>(work: (custody: TokenCustody) => T): T {
    if (this.#open === undefined) throw new CustodyUnavailable('the HSM is not connected');
    try {
      return work(this.#open.custody);
    } catch (error) {
      throw this.#judged(error, this.#open.custody);
    }
  }

  /** Does something that takes seconds on another thread. Errors as those of `use`. */
  async useLater<T>(work: (custody: TokenCustody) => Promise<T>): Promise<T> {
    const open = this.#open;
    if (open === undefined) throw new CustodyUnavailable('the HSM is not connected');
    try {
      return await this.#until(work(open.custody));
    } catch (error) {
      throw this.#judged(error, open.custody);
    }
  }

  #judged(error: unknown, custody: TokenCustody): unknown {
    if (!(error instanceof CryptokiError)) return error;
    if (this.#open?.custody === custody) this.#beatSoon(0);
    return new CustodyUnavailable(error.message, error);
  }

  /** Waited for before the module is finalised. */
  async #until<T>(work: Promise<T>): Promise<T> {
    // Keys are made one after the other: it is no hang when those before it take their time.
    const tooLong = setTimeout(() => this.events.stuck(), STUCK_MS * (this.#underWay.size + 1));
    this.#underWay.add(work);
    try {
      return await work;
    } finally {
      clearTimeout(tooLong);
      this.#underWay.delete(work);
    }
  }

  /**
   * What the last heartbeat found, without another one: everybody's readiness probe ends here, and a canary a call would let
   * whoever may probe keep the HSM busy. @throws CustodyUnavailable
   */
  ping(): void {
    this.use(() => undefined);
  }

  /**
   * Composes, claims on disk, then signs: in this order, so that no signature leaves that the next start would not know. A log
   * without a key claims nothing.
   */
  async signCheckpoint(tenant: string, log: SignedLog, tree: ClaimedTree): Promise<string> {
    const body = checkpointBody(log.origin, tree.size, tree.root);
    const publicKeys = this.use((custody) => custody.logKeys(tenant, log.keys));
    await this.kept.signed.claim(`${tenant}/${log.logId}`, log.origin, tree);
    const signatures = this.use((custody) => custody.signLog(tenant, log.keys, body));
    return signedNote(
      log.origin,
      body,
      publicKeys.map((publicKey, at) => ({ publicKey, signature: signatures[at]! })),
    );
  }

  /** Records under the last checkpoint that was signed for this log. */
  signedSize(tenant: string, logId: string): bigint {
    return this.kept.signed.sizeOf(`${tenant}/${logId}`);
  }

  /** Evicts a destroyed key at once, and for good once this resolves. @throws KeyBindingBroken for a forged tombstone */
  async keepTombstone(tombstone: Tombstone): Promise<void> {
    const root = this.use((custody) => custody.bury(tombstone));
    await this.kept.tombstones.keep(tombstone, root);
  }

  /** What a restored database may not know; without the HSM nobody can say that a root is missing. */
  remembered(tenant: string, { logId, root, afterKey }: { readonly logId: string; readonly root: number; readonly afterKey: string }) {
    return {
      signedSize: this.signedSize(tenant, logId),
      signedRoot: this.kept.signed.rootOf(`${tenant}/${logId}`),
      hasRoot: this.#open === undefined || this.use((custody) => custody.hasRoot(tenant, root)),
      destroyed: this.kept.tombstones.destroyedAfter(tenant, afterKey, DESTROYED_AT_ONCE),
    };
  }

  /** Of a key whose tombstone is kept here. @throws RangeError for any other, CustodyUnavailable */
  shreddingReceipt(
    tenant: string,
    { origin, keyId, seq, logKey, rootEndedAt }: Omit<ReceiptOrder, 'keyId'> & { readonly keyId: string },
  ): string {
    const kept = this.kept.tombstones.of(tenant, keyId);
    if (kept === undefined) throw new RangeError('The key was not destroyed.');
    // Not because somebody says so: the token itself has no root any more that could have wrapped it.
    const isRootGone = this.use((custody) => custody.oldestRoot(tenant)) > kept.root;
    const body = receiptBody({ ...kept, seq, rootDestroyedAt: isRootGone ? rootEndedAt : undefined }, this.options.backupDays);
    return this.#signed(tenant, { origin, keys: [logKey] }, body);
  }

  /** Composes the certificate itself: nobody can have other text signed. @throws CustodyUnavailable */
  completionCertificate(rewrap: CompletedRewrap, origin: string, logKey: number): string {
    return this.#signed(rewrap.tenant, { origin, keys: [logKey] }, certificateBody(rewrap));
  }

  #signed(tenant: string, { origin, keys }: Pick<SignedLog, 'origin' | 'keys'>, body: string): string {
    return this.use((custody) => {
      const publicKeys = custody.logKeys(tenant, keys);
      const signatures = custody.signLog(tenant, keys, body);
      return signedNote(
        origin,
        body,
        publicKeys.map((publicKey, at) => ({ publicKey, signature: signatures[at]! })),
      );
    });
  }

  /** Composes the statement of an import itself, so that nobody can have other text signed. */
  async createImport(
    parameters: ImportParameters,
    { origin, keys }: Pick<SignedLog, 'origin' | 'keys'>,
    root: number,
  ): Promise<{ readonly bound: BoundImport; readonly statement: string }> {
    return this.useLater(async (custody) => {
      const { bound, body } = await custody.createImport(parameters, root);
      const { tenant } = parameters;
      const publicKeys = custody.logKeys(tenant, keys);
      const signatures = custody.signLog(tenant, keys, body);
      const signed = publicKeys.map((publicKey, at) => ({ publicKey, signature: signatures[at]! }));
      return { bound, statement: signedNote(origin, body, signed) };
    });
  }

  async #beat(): Promise<void> {
    try {
      if (this.#open === undefined) await this.#connect();
      else this.#open.custody.heartbeat();
      this.#backOffMs = HEARTBEAT_MS;
      this.#beatSoon(HEARTBEAT_MS);
    } catch (error) {
      await this.#lost(error instanceof Error ? error : new Error('unknown', { cause: error }));
    }
  }

  #beatSoon(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#beat(), delayMs);
  }

  async #connect(): Promise<void> {
    // Before it is: a module that failed half way must be ended too, or it is "already initialised" for ever.
    this.#initialised = true;
    this.#cryptoki.initialise();
    const token = OpenToken.open(this.#cryptoki, this.options.tokenLabel, this.#pin);
    const hardware = this.options.declaredHardware && this.#cryptoki.isHardware(token.slot);
    const protectionLevel = hardware ? 'HSM' : 'SOFTWARE_TOKEN';
    const custody = new TokenCustody(token, protectionLevel, this.kept.tombstones, this.options);
    await this.#until(custody.examine(this.options));
    const report = await sweep(token);
    custody.heartbeat();
    this.#epoch += 1;
    this.#open = { custody, token };
    const { module, unavailable } = custody.capabilities();
    this.events.connected({ ...report, module, protectionLevel, unavailable, epoch: this.#epoch });
  }

  async #lost(cause: Error): Promise<void> {
    await this.#drop();
    if (cause instanceof PinRefused || cause instanceof SelfTestFailed) return this.events.fatal(cause);
    this.events.lost(cause);
    this.#beatSoon(this.#backOffMs);
    this.#backOffMs = Math.min(2 * this.#backOffMs, MAX_BACK_OFF_MS);
  }

  /** After a loss SoftHSM stays broken until C_Finalize, even when the token is back. */
  async #drop(): Promise<void> {
    this.#destroyedBefore = this.destroyed;
    const lost = this.#open;
    this.#open = undefined;
    await Promise.allSettled(this.#underWay);
    lost?.custody.release();
    if (!this.#initialised) return;
    this.#initialised = false;
    try {
      this.#cryptoki.finalise();
    } catch (error) {
      // A lost device may not even end well; the next C_Initialize tells.
      if (!(error instanceof CryptokiError)) throw error;
    }
  }
}
