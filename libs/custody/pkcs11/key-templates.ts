import { createHash } from 'node:crypto';
import type { KeySpec, KeyUsage, SoftwareSpec } from '#contract';
import type { LogAlgorithm } from '#core';
import type { HmacHash } from './mechanisms.js';
import { KEY_TYPE, mechanismList, OBJECT_CLASS } from './template.js';
import type { Template } from './template.js';

/** Every token object of Keyward has a label that starts so. */
export const LABEL_PREFIX = 'keyward/';
const rootLabel = (tenant: string) => `${LABEL_PREFIX}root/${tenant}`;
/** The first is older than numbers. */
export const logKeyLabel = (tenant: string, number: number) => `${LABEL_PREFIX}log/${tenant}${number === 1 ? '' : `/${number}`}`;
export const BINDING_KEY_LABEL = `${LABEL_PREFIX}binding-key`;
export const CANARY_ROOT_LABEL = `${LABEL_PREFIX}canary-root`;

/** Label and CKA_ID together: an object that a crash left half made has no CKA_ID, and is never found. */
export const named = (label: string): Template => ({ label, id: idOf(label) });
const idOf = (label: string): Buffer => createHash('sha256').update(label).digest().subarray(0, 16);

/** All roots of a tenant have one CKA_ID. */
export const anyRoot = (tenant: string): Template => ({ id: idOf(rootLabel(tenant)) });
/** All binding keys have one CKA_ID, too. */
export const anyBindingKey: Template = { id: idOf(BINDING_KEY_LABEL) };
export const namedBindingKey = (number: number): Template => ({
  ...anyBindingKey,
  label: number === 0 ? BINDING_KEY_LABEL : `${BINDING_KEY_LABEL}#${number}`,
});
/** The number in a binding key's label; undefined for anything else. */
export const bindingKeyNumber = (label: string): number | undefined => numberAfter(BINDING_KEY_LABEL, label);

/** The first one's label carries no number. */
export const namedRoot = (tenant: string, number: number): Template => ({
  ...anyRoot(tenant),
  label: number === 0 ? rootLabel(tenant) : `${rootLabel(tenant)}#${number}`,
});

/** The number in a root's label; undefined for anything else. */
export const rootNumber = (tenant: string, label: string): number | undefined => numberAfter(rootLabel(tenant), label);

function numberAfter(first: string, label: string): number | undefined {
  if (label === first) return 0;
  const digits = label.startsWith(`${first}#`) ? label.slice(first.length + 1) : '';
  return /^[1-9]\d{0,8}$/.test(digits) ? Number(digits) : undefined;
}

const NEVER_LEAVES = { private: true, sensitive: true, extractable: false } as const;
const NO_USE = { encrypt: false, decrypt: false, wrap: false, unwrap: false, sign: false, verify: false } as const;
const GENERIC_SECRET = { class: OBJECT_CLASS.secret, keyType: KEY_TYPE.generic } as const;
const AES_SECRET = { class: OBJECT_CLASS.secret, keyType: KEY_TYPE.aes } as const;

/** Wraps and unwraps, and nothing else; by these mechanisms, if they are told. Decided at creation, because it is not modifiable later. */
export const rootTemplate = (name: Template, mechanisms?: readonly number[]): Template => ({
  ...AES_SECRET,
  ...NEVER_LEAVES,
  ...NO_USE,
  ...name,
  token: true,
  modifiable: false,
  valueLen: 32,
  wrap: true,
  unwrap: true,
  ...(mechanisms && { allowedMechanisms: mechanismList(...mechanisms) }),
});

/** Parameters are the DER of the curve's identifier; `bytes` those of a coordinate and of the order. */
export const CURVES = {
  EC_P256: { params: Buffer.from('06082a8648ce3d030107', 'hex'), crv: 'P-256', bytes: 32 },
  EC_P384: { params: Buffer.from('06052b81040022', 'hex'), crv: 'P-384', bytes: 48 },
  EC_P256K: { params: Buffer.from('06052b8104000a', 'hex'), crv: 'secp256k1', bytes: 32 },
} as const;
export type CurveSpec = keyof typeof CURVES;
/** Bits of the modulus. */
export const RSA_BITS = { RSA_2048: 2048, RSA_3072: 3072, RSA_4096: 4096 } as const;
export type RsaSpec = keyof typeof RSA_BITS;
/** Pairs whose public half is put into the token; Ed25519 is verified outside of it (pair-uses.ts). */
export type HandledSpec = CurveSpec | RsaSpec;
export type PairSpec = HandledSpec | 'ED25519';
type SecretSpec = Exclude<KeySpec, PairSpec | SoftwareSpec>;
const PRIVATE_EC = {
  ...{ class: OBJECT_CLASS.private, keyType: KEY_TYPE.ec, sign: true },
  ...{ decrypt: false, unwrap: false, derive: false },
} as const;
const PRIVATE_EDWARDS = { ...PRIVATE_EC, keyType: KEY_TYPE.edwards } as const;
const PRIVATE_RSA = { class: OBJECT_CLASS.private, keyType: KEY_TYPE.rsa, unwrap: false } as const;
const F4 = Buffer.from('010001', 'hex');

/** What AES-KW (RFC 3394) adds. A blob of another length is another key. */
export const KW_BYTES = 8;
export const HASH_OF: Readonly<Partial<Record<KeySpec, HmacHash>>> = { HMAC_256: 'SHA-256', HMAC_384: 'SHA-384', HMAC_512: 'SHA-512' };
export const KEY_BYTES: Readonly<Record<SecretSpec, number>> = { AES_256: 32, AES_128: 16, HMAC_256: 32, HMAC_384: 48, HMAC_512: 64 };

