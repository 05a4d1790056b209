import type { KeySpec, KeyVersionId, SoftwareSpec } from '#contract';
import { CustodyUnavailable, KeyDestroyed } from '#core';
import type { KeyVersionDraft, ProtectionLevel, WrappedKeyVersion } from '#core';
import type { PresentedVersion } from '../presented-version.js';
import type { BindingKey } from './binding-key.js';
import type { KeyHandle } from './cryptoki.js';
import { HandleCache } from './handle-cache.js';
import { bearPair, publicHandle } from './key-pairs.js';
import {
  isCipher,
  isEdwards,
  isPair,
  isRsa,
  KEY_BYTES,
  KW_BYTES,
  newbornVersion,
  type PairSpec,
  versionInTransit,
  versionInUse,
} from './key-templates.js';
import { isSoftware, SEALING_KEY_BYTES, type SoftwareKey, type SoftwareKeys } from './software-keys.js';
import type { OpenToken } from './open-token.js';
import type { RsaBirths } from './rsa-births.js';
import type { TenantRoots } from './tenant-roots.js';
import type { Tombstones } from './tombstones.js';

/** Until it is imported. */
const NO_MATERIAL = new Uint8Array(0);

/** In the HSM, or in this process. */
type KeyInUse = KeyHandle | SoftwareKey;
const isHandle = (key: KeyInUse | undefined): key is KeyHandle => Buffer.isBuffer(key);

/** CMK versions: born in the HSM, at rest only wrapped, in use as handles. */
export class KeyVersions {
  readonly #handles: HandleCache<KeyInUse>;

  constructor(
    private readonly token: OpenToken,
    private readonly roots: TenantRoots,
    private readonly binding: BindingKey,
    private readonly software: SoftwareKeys,
    private readonly births: RsaBirths,
    private readonly protectionLevel: ProtectionLevel,
    private readonly tombstones: Pick<Tombstones, 'of'>,
    limits: { readonly cachedKeys: number; readonly cachedForMs: number },
  ) {
    this.#handles = new HandleCache(limits.cachedKeys, limits.cachedForMs, (key) => (isHandle(key) ? token.destroy(key) : key.free()));
  }

  /** `root`: number of the one that wraps. @throws CustodyBusy when too many RSA keys are being made already */
  async create(draft: KeyVersionDraft, root: number): Promise<WrappedKeyVersion> {
    const protectionLevel = isSoftware(draft.spec) ? 'SOFTWARE' : this.protectionLevel;
    const born = draft.origin === 'EXTERNAL' ? { blob: NO_MATERIAL } : await this.#bear(this.roots.of(draft.tenant, root), draft);
    const version = { ...draft, protectionLevel, ...born };
    return { ...version, mac: this.binding.mac(version) };
  }

  /** The next version of the key of a row: the same in everything but its id and its material. @throws KeyBindingBroken, KeyDestroyed */
  async createNext(presented: PresentedVersion, versionId: KeyVersionId, root: number): Promise<WrappedKeyVersion> {
    const { tenant, keyId, spec, usage, origin, logId } = this.#living(presented);
    return await this.create({ tenant, keyId, versionId, spec, usage, origin, logId }, root);
  }

  /**
   * The key of a row, ready for use: in the HSM or, where it is SOFTWARE, here.
   * @throws KeyBindingBroken before the HSM touches a row that was edited, KeyDestroyed
   */
  inUse(presented: PresentedVersion): KeyInUse {
    const now = Date.now();
    const known = this.#handles.get(presented.identity, now);
    if (known !== undefined) return known;
    const version = this.#living(presented);
    const key = this.roots.unwrapping(version.tenant, (root) => this.#unwrapped(root, version));
    this.#handles.add(presented.identity, version.keyId, key, now);
    return key;
  }

  /** The same key under another root, and the MAC that goes with it. In between it is an object of the session, as at its birth. */
  rewrapped(presented: PresentedVersion, root: number): WrappedKeyVersion {
    const version = this.#living(presented);
    const blob = this.#takenOver(version, this.roots.of(version.tenant, root));
    if (blob.length !== version.blob.length) throw new CustodyUnavailable('the module wrapped a key to another length');
    return { ...version, blob, mac: this.binding.mac({ ...version, blob }) };
  }

  #takenOver({ tenant, spec, usage, blob: old }: WrappedKeyVersion, root: KeyHandle): Buffer {
    const { cryptoki, holder } = this.token;
    // Of a software key the root wraps the key that seals it, and nothing else.
    const [inHsm, length] = isSoftware(spec) ? (['AES_256', SEALING_KEY_BYTES] as const) : [spec, old.length];
    const [wrapped, rest] = [Buffer.from(old.subarray(0, length)), old.subarray(length)];
    const by = isPair(inHsm) ? 'kwp' : 'kw';
    const handle = this.roots.unwrapping(tenant, (from) => cryptoki.unwrap(holder, from, wrapped, versionInTransit(inHsm, usage), by));
    try {
      return Buffer.concat([cryptoki.wrap(holder, root, handle, by), rest]);
    } finally {
      this.token.destroy(handle);
    }
  }

