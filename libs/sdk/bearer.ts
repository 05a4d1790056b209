import { createPrivateKey, KeyObject, randomUUID, sign, type webcrypto } from 'node:crypto';
import { InvalidCall } from './errors.js';

/** A service's own key, whose public half its operator registered: no secret of Keyward's lies anywhere. */
export interface SigningKey {
  /** `crd_…`, as the registration answered it. */
  readonly credentialId: string;
  /** Ed25519 or P-256. */
  readonly privateKey: KeyObject | webcrypto.JsonWebKey;
  /** What the plane expects as `aud`; default `keyward:keyward.local`. */
  readonly audience?: string;
}

/** How a caller proves who it is: an API key, a token of its identity provider (asked for anew for each call), or its own signature. */
export type Proof = { readonly apiKey: string } | { readonly token: () => string | Promise<string> } | { readonly signingKey: SigningKey };

/** What stands behind `Bearer`. */
export type Bearer = () => string | Promise<string>;

export function bearerOf(proof: Proof): Bearer {
  if ('apiKey' in proof) return () => proof.apiKey;
  return 'token' in proof ? proof.token : selfSigned(proof.signingKey);
}

const LIFETIME_S = 300;
/** A token is replaced this long before its end, so that it does not end on its way. */
const RENEWED_BEFORE_S = 60;

/** JWTs of the service itself (RFC 7523 §3), each used for some minutes. @throws InvalidCall for a key that is neither Ed25519 nor P-256 */
function selfSigned({ credentialId, privateKey, audience = 'keyward:keyward.local' }: SigningKey): Bearer {
  const key = privateKey instanceof KeyObject ? privateKey : createPrivateKey({ key: privateKey, format: 'jwk' });
  const algorithm = algorithmOf(key);
  let token = '';
  let renewAt = 0;
  return () => {
    const now = Math.floor(Date.now() / 1000);
    if (now < renewAt) return token;
    renewAt = now + LIFETIME_S - RENEWED_BEFORE_S;
    const claims = { iss: credentialId, sub: credentialId, aud: audience, iat: now, exp: now + LIFETIME_S, jti: randomUUID() };
    const body = `${part({ alg: algorithm, typ: 'JWT' })}.${part(claims)}`;
    const digest = algorithm === 'ES256' ? 'sha256' : null;
    // RFC 7518 §3.4: r and s side by side, not DER.
    const signature = sign(digest, Buffer.from(body), { key, dsaEncoding: 'ieee-p1363' });
    return (token = `${body}.${signature.toString('base64url')}`);
  };
}

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function algorithmOf({ type, asymmetricKeyType, asymmetricKeyDetails }: KeyObject): 'EdDSA' | 'ES256' {
  if (type === 'private' && asymmetricKeyType === 'ed25519') return 'EdDSA';
  if (type === 'private' && asymmetricKeyType === 'ec' && asymmetricKeyDetails?.namedCurve === 'prime256v1') return 'ES256';
  throw new InvalidCall('signingKey.privateKey must be an Ed25519 or P-256 private key.', { code: 'invalid-request' });
}
