import type { KeySpec } from '#contract';
import { CustodyUnavailable, KeyDestroyed } from '#core';
import type { KeyVersionDraft, ProtectionLevel, WrappedKeyVersion } from '#core';
import type { PresentedVersion } from '../presented-version.js';
import type { BindingKey } from './binding-key.js';
import type { KeyHandle } from './cryptoki.js';
import { HandleCache } from './handle-cache.js';
import { bearPair, publicHandle } from './key-pairs.js';
import { isCipher, isPair, KEY_BYTES, KW_BYTES, newbornVersion, type PairSpec, versionInUse } from './key-templates.js';
import type { OpenToken } from './open-token.js';
import type { TenantRoots } from './tenant-roots.js';
import type { Tombstones } from './tombstones.js';

/** CMK versions: born in the HSM, at rest only wrapped, in use as handles. */
export class KeyVersions {
  readonly #handles: HandleCache;

  constructor(
    private readonly token: OpenToken,
    private readonly roots: TenantRoots,
    private readonly binding: BindingKey,
    private readonly protectionLevel: ProtectionLevel,
    private readonly tombstones: Pick<Tombstones, 'of'>,
    limits: { readonly cachedKeys: number; readonly cachedForMs: number },
  ) {
    this.#handles = new HandleCache(limits.cachedKeys, limits.cachedForMs, (handle) => token.destroy(handle));
  }

  /** `root`: number of the one that wraps. */
  create(draft: KeyVersionDraft, root: number): WrappedKeyVersion {
    const version = { ...draft, protectionLevel: this.protectionLevel, ...this.#bear(this.roots.of(draft.tenant, root), draft.spec) };
    return { ...version, mac: this.binding.mac(version) };
  }

  /** The key of a row, ready for use. @throws KeyBindingBroken before the HSM touches a row that was edited, KeyDestroyed */
  handleOf(presented: PresentedVersion): KeyHandle {
    const now = Date.now();
    const known = this.#handles.get(presented.identity, now);
    if (known !== undefined) return known;
    const version = this.#living(presented);
    const { cryptoki, holder } = this.token;
    const by = isPair(version.spec) ? 'kwp' : 'kw';
    const handle = this.roots.unwrapping(version.tenant, (root) =>
      cryptoki.unwrap(holder, root, Buffer.from(version.blob), versionInUse(version.spec), by),
    );
    this.#handles.add(presented.identity, version.keyId, handle, now);
    return handle;
  }

  /** The public half of a pair, ready to verify. @throws KeyBindingBroken, and RangeError for a key that is no pair */
  publicHandleOf(presented: PresentedVersion): KeyHandle {
    const identity = `${presented.identity}/public`;
    const now = Date.now();
    const known = this.#handles.get(identity, now);
    if (known !== undefined) return known;
    const { spec, publicKey, keyId } = this.#living(presented);
    if (!isPair(spec) || publicKey === undefined) throw new RangeError('The key is no pair.');
    const handle = publicHandle(this.token, spec, publicKey);
    this.#handles.add(identity, keyId, handle, now);
    return handle;
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

  #living(presented: PresentedVersion): WrappedKeyVersion {
    const version = this.checked(presented);
    if (version.blob.length === 0 || this.tombstones.of(version.tenant, version.keyId) !== undefined) throw new KeyDestroyed();
    return version;
  }

  #bear(root: KeyHandle, spec: KeySpec): Pick<WrappedKeyVersion, 'blob' | 'publicKey'> {
    return isPair(spec) ? bearPair(this.token, root, spec) : { blob: this.#bearWrapped(root, spec) };
  }

  #bearWrapped(root: KeyHandle, spec: Exclude<KeySpec, PairSpec>): Buffer {
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
