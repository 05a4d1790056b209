import { createPublicKey } from 'node:crypto';
import { CustodyUnavailable } from '#core';
import type { KeyHandle } from './cryptoki.js';
import { CURVES, newbornPrivateKey, type PairSpec, publicKeyInUse } from './key-templates.js';
import type { OpenToken } from './open-token.js';

/** Makes a pair, wraps its private half under a root, and destroys both. The public half is a SubjectPublicKeyInfo, DER. */
export function bearPair(token: OpenToken, root: KeyHandle, spec: PairSpec): { readonly blob: Buffer; readonly publicKey: Buffer } {
  const { cryptoki, holder } = token;
  const pair = cryptoki.generateEc(holder, publicKeyInUse(spec), newbornPrivateKey);
  try {
    const publicKey = spkiOf(spec, cryptoki.attribute(holder, pair.publicKey, 'ecPoint'));
    return { blob: cryptoki.wrap(holder, root, pair.privateKey, 'kwp'), publicKey };
  } finally {
    token.destroy(pair.privateKey);
    token.destroy(pair.publicKey);
  }
}

/** Puts a public key back into the token, to verify with. */
export function publicHandle(token: OpenToken, spec: PairSpec, spki: Uint8Array): KeyHandle {
  const { x, y } = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' }).export({ format: 'jwk' });
  const point = Buffer.concat([Uint8Array.of(4), Buffer.from(x ?? '', 'base64url'), Buffer.from(y ?? '', 'base64url')]);
  const ecPoint = Buffer.concat([Uint8Array.of(4, point.length), point]);
  return token.cryptoki.createPublicKey(token.holder, { ...publicKeyInUse(spec), ecPoint });
}

/** CKA_EC_POINT is the DER octet string of 04 ‖ x ‖ y (SEC 1, 2.3.3), or that point itself. */
function spkiOf(spec: PairSpec, ecPoint: Buffer): Buffer {
  const { bytes, crv } = CURVES[spec];
  const point = ecPoint.subarray(-(1 + 2 * bytes));
  if (point.length !== 1 + 2 * bytes || point[0] !== 4) throw new CustodyUnavailable('the module answered an unknown form of a point');
  const x = point.toString('base64url', 1, 1 + bytes);
  const y = point.toString('base64url', 1 + bytes);
  return createPublicKey({ key: { kty: 'EC', crv, x, y }, format: 'jwk' }).export({ type: 'spki', format: 'der' });
}