  /** The public half of a pair, ready to verify. @throws KeyBindingBroken, and RangeError for a key that is no pair */
  publicHandleOf(presented: PresentedVersion): KeyHandle {
    const identity = `${presented.identity}/public`;
    const now = Date.now();
    const known = this.#handles.get(identity, now);
    if (isHandle(known)) return known;
    const { spec, usage, publicKey, keyId } = this.#living(presented);
    if (!isPair(spec) || isEdwards(spec) || publicKey === undefined) throw new RangeError('The key is no pair.');
    const handle = publicHandle(this.token, spec, usage, publicKey);
    this.#handles.add(identity, keyId, handle, now);
    return handle;
  }

  /** The public half of a pair, DER. @throws KeyBindingBroken, KeyDestroyed, and RangeError for a key that is no pair */
  publicKeyOf(presented: PresentedVersion): Uint8Array {
    const { publicKey } = this.#living(presented);
    if (publicKey === undefined) throw new RangeError('The key is no pair.');
    return publicKey;
  }

  /** @throws KeyBindingBroken for a row that was edited. */
  checked(presented: PresentedVersion): WrappedKeyVersion {
    const version = presented.row();
    this.binding.verify(version);
    return version;
  }

  /** No version of the key is in the token any more; what remains of them is refused by its tombstone. */
  evict(keyId: string): void {
    this.#handles.evict(keyId);
  }

  /** The HSM is gone, and its handles with it; keys in this process's memory are not. */
  release(): void {
    for (const key of this.#handles.emptied()) if (!isHandle(key)) key.free();
  }

  #living(presented: PresentedVersion): WrappedKeyVersion {
    const version = this.checked(presented);
    if (version.blob.length === 0 || this.tombstones.of(version.tenant, version.keyId) !== undefined) throw new KeyDestroyed();
    return version;
  }

  #unwrapped(root: KeyHandle, { spec, usage, blob, publicKey }: WrappedKeyVersion): KeyInUse {
    if (isSoftware(spec)) return this.software.inUse(root, spec, { blob, publicKey });
    const by = isPair(spec) ? 'kwp' : 'kw';
    return this.token.cryptoki.unwrap(this.token.holder, root, Buffer.from(blob), versionInUse(spec, usage), by);
  }

  async #bear(root: KeyHandle, { tenant, spec, usage }: KeyVersionDraft): Promise<Pick<WrappedKeyVersion, 'blob' | 'publicKey'>> {
    if (isSoftware(spec)) return this.software.bear(root, spec);
    if (isRsa(spec)) return await this.births.take(tenant, () => bearPair(this.token, root, spec, usage));
    return isPair(spec) ? await bearPair(this.token, root, spec, usage) : { blob: this.#bearWrapped(root, spec) };
  }

  #bearWrapped(root: KeyHandle, spec: Exclude<KeySpec, PairSpec | SoftwareSpec>): Buffer {
    const { cryptoki, holder } = this.token;
    const newborn = cryptoki.generateKey(holder, isCipher(spec) ? 'aes' : 'generic', newbornVersion(spec));
    try {
      const blob = cryptoki.wrap(holder, root, newborn);
      if (blob.length !== KEY_BYTES[spec] + KW_BYTES) throw new CustodyUnavailable('the module wrapped a key to an unknown length');
      return blob;
    } finally {
      this.token.destroy(newborn);
    }
  }
}
