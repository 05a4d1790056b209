import { constants, createPublicKey, publicEncrypt, randomBytes } from 'node:crypto';
import {
  ENCRYPTION_ALGORITHMS,
  type EncryptionAlgorithm,
  IMPORT_HASH,
  KEY_SPECS,
  type KeySpec,
  type SoftwareSpec,
  TRIED_ALGORITHMS,
  type TriedAlgorithm,
} from '#contract';
import { KeywardError } from '#core';
import type { KeyHandle } from './cryptoki.js';
import { CryptokiError } from './cryptoki-error.js';
import { only } from './find-or-create.js';
import { ephemeralInMemory } from './ephemeral-in-memory.js';
import { bearPair, publicHandle } from './key-pairs.js';
import {
  CANARY_ROOT_LABEL,
  ephemeralKey,
  HASH_OF,
  isCipher,
  isPair,
  isRsa,
  KEY_BYTES,
  KW_BYTES,
  named,
  newbornVersion,
  type PairSpec,
  RSA_BITS,
  type RsaSpec,
  versionInUse,
  wrappingKeyDecrypting,
  wrappingKeyInUse,
} from './key-templates.js';
import type { OpenToken } from './open-token.js';
import { verifySm2 } from './openssl-sm2.js';
import { decryptOaep, encryptOaep } from './pair-uses.js';
import { SelfTestFailed } from './self-test.js';
import { isSoftware, type SoftwareKeys } from './software-keys.js';

/** What the module said to each that it cannot do: names and numbers, nothing of a key. Empty: it can do all. */
type Failures<Name extends string> = Readonly<Partial<Record<Name, string>>>;
export interface TriedSpecs {
  readonly specs: readonly KeySpec[];
  readonly unavailable: Failures<KeySpec>;
  readonly algorithms: Failures<TriedAlgorithm>;
  /** Those that it can do only because an ephemeral key passes this process's memory. */
  readonly inMemory: readonly TriedAlgorithm[];
}

/** The shortest stands for all: the longest takes seconds, and proves itself when it is made. */
const TRIED_RSA = 'RSA_2048';
/** What an operator may allow to pass this process's memory. */
const MAY_PASS = 'RSA_AES_KEY_WRAP_SHA_256';

/**
 * What the module really does, not what it lists: a key of each spec is made, wrapped, unwrapped, used and destroyed. Run once per start,
 * after the canary's root exists. `mayPass`: an ephemeral key may pass this process's memory. @throws SelfTestFailed when there is none
 */
export async function tryAllSpecs(token: OpenToken, software: SoftwareKeys, mayPass: boolean): Promise<TriedSpecs> {
  const root = only(token, named(CANARY_ROOT_LABEL));
  if (root === undefined) throw new SelfTestFailed('There is no root to test with.');
  const rsa = await tryRsa(token, root, mayPass);
  const unavailable = Object.fromEntries(
    await present(KEY_SPECS, async (spec) => {
      if (isSoftware(spec)) return failureInSoftware(software, root, spec);
      if (isRsa(spec)) return rsa.failure ?? tooLong(token, spec);
      return await saying(() => (isPair(spec) ? failureOnCurve(token, root, spec) : failureOf(token, root, spec)));
    }),
  ) as Failures<KeySpec>;
  const { algorithms, inMemory } = rsa;
  return { specs: KEY_SPECS.filter((spec) => unavailable[spec] === undefined), unavailable, algorithms, inMemory };
}

/** Those for which something was wrong, with what. */
async function present<Name extends string>(names: readonly Name[], failureOfOne: (name: Name) => Promise<string | undefined>) {
  const failures: [Name, string][] = [];
  for (const name of names) {
    const failure = await failureOfOne(name);
    if (failure !== undefined) failures.push([name, failure]);
  }
  return failures;
}

async function saying(attempt: () => Promise<string | undefined> | string | undefined): Promise<string | undefined> {
  try {
    return await attempt();
  } catch (error) {
    if (error instanceof CryptokiError) return error.message;
    throw error;
  }
}

