import type { NodeCachingMaterialsManager } from '@aws-crypto/caching-materials-manager-node';
import { InvalidCall } from './errors.js';
import { HeldLease, type HoldLimits } from './held-lease.js';
import { leaseOf } from './material-leases.js';
import { Sweep } from './sweep.js';

type MaterialsCache = NodeCachingMaterialsManager['_cache'];
type EncryptionMaterial = Parameters<MaterialsCache['putEncryptionMaterial']>[1];
type DecryptionMaterial = Parameters<MaterialsCache['putDecryptionMaterial']>[1];

interface Held {
  readonly response: { zeroUnencryptedDataKey(): unknown };
  readonly now: number;
  readonly lease: HeldLease;
}
interface Entry<Material> extends Held {
  readonly response: Material & Held['response'];
  bytesEncrypted: number;
  messagesEncrypted: number;
}

/**
 * The data keys in use, oldest use first. The library's own cache keeps a key in memory until something pushes it out and cannot be
 * emptied; this one wipes each when its time is over, and all at once when told to.
 */
export class DataKeyCache implements MaterialsCache {
  readonly #sealing = new Map<string, Entry<EncryptionMaterial>>();
  readonly #opening = new Map<string, Entry<DecryptionMaterial>>();
  readonly #capacity: number;
  readonly #limits: HoldLimits;
  readonly #sweep = new Sweep((now) => this.#wipeExpired(now));
  #closed = false;

  constructor(capacity: number, limits: HoldLimits) {
    this.#capacity = capacity;
    this.#limits = limits;
  }

  putEncryptionMaterial(key: string, response: EncryptionMaterial, plaintextLength: number): void {
    this.#put(this.#sealing, key, {
      ...this.#held(response, plaintextLength),
      response,
      bytesEncrypted: plaintextLength,
      messagesEncrypted: 1,
    });
  }

  putDecryptionMaterial(key: string, response: DecryptionMaterial): void {
    this.#put(this.#opening, key, { ...this.#held(response, 0), response, bytesEncrypted: 0, messagesEncrypted: 0 });
  }

  getEncryptionMaterial(key: string, plaintextLength: number): Entry<EncryptionMaterial> | false {
    const entry = this.#get(this.#sealing, key, plaintextLength);
    if (entry === undefined) return false;
    entry.bytesEncrypted += plaintextLength;
    entry.messagesEncrypted += 1;
    return entry;
  }

  getDecryptionMaterial(key: string): Entry<DecryptionMaterial> | false {
    return this.#get(this.#opening, key, 0) ?? false;
  }

  putBranchKeyMaterial(): never {
    throw new Error('There are no branch keys here.');
  }

  getBranchKeyMaterial(): false {
    return false;
  }

  del(key: string): void {
    remove(this.#sealing, key);
    remove(this.#opening, key);
  }

  /** Wipes every data key that is held. */
  wipe(): void {
    for (const entries of [this.#sealing, this.#opening]) for (const key of entries.keys()) remove(entries, key);
    this.#sweep.stop();
  }

  /** Wipes, and holds none ever again: a call that is under way fails when its key arrives. */
  close(): void {
    this.#closed = true;
    this.wipe();
  }

  /** Put and used at once: that is its first use. */
  #held(response: object, bytes: number): Omit<Held, 'response'> {
    const { askedAt, lease } = leaseOf(response);
    const held = new HeldLease(askedAt, this.#limits, lease);
    held.spend(bytes);
    return { now: askedAt, lease: held };
  }

  #put<Item extends Held>(entries: Map<string, Item>, key: string, entry: Item): void {
    if (this.#closed) {
      entry.response.zeroUnencryptedDataKey();
      throw new InvalidCall('This Envelope is closed.', { code: 'invalid-request' });
    }
    remove(entries, key);
    entries.set(key, entry);
    const oldest = entries.keys().next();
    if (entries.size > this.#capacity && !oldest.done) remove(entries, oldest.value);
    this.#sweep.by(entry.lease.until);
  }

  #get<Item extends Held>(entries: Map<string, Item>, key: string, bytes: number): Item | undefined {
    const entry = entries.get(key);
    if (entry === undefined) return undefined;
    if (!entry.lease.spend(bytes)) return remove(entries, key);
    entries.delete(key);
    entries.set(key, entry); // now the youngest use
    return entry;
  }

  /** Answers when the next one's time is over. */
  #wipeExpired(now: number): number {
    const all = [this.#sealing, this.#opening];
    for (const entries of all) for (const [key, { lease }] of entries) if (lease.until <= now) remove(entries, key);
    return Math.min(...all.flatMap((entries) => [...entries.values()].map(({ lease }) => lease.until)));
  }
}

function remove(entries: Map<string, Held>, key: string): undefined {
  entries.get(key)?.response.zeroUnencryptedDataKey();
  entries.delete(key);
}
