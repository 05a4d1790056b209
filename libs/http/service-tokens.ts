import { importJWK } from 'jose';
import type { ServicePublicKey } from '#contract';
import type { Clock, Principal } from '#core';
import type { Presented } from './bearer.js';
import type { KnownCredentials } from './known-credentials.js';
import { unauthenticated } from './unauthenticated.js';
import { verifiedToken } from './verified-token.js';

/** What a service signs is meant for now: whoever finds it in a log finds it ended. */
export const LONGEST_SERVICE_TOKEN_SECONDS = 600;

const ALGORITHM: { readonly [Kind in ServicePublicKey['kty']]: string } = { OKP: 'EdDSA', EC: 'ES256' };

/** Tokens that a service signed itself (after RFC 7523 §3): `iss` and `sub` are its credential's id, `aud` is this installation. */
export class ServiceTokens {
  constructor(
    private readonly credentials: Pick<KnownCredentials, 'serviceKey' | 'ofService'>,
    private readonly audience: string,
    private readonly clock: Clock,
  ) {}

  /** @throws KeywardError `unauthenticated`, or `unavailable` when that cannot be known now */
  async authenticate({ text: token, credentialId }: Extract<Presented, { method: 'private-key-jwt' }>): Promise<Principal> {
    const publicKey = await this.credentials.serviceKey(credentialId);
    if (publicKey === undefined) throw unauthenticated('unknown');
    // The key says which algorithm: what the token says of itself only has to agree.
    const algorithm = ALGORITHM[publicKey.kty];
    const { sub, exp, iat } = await verifiedToken(token, async () => await importJWK(publicKey, algorithm), {
      algorithms: [algorithm],
      issuer: credentialId,
      audience: this.audience,
      longestSeconds: LONGEST_SERVICE_TOKEN_SECONDS + 60,
      now: this.clock.now(),
    });
    if (sub !== credentialId) throw unauthenticated('token-of-another');
    if (iat === undefined || exp - iat > LONGEST_SERVICE_TOKEN_SECONDS) throw unauthenticated('token-too-long');
    return await this.credentials.ofService(token, credentialId, new Date(exp * 1000));
  }
}
