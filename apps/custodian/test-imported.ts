import type { WrappedKeyVersion } from '#core';
import type { aDraft } from '../../libs/testing/custody-contract.js';
import type { TestToken } from './test-bed.js';
import { onToken } from './test-on-token.js';

/**
 * A row before somebody with the PIN made it, in hexadecimal: `key` is a secret key's bytes, or SM2's private number; `pkcs8` another
 * private key; `publicKey` a SubjectPublicKeyInfo, enough to verify with.
 */
export type ImportedDraft = ReturnType<typeof aDraft> & { readonly key?: string; readonly pkcs8?: string; readonly publicKey?: string };

const IMPORT = `
  const [{ BindingKey }, { RandomPool }, { isSoftware, SoftwareKeys }, { TenantRoots }] = await Promise.all(
    ['binding-key', 'random-pool', 'software-keys', 'tenant-roots'].map((name) => import(library + '/' + name + '.js')),
  );
  const root = new TenantRoots(token).of('acme', 0);
  const binding = new BindingKey(token);
  const software = new SoftwareKeys(token, new RandomPool(token), true);
  const wrapped = (spec, key, by) => {
    const { valueLen, ...template } = newbornVersion(spec);
    return cryptoki.wrap(token.holder, root, created(template, key), by);
  };
  const blobOf = (spec, key, pkcs8) => {
    // Under AES-KWP a private key is its PKCS#8, so any secret of these bytes gives the same blob.
    if (pkcs8 !== undefined) return wrapped('HMAC_256', bytes(pkcs8), 'kwp');
    if (key === undefined) return Buffer.alloc(40);
    return isSoftware(spec) ? software.sealed(root, bytes(key)) : wrapped(spec, bytes(key), 'kw');
  };
  return input.map(({ key, pkcs8, publicKey, ...draft }) => {
    const blob = blobOf(draft.spec, key, pkcs8);
    const protectionLevel = isSoftware(draft.spec) ? 'SOFTWARE' : 'SOFTWARE_TOKEN';
    const row = { ...draft, protectionLevel, blob, ...(publicKey && { publicKey: bytes(publicKey) }) };
    return { ...row, blob: blob.toString('hex'), publicKey, mac: binding.mac(row).toString('hex') };
  });`;

/** Puts keys of published vectors under acme's root and binds their rows, as only who holds the PIN can. */
export function imported(token: TestToken, drafts: readonly ImportedDraft[]): WrappedKeyVersion[] {
  const rows = onToken(token, IMPORT, drafts) as Record<'blob' | 'mac' | 'publicKey', string | undefined>[];
  return rows.map(({ blob, mac, publicKey, ...row }) => {
    const halves = { blob: hex(blob!), mac: hex(mac!), ...(publicKey !== undefined && { publicKey: hex(publicKey) }) };
    return { ...row, ...halves } as unknown as WrappedKeyVersion;
  });
}

const hex = (text: string) => Buffer.from(text, 'hex');
