import type { Clock, Principal } from '#core';
import type { KnownCredentials } from './known-credentials.js';
import type { Presented } from './bearer.js';
import type { EdgeLog } from './edge-log.js';
import type { Egress } from './egress/egress.js';
import { ProviderKeys } from './provider-keys.js';
import { unauthenticated } from './unauthenticated.js';
import { verifiedToken } from './verified-token.js';

const LONGEST_SECONDS = 24 * 3600;

/**
 * Tokens of the identity provider that a tenant's admin named. Which tenant is asked the request's path alone: two tenants may name one
 * issuer, and a token says nothing of which of them it is for but by its audience.
 */
export class PeopleTokens {
  readonly #keys: ProviderKeys;

  constructor(
    private readonly credentials: Pick<KnownCredentials, 'identityProvider' | 'ofSubject'>,
    egress: Pick<Egress, 'json'>,
    private readonly clock: Clock,
    log: EdgeLog,
  ) {
    this.#keys = new ProviderKeys(egress, clock, (tenant, reason) => log.providerSilent(tenant, reason));
  }

  /** @throws KeywardError `unauthenticated`, or `unavailable` when that cannot be known now */
  async authenticate({ text, token, tenant }: Extract<Presented, { method: 'oidc' }>): Promise<Principal> {
    const provider = await this.credentials.identityProvider(tenant);
    if (provider === undefined) throw unauthenticated('no-identity-provider');
    const { algorithms, issuer, audience } = provider;
    let keysUntil = 0;
    const keyOf = async (header: { alg: string; kid?: string }) => {
      const { key, until } = await this.#keys.find(tenant, provider, header);
      keysUntil = until;
      return key;
    };
    const expected = { algorithms, issuer, audience, longestSeconds: LONGEST_SECONDS, now: this.clock.now() };
    const { sub, exp } = await verifiedToken(token, keyOf, expected);
    // The answer is kept no longer than the keys that it was found with.
    return await this.credentials.ofSubject(text, tenant, sub, provider, new Date(Math.min(exp * 1000, keysUntil)));
  }
}
