import type { NodeCachingMaterialsManager } from '@aws-crypto/caching-materials-manager-node';
import { InvalidCall } from './errors.js';

type MaterialsCache = NodeCachingMaterialsManager['_cache'];
type EncryptionMaterial = Parameters<MaterialsCache['putEncryptionMaterial']>[1];
type DecryptionMaterial = Parameters<MaterialsCache['putDecryptionMaterial']>[1];

interface Held {
  readonly response: { zeroUnencryptedDataKey(): unknown };
  readonly now: number;
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
  readonly #maxAgeMs: number;
  #sweep: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(capacity: number, maxAgeMs: number) {
    this.#capacity = capacity;
    this.#maxAgeMs = maxAgeMs;
  }

  putEncryptionMaterial(key: string, response: EncryptionMaterial, plaintextLength: number): void {
    this.#put(this.#sealing, key, { response, bytesEncrypted: plaintextLength, messagesEncrypted: 1, now: Date.now() });
  }

  putDecryptionMaterial(key: string, response: DecryptionMaterial): void {
    this.#put(this.#opening, key, { response, bytesEncrypted: 0, messagesEncrypted: 0, now: Date.now() });
  }

  getEncryptionMaterial(key: string, plaintextLength: number): Entry<EncryptionMaterial> | false {
    const entry = this.#get(this.#sealing, key);
    if (entry === undefined) return false;
    entry.bytesEncrypted += plaintextLength;
    entry.messagesEncrypted += 1;
    return entry;
  }

  getDecryptionMaterial(key: string): Entry<DecryptionMaterial> | false {
    return this.#get(this.#opening, key) ?? false;
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
    clearTimeout(this.#sweep);
    this.#sweep = undefined;
  }

  /** Wipes, and holds none ever again: a call that is under way fails when its key arrives. */
  close(): void {
    this.#closed = true;
    this.wipe();
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
    // Unreferenced: a held key must not keep the process alive.
    this.#sweep ??= setTimeout(() => this.#wipeExpired(), this.#maxAgeMs).unref();
  }

  #get<Item extends Held>(entries: Map<string, Item>, key: string): Item | undefined {
    const entry = entries.get(key);
    if (entry === undefined) return undefined;
    if (Date.now() - entry.now >= this.#maxAgeMs) return remove(entries, key);
    entries.delete(key);
    entries.set(key, entry); // now the youngest use
    return entry;
  }

  #wipeExpired(): void {
    const oldest = Date.now() - this.#maxAgeMs;
    const all = [this.#sealing, this.#opening];
    for (const entries of all) for (const [key, { now }] of entries) if (now <= oldest) remove(entries, key);
    const next = Math.min(...all.flatMap((entries) => [...entries.values()].map(({ now }) => now - oldest)));
    this.#sweep = Number.isFinite(next) ? setTimeout(() => this.#wipeExpired(), next).unref() : undefined;
  }
}

function remove(entries: Map<string, Held>, key: string): undefined {
  entries.get(key)?.response.zeroUnencryptedDataKey();
  entries.delete(key);
}