function failureOf(token: OpenToken, root: KeyHandle, spec: Exclude<KeySpec, PairSpec | SoftwareSpec>): string | undefined {
  const { cryptoki, holder } = token;
  const made: KeyHandle[] = [];
  try {
    const newborn = cryptoki.generateKey(holder, isCipher(spec) ? 'aes' : 'generic', newbornVersion(spec));
    made.push(newborn);
    const blob = cryptoki.wrap(holder, root, newborn);
    if (blob.length !== KEY_BYTES[spec] + KW_BYTES) return 'C_WrapKey: a blob of another length';
    const key = cryptoki.unwrap(holder, root, blob, versionInUse(spec, 'ENCRYPT_DECRYPT'));
    made.push(key);
    return worksAfterUnwrapping(token, spec, newborn, key) ? undefined : 'the unwrapped key is another one';
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

/** That it signs, bearPair has seen. */
async function failureOnCurve(token: OpenToken, root: KeyHandle, spec: Exclude<PairSpec, RsaSpec>): Promise<string | undefined> {
  const { blob } = await bearPair(token, root, spec, 'SIGN_VERIFY');
  return staysInside(token, root, blob, versionInUse(spec, 'SIGN_VERIFY'));
}

function staysInside(token: OpenToken, root: KeyHandle, blob: Buffer, template: ReturnType<typeof versionInUse>): string | undefined {
  const key = token.cryptoki.unwrap(token.holder, root, blob, template, 'kwp');
  try {
    return leaves(token, root, key) ? 'C_WrapKey: lets a private key out that is not extractable' : undefined;
  } finally {
    token.destroy(key);
  }
}

const tooLong = ({ cryptoki, slot }: OpenToken, spec: RsaSpec): string | undefined => {
  const longest = cryptoki.longestRsa(slot);
  return longest < RSA_BITS[spec] ? `C_GetMechanismInfo: RSA keys of at most ${longest} bits` : undefined;
};

async function tryRsa(
  token: OpenToken,
  root: KeyHandle,
  mayPass: boolean,
): Promise<Pick<TriedSpecs, 'algorithms' | 'inMemory'> & { readonly failure: string | undefined }> {
  let [algorithms, inMemory]: [Failures<TriedAlgorithm>, TriedAlgorithm[]] = [{}, []];
  const failure = await saying(async () => {
    const signs = await bearPair(token, root, TRIED_RSA, 'SIGN_VERIFY');
    const { [MAY_PASS]: failed, ...others } = Object.fromEntries(
      await present(TRIED_ALGORITHMS, (algorithm) =>
        saying(() =>
          isOaep(algorithm) ? failureOfOaep(token, root, signs, algorithm) : failureOfUnwrapping(token, root, signs, algorithm),
        ),
      ),
    ) as Failures<TriedAlgorithm>;
    const still = failed && (mayPass ? await saying(() => failureOfUnwrapping(token, root, signs, MAY_PASS, true)) : failed);
    algorithms = { ...others, ...(still !== undefined && { [MAY_PASS]: still }) };
    if (failed !== still) inMemory = [MAY_PASS];
    return staysInside(token, root, signs.blob, versionInUse(TRIED_RSA, 'SIGN_VERIFY'));
  });
  if (failure === undefined) return { failure, algorithms, inMemory };
  return { failure, algorithms: Object.fromEntries(TRIED_ALGORITHMS.map((algorithm) => [algorithm, failure])), inMemory: [] };
}

const isOaep = (algorithm: TriedAlgorithm): algorithm is EncryptionAlgorithm =>
  (ENCRYPTION_ALGORITHMS as readonly TriedAlgorithm[]).includes(algorithm);

/** RSA_AES_KEY_WRAP: what comes under a public key becomes a key that unwraps. */
function failureOfUnwrapping(
  token: OpenToken,
  root: KeyHandle,
  { blob, publicKey }: Awaited<ReturnType<typeof bearPair>>,
  algorithm: Exclude<TriedAlgorithm, EncryptionAlgorithm>,
  inMemory = false,
): string | undefined {
  const { cryptoki, holder } = token;
  const oaepHash = IMPORT_HASH[algorithm];
  const open = createPublicKey({ key: publicKey, format: 'der', type: 'spki' });
  const encrypted = publicEncrypt({ key: open, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, randomBytes(32));
  const made = [cryptoki.unwrap(holder, root, blob, inMemory ? wrappingKeyDecrypting : wrappingKeyInUse, 'kwp')];
  try {
    const by = oaepHash === 'sha1' ? 'RSAES_OAEP_SHA_1' : 'RSAES_OAEP_SHA_256';
    made.push(inMemory ? ephemeralInMemory(token, made[0]!, encrypted) : cryptoki.unwrap(holder, made[0]!, encrypted, ephemeralKey, by));
    return undefined;
  } finally {
    for (const handle of made) token.destroy(handle);
  }
}

function failureOfOaep(
  token: OpenToken,
  root: KeyHandle,
  { blob, publicKey }: Awaited<ReturnType<typeof bearPair>>,
  algorithm: (typeof ENCRYPTION_ALGORITHMS)[number],
): string | undefined {
  const made: KeyHandle[] = [];
  try {
    const key = token.cryptoki.unwrap(token.holder, root, blob, versionInUse(TRIED_RSA, 'ENCRYPT_DECRYPT'), 'kwp');
    made.push(key);
    const open = publicHandle(token, TRIED_RSA, 'ENCRYPT_DECRYPT', publicKey);
    made.push(open);
    const text = randomBytes(32);
    return decryptOaep(token, key, algorithm, encryptOaep(token, open, algorithm, text)).equals(text)
      ? undefined
      : 'it decrypts to something else';
  } finally {
    for (const handle of made) token.destroy(handle);
  }
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
