import { randomBytes } from 'node:crypto';
import { KEY_SPECS, type KeySpec, type SoftwareSpec } from '#contract';
import { KeywardError } from '#core';
import type { KeyHandle } from './cryptoki.js';
import { CryptokiError } from './cryptoki-error.js';
import { only } from './find-or-create.js';
import { bearPair, publicHandle } from './key-pairs.js';
import {
  CANARY_ROOT_LABEL,
  CURVES,
  HASH_OF,
  isCipher,
  isPair,
  KEY_BYTES,
  KW_BYTES,
  named,
  newbornVersion,
  type PairSpec,
  versionInUse,
} from './key-templates.js';
import type { OpenToken } from './open-token.js';
import { verifySm2 } from './openssl-sm2.js';
import { SelfTestFailed } from './self-test.js';
import { isSoftware, type SoftwareKeys } from './software-keys.js';

export interface TriedSpecs {
  readonly specs: readonly KeySpec[];
  /** What the module said to the others: names and numbers, nothing of a key. */
  readonly unavailable: Readonly<Partial<Record<KeySpec, string>>>;
}

/**
 * What the module really does, not what it lists: a key of each spec is made, wrapped, unwrapped, used and destroyed. Run once per start,
 * after the canary's root exists. @throws SelfTestFailed when there is none
 */
export function tryAllSpecs(token: OpenToken, software: SoftwareKeys): TriedSpecs {
  const root = only(token, named(CANARY_ROOT_LABEL));
  if (root === undefined) throw new SelfTestFailed('There is no root to test with.');
  const failures = KEY_SPECS.map(
    (spec) => [spec, isSoftware(spec) ? failureInSoftware(software, root, spec) : failureOf(token, root, spec)] as const,
  );
  return {
    specs: failures.flatMap(([spec, failure]) => (failure === undefined ? [spec] : [])),
    unavailable: Object.fromEntries(failures.filter(([, failure]) => failure !== undefined)),
  };
}

function failureOf(token: OpenToken, root: KeyHandle, spec: Exclude<KeySpec, SoftwareSpec>): string | undefined {
  const { cryptoki, holder } = token;
  const made: KeyHandle[] = [];
  try {
    if (isPair(spec)) return failureOfPair(token, root, spec, made);
    const newborn = cryptoki.generateKey(holder, isCipher(spec) ? 'aes' : 'generic', newbornVersion(spec));
    made.push(newborn);
    const blob = cryptoki.wrap(holder, root, newborn);
    if (blob.length !== KEY_BYTES[spec] + KW_BYTES) return 'C_WrapKey: a blob of another length';
    const key = cryptoki.unwrap(holder, root, blob, versionInUse(spec));
    made.push(key);
    return worksAfterUnwrapping(token, spec, newborn, key) ? undefined : 'the unwrapped key is another one';
  } catch (error) {
    if (error instanceof CryptokiError) return error.message;
    throw error;
  } finally {
    for (const handle of made) token.destroy(handle);
  }
}

/** Sealed, opened, and opened once more: both do the same. */
function failureInSoftware(software: SoftwareKeys, root: KeyHandle, spec: SoftwareSpec): string | undefined {
  if (software.refusal !== undefined) return software.refusal;
  try {
    const born = software.bear(root, spec);
    const [one, other] = [software.inUse(root, spec, born), software.inUse(root, spec, born)];
    const [iv, aad, text, digest] = [randomBytes(12), Buffer.from('aad'), Buffer.from('self-test'), randomBytes(32)];
    const sealed = one.seal?.(iv, aad, text);
    const signature = one.sign?.(digest);
    const works = [
      sealed === undefined || other.open?.(iv, aad, sealed).equals(text),
      other.mac === undefined || one.mac?.(text).equals(other.mac(text)),
      signature === undefined || verifySm2(born.publicKey ?? digest, digest, signature),
    ];
    for (const key of [one, other]) key.free();
    return works.every(Boolean) ? undefined : 'the opened key is another one';
  } catch (error) {
    if (error instanceof CryptokiError) return error.message;
    if (error instanceof KeywardError) return error.reason;
    throw error;
  }
}

function failureOfPair(token: OpenToken, root: KeyHandle, spec: PairSpec, made: KeyHandle[]): string | undefined {
  const { cryptoki, holder } = token;
  const { blob, publicKey } = bearPair(token, root, spec);
  const key = cryptoki.unwrap(holder, root, blob, versionInUse(spec), 'kwp');
  made.push(key);
  if (leaves(token, root, key)) return 'C_WrapKey: lets a private key out that is not extractable';
  const open = publicHandle(token, spec, publicKey);
  made.push(open);
  const digest = randomBytes(CURVES[spec].bytes);
  const signature = token.operate((session) => cryptoki.signEcdsa(session, key, digest, 2 * CURVES[spec].bytes));
  return token.operate((session) => cryptoki.verifyEcdsa(session, open, digest, signature))
    ? undefined
    : 'the unwrapped key is another one';
}

function leaves({ cryptoki, holder }: OpenToken, root: KeyHandle, key: KeyHandle): boolean {
  try {
    cryptoki.wrap(holder, root, key, 'kwp');
    return true;
  } catch (error) {
    if (error instanceof CryptokiError) return false;
    throw error;
  }
}

/** What the key did before it was wrapped, the unwrapped one undoes or repeats. */
function worksAfterUnwrapping(token: OpenToken, spec: KeySpec, newborn: KeyHandle, key: KeyHandle): boolean {
  const { cryptoki } = token;
  const [iv, aad, text] = [randomBytes(12), Buffer.from('aad'), Buffer.from('self-test')];
  const hash = HASH_OF[spec];
  if (hash === undefined) {
    const sealed = token.operate((session) => Buffer.from(cryptoki.seal(session, newborn, iv, aad, text)));
    return token.operate((session) => cryptoki.open(session, key, iv, aad, sealed)).equals(text);
  }
  const [before, after] = [newborn, key].map((one) => token.operate((session) => cryptoki.mac(session, one, text, hash)));
  return before !== undefined && after !== undefined && before.equals(after);
}
