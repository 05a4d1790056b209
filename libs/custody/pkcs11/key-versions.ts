import type { KeySpec } from '#contract';
import { CustodyUnavailable } from '#core';
import type { KeyVersionDraft, ProtectionLevel, WrappedKeyVersion } from '#core';
import type { PresentedVersion } from '../presented-version.js';
import type { BindingKey } from './binding-key.js';
import type { KeyHandle } from './cryptoki.js';
import { HandleCache } from './handle-cache.js';
import { isCipher, KEY_BYTES, KW_BYTES, newbornVersion, versionInUse } from './key-templates.js';
import type { OpenToken } from './open-token.js';
import type { TenantRoots } from './tenant-roots.js';

/** CMK versions: born in the HSM, at rest only wrapped, in use as handles. */
export class KeyVersions {
  readonly #handles: HandleCache;

  constructor(
    private readonly token: OpenToken,
    private readonly roots: TenantRoots,
    private readonly binding: BindingKey,
    private readonly protectionLevel: ProtectionLevel,
    limits: { readonly cachedKeys: number; readonly cachedForMs: number },
  ) {
    this.#handles = new HandleCache(limits.cachedKeys, limits.cachedForMs, (handle) => token.destroy(handle));
  }

  create(draft: KeyVersionDraft): WrappedKeyVersion {
    const blob = this.#bearWrapped(this.roots.of(draft.tenant), draft.spec);
    const version = { ...draft, protectionLevel: this.protectionLevel, blob };
    return { ...version, mac: this.binding.mac(version) };
  }

  /** The key of a row, ready for use. @throws KeyBindingBroken before the HSM touches a row that was edited. */
  handleOf(presented: PresentedVersion): KeyHandle {
    const now = Date.now();
    const known = this.#handles.get(presented.identity, now);
    if (known !== undefined) return known;
    const version = presented.row();
    this.binding.verify(version);
    const root = this.roots.of(version.tenant);
    const handle = this.token.cryptoki.unwrap(this.token.holder, root, Buffer.from(version.blob), versionInUse(version.spec));
    this.#handles.add(presented.identity, handle, now);
    return handle;
  }

  #bearWrapped(root: KeyHandle, spec: KeySpec): Buffer {
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
