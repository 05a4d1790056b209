import type { Alias, KeyId } from '#contract';

/** The names by which a policy may mean a key. */
export interface KeyNames {
  /** undefined: no key at all, which only `*` means. */
  readonly keyId: KeyId | undefined;
  readonly aliases: readonly Alias[];
  readonly tags: Readonly<Record<string, string>>;
  /** The name of a secret, where it is about one, and about no key. */
  readonly secret?: string | undefined;
}

/** The operations behind each collective name; an operation that makes something new writes, one that opens or checks it reads. */
const COLLECTIVE: ReadonlyMap<string, readonly string[]> = new Map([
  ['@read', ['Decrypt', 'ReEncryptFrom', 'VerifyMac', 'Verify', 'GetPublicKey', 'AsymmetricDecrypt']],
  ['@write', ['Encrypt', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext', 'ReEncryptTo', 'GenerateMac', 'Sign', 'AsymmetricEncrypt']],
]);

/** Exact case: `decrypt` is not an operation. */
export function operationIn(operation: string, pattern: string): boolean {
  return pattern === '@all' || pattern === operation || COLLECTIVE.get(pattern)?.includes(operation) === true;
}

/**
 * `*`, the id, `alias/name`, `alias/prefix*` (which includes `alias/prefix`) or `tag:name=value`; of a secret `secret:name`,
 * `secret:prefix*` and `*`. Compared as text: no regex, no glob.
 */
export function objectIn(key: KeyNames, pattern: string): boolean {
  if (pattern === '*') return true;
  if (key.secret !== undefined) return isMeant(`secret:${key.secret}`, pattern);
  if (pattern.startsWith('tag:')) return hasTag(key, pattern.slice('tag:'.length));
  return pattern === key.keyId || (pattern.startsWith('alias/') && key.aliases.some((alias) => isMeant(alias, pattern)));
}

const isMeant = (name: string, pattern: string): boolean =>
  pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;

/** The name ends at the first `=`, so that a text means one tag: one whose own name holds `=` is meant by no policy. */
function hasTag({ tags }: KeyNames, text: string): boolean {
  const end = text.indexOf('=');
  const name = text.slice(0, end);
  return Object.hasOwn(tags, name) && tags[name] === text.slice(end + 1);
}
