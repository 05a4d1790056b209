import type { Alias, KeyId } from '#contract';

/** The names by which a policy may mean a key. */
export interface KeyNames {
  /** undefined: no key at all, which only `*` means. */
  readonly keyId: KeyId | undefined;
  readonly aliases: readonly Alias[];
  readonly tags: Readonly<Record<string, string>>;
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

/** `*`, the id, `alias/name`, `alias/prefix*` (which includes `alias/prefix`) or `tag:name=value`. Compared as text: no regex, no glob. */
export function objectIn(key: KeyNames, pattern: string): boolean {
  if (pattern === '*' || pattern === key.keyId) return true;
  if (pattern.startsWith('tag:')) return Object.entries(key.tags).some(([name, value]) => pattern === `tag:${name}=${value}`);
  if (!pattern.startsWith('alias/')) return false;
  const prefix = pattern.endsWith('*') ? pattern.slice(0, -1) : undefined;
  return key.aliases.some((alias) => (prefix === undefined ? alias === pattern : alias.startsWith(prefix)));
}
