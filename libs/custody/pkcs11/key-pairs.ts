import { createPublicKey, randomBytes } from 'node:crypto';
import type { KeyUsage } from '#contract';
import { CustodyUnavailable } from '#core';
import type { KeyHandle, KeyPair } from './cryptoki.js';
import {
  CURVES,
  type CurveSpec,
  type HandledSpec,
  isCurve,
  isEdwards,
  isRsa,
  newbornPrivateKey,
  type PairSpec,
  publicKeyInUse,
  RSA_BITS,
  type RsaSpec,
  versionInUse,
} from './key-templates.js';
import type { OpenToken } from './open-token.js';
import { decryptOaep, encryptOaep, isEd25519, isSignature, signatureOf } from './pair-uses.js';

const ANOTHER_KEY = 'the unwrapped key is another one';
const ED25519_SPKI = Buffer.from('302a300506032b6570032100', 'hex');

export interface BornPair {
  readonly blob: Buffer;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Buffer;
}

/**
 * Makes a pair, wraps its private half under a root, and destroys both. What comes out has proven itself: the unwrapped private half
 * and the public one undo each other (FIPS 140-3, pairwise consistency). RSA takes seconds, on another thread.
 */
export async function bearPair(token: OpenToken, root: KeyHandle, spec: PairSpec, usage: KeyUsage): Promise<BornPair> {
  const born = isRsa(spec) ? await bearRsa(token, root, spec, usage) : bearOnCurve(token, root, spec, usage);
  const failure = failureOfPair(token, root, spec, usage, born);
  if (failure !== undefined) throw new CustodyUnavailable(failure);
  return born;
}

/** What is wrong with a pair that was just made, or came; nothing of it stays. */
export function failureOfPair(
  token: OpenToken,
  root: KeyHandle,
  spec: PairSpec,
  usage: KeyUsage,
  { blob, publicKey }: BornPair,
): string | undefined {
  const made: KeyHandle[] = [];
  try {
    const key = token.cryptoki.unwrap(token.holder, root, blob, versionInUse(spec, usage), 'kwp');
    made.push(key);
    if (isEdwards(spec)) {
      const message = randomBytes(32);
      return isEd25519(publicKey, message, signatureOf(token, key, spec, 'ED25519_SHA_512', message)) ? undefined : ANOTHER_KEY;
    }
    const open = publicHandle(token, spec, usage, publicKey);
    made.push(open);
    return undoEachOther(token, spec, usage, key, open) ? undefined : ANOTHER_KEY;
  } finally {
    for (const handle of made) token.destroy(handle);
  }
}

function undoEachOther(token: OpenToken, spec: HandledSpec, usage: KeyUsage, key: KeyHandle, open: KeyHandle): boolean {
  const digest = randomBytes(isCurve(spec) ? CURVES[spec].bytes : 32);
  if (usage === 'ENCRYPT_DECRYPT') {
    const sealed = encryptOaep(token, open, 'RSAES_OAEP_SHA_1', digest);
    return decryptOaep(token, key, 'RSAES_OAEP_SHA_1', sealed).equals(digest);
  }
  const algorithm = isCurve(spec) ? 'ECDSA' : 'RSASSA_PKCS1_V1_5_SHA_256';
  return isSignature(token, open, spec, algorithm, digest, signatureOf(token, key, spec, algorithm, digest));
}

/** Puts a public key back into the token, to verify with or to encrypt to. */
export function publicHandle(token: OpenToken, spec: HandledSpec, usage: KeyUsage, spki: Uint8Array): KeyHandle {
  const { x = '', y = '', n = '', e } = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' }).export({ format: 'jwk' });
  const template = publicKeyInUse(spec, usage);
  if (!isCurve(spec)) {
    if (e !== 'AQAB') throw new RangeError('The public exponent is not 65537.');
    return token.cryptoki.createPublicKey(token.holder, { ...template, modulus: Buffer.from(n, 'base64url') });
  }
  const point = Buffer.concat([Uint8Array.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
  return token.cryptoki.createPublicKey(token.holder, { ...template, ecPoint: Buffer.concat([Uint8Array.of(4, point.length), point]) });
}

function bearOnCurve(token: OpenToken, root: KeyHandle, spec: CurveSpec | 'ED25519', usage: KeyUsage): BornPair {
  const { cryptoki, holder } = token;
  const [open, secret] = [publicKeyInUse(spec, usage), newbornPrivateKey(spec, usage)];
  const pair = isEdwards(spec) ? cryptoki.generateEd25519(holder, open, secret) : cryptoki.generateEc(holder, open, secret);
  try {
    const point = cryptoki.attribute(holder, pair.publicKey, 'ecPoint');
    const publicKey = isEdwards(spec) ? Buffer.concat([ED25519_SPKI, edwardsPoint(point)]) : spkiOf(spec, point);
    return { blob: cryptoki.wrap(holder, root, pair.privateKey, 'kwp'), publicKey };
  } finally {
    token.destroy(pair.privateKey);
    token.destroy(pair.publicKey);
  }
}

/** The pair ends with its session. */
function bearRsa(token: OpenToken, root: KeyHandle, spec: RsaSpec, usage: KeyUsage): Promise<BornPair> {
  const { cryptoki, holder } = token;
  return token.aside(async (session) => {
    const template = { ...publicKeyInUse(spec, usage), modulusBits: RSA_BITS[spec] };
    const pair: KeyPair = await cryptoki.generateRsa(session, template, newbornPrivateKey(spec, usage));
    const modulus = cryptoki.attribute(holder, pair.publicKey, 'modulus');
    if (modulus.length !== RSA_BITS[spec] / 8) throw new CustodyUnavailable('the module made a modulus of another length');
    return { blob: cryptoki.wrap(holder, root, pair.privateKey, 'kwp'), publicKey: rsaSpki(modulus) };
  });
}

const rsaSpki = (modulus: Buffer): Buffer =>
  createPublicKey({ key: { kty: 'RSA', n: modulus.toString('base64url'), e: 'AQAB' }, format: 'jwk' }).export({
    type: 'spki',
    format: 'der',
  });

/** CKA_EC_POINT is the DER octet string of 04 ‖ x ‖ y (SEC 1, 2.3.3), or that point itself. */
export function spkiOf(spec: CurveSpec, ecPoint: Buffer): Buffer {
  const { bytes, crv } = CURVES[spec];
  const point = ecPoint.subarray(-(1 + 2 * bytes));
  if (point.length !== 1 + 2 * bytes || point[0] !== 4) throw new CustodyUnavailable('the module answered an unknown form of a point');
  const x = point.toString('base64url', 1, 1 + bytes);
  const y = point.toString('base64url', 1 + bytes);
  return createPublicKey({ key: { kty: 'EC', crv, x, y }, format: 'jwk' }).export({ type: 'spki', format: 'der' });
}

/** Modules answer CKA_EC_POINT as a DER octet string (04 20 ‖ 32 bytes) or raw. */
export function edwardsPoint(point: Buffer): Uint8Array {
  const raw = point.length === 34 && point[0] === 0x04 && point[1] === 0x20 ? point.subarray(2) : point;
  if (raw.length !== 32) throw new CustodyUnavailable('the module answered an unknown form of an Ed25519 point');
  return Uint8Array.from(raw);
}