/** A CMK version at birth: extractable, only so that its root can wrap it; destroyed right after that. */
export const newbornVersion = (spec: SecretSpec): Template => ({
  ...versionInUse(spec, 'ENCRYPT_DECRYPT'),
  extractable: true,
  valueLen: KEY_BYTES[spec],
});

/** A CMK version in use. No CKA_VALUE_LEN: SoftHSM refuses it when unwrapping. */
export function versionInUse(spec: Exclude<KeySpec, SoftwareSpec>, usage: KeyUsage): Template {
  if (isRsa(spec)) return { ...PRIVATE_RSA, ...NEVER_LEAVES, ...privateUse(usage), token: false };
  if (isEdwards(spec)) return { ...PRIVATE_EDWARDS, ...NEVER_LEAVES, token: false };
  if (isPair(spec)) return { ...PRIVATE_EC, ...NEVER_LEAVES, token: false };
  const kind = isCipher(spec) ? { ...AES_SECRET, ...NO_USE, encrypt: true, decrypt: true } : { ...GENERIC_SECRET, ...NO_USE, sign: true };
  return { ...kind, ...NEVER_LEAVES, token: false };
}

/** From one root to another: extractable, only so that the other can wrap it; destroyed right after that. */
export const versionInTransit = (spec: Exclude<KeySpec, SoftwareSpec>, usage: KeyUsage): Template => ({
  ...versionInUse(spec, usage),
  extractable: true,
});

export const isCipher = (spec: KeySpec): spec is 'AES_256' | 'AES_128' => spec === 'AES_256' || spec === 'AES_128';

export const isRsa = (spec: KeySpec): spec is RsaSpec => Object.hasOwn(RSA_BITS, spec);
export const isCurve = (spec: KeySpec): spec is CurveSpec => Object.hasOwn(CURVES, spec);
export const isEdwards = (spec: KeySpec): spec is 'ED25519' => spec === 'ED25519';
export const isPair = (spec: KeySpec): spec is PairSpec => isCurve(spec) || isRsa(spec) || isEdwards(spec);

const privateUse = (usage: KeyUsage) => ({ sign: usage === 'SIGN_VERIFY', decrypt: usage === 'ENCRYPT_DECRYPT' });

/** The private half of a wrapping key: it unwraps what comes from outside, and nothing else. */
export const wrappingKeyInUse: Template = { ...PRIVATE_RSA, ...NEVER_LEAVES, token: false, unwrap: true, sign: false, decrypt: false };
/** As versionInTransit. */
export const wrappingKeyInTransit: Template = { ...wrappingKeyInUse, extractable: true };
/** As wrappingKeyInUse, where the padding is taken off in memory: it decrypts instead. */
export const wrappingKeyDecrypting: Template = { ...wrappingKeyInUse, unwrap: false, decrypt: true };
/** An AES key that came with its material, to unwrap that. */
export const ephemeralKey: Template = { ...AES_SECRET, ...NEVER_LEAVES, ...NO_USE, token: false, unwrap: true };
export const EPHEMERAL_BYTES = 32;
/** An AES key on a handle of its own, for its check value: the one in use signs nothing. */
export const checkedKey: Template = { ...AES_SECRET, ...NEVER_LEAVES, ...NO_USE, token: false, sign: true };

/** As newbornVersion, of a key that is unwrapped: SoftHSM refuses a length there. */
export function incomingVersion(spec: Exclude<KeySpec, SoftwareSpec>, usage: KeyUsage): Template {
  return { ...versionInUse(spec, usage), extractable: true };
}

/** A private key at birth, as newbornVersion. */
export const newbornPrivateKey = (spec: PairSpec, usage: KeyUsage): Template => ({ ...versionInUse(spec, usage), extractable: true });

const PUBLIC = { class: OBJECT_CLASS.public, token: false, private: false } as const;
/** Without what tells one key from another: its point, or its modulus. */
export function publicKeyInUse(spec: PairSpec, usage: KeyUsage): Template {
  if (isEdwards(spec)) return { ...PUBLIC, keyType: KEY_TYPE.edwards, verify: true };
  if (isCurve(spec)) return { ...PUBLIC, keyType: KEY_TYPE.ec, verify: true, ecParams: CURVES[spec].params };
  return { ...PUBLIC, keyType: KEY_TYPE.rsa, verify: usage === 'SIGN_VERIFY', encrypt: usage === 'ENCRYPT_DECRYPT', publicExponent: F4 };
}

export const bindingKey = (number: number): Template => ({
  ...GENERIC_SECRET,
  ...NEVER_LEAVES,
  ...NO_USE,
  ...namedBindingKey(number),
  token: true,
  modifiable: false,
  valueLen: 32,
  sign: true,
  verify: true,
});

export const KEY_TYPE_OF_LOG = { Ed25519: KEY_TYPE.edwards, ECDSA_P256: KEY_TYPE.ec } as const;

export const logPublicKey = (algorithm: LogAlgorithm, label: string): Template => ({
  ...{ class: OBJECT_CLASS.public, keyType: KEY_TYPE_OF_LOG[algorithm], token: true, private: false, verify: true },
  ...(algorithm === 'ECDSA_P256' && { ecParams: CURVES.EC_P256.params }),
  ...named(label),
});

export const logPrivateKey = (algorithm: LogAlgorithm, label: string): Template => ({
  ...{ class: OBJECT_CLASS.private, keyType: KEY_TYPE_OF_LOG[algorithm], token: true, sign: true },
  ...NEVER_LEAVES,
  ...named(label),
});
