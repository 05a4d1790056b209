import { createLocalJWKSet, errors, type JWK, type LocalJWKSet } from 'jose';
import { z } from 'zod';
import type { TenantId } from '#contract';
import { BoundedMap, type Clock, type StoredIdentityProvider } from '#core';
import type { Egress } from './egress/egress.js';
import { EgressError } from './egress/egress-error.js';
import { unauthenticated } from './unauthenticated.js';

const PROVIDERS = 1000;
/** Keys are asked for again after this … */
export const REFRESH_MS = 30_000;
/** … and count no longer than this after they were asked for, whether or not the provider answers: a key that it took back is dead. */
export const KEYS_LIVE_MS = 60_000;
/** Unknown key ids cost an attacker nothing, the provider a request each. */
export const ATTEMPT_MS = 10_000;

const base64url = (longest: number) =>
  z
    .string()
    .regex(/^[\w-]+$/)
    .max(longest);
const about = { kid: z.string().max(256).optional(), alg: z.string().optional(), use: z.string().optional() };
/** Public members only; RSA of at most 8192 bits with a small exponent, because the provider chooses what verifying costs us. */
const jwk = z.discriminatedUnion('kty', [
  z.object({ kty: z.literal('RSA'), n: base64url(1366), e: base64url(6), ...about }),
  z.object({ kty: z.literal('EC'), crv: z.enum(['P-256', 'P-384', 'P-521']), x: base64url(88), y: base64url(88), ...about }),
  z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: base64url(43), ...about }),
]);
const jwks = z.object({ keys: z.array(z.unknown()).max(200) });

/** What was last heard of one provider, under one version of it. */
interface Heard {
  keys: { readonly set: LocalJWKSet; readonly askedAt: number } | undefined;
  attemptedAt: number | undefined;
  underWay: Promise<void> | undefined;
}

interface Header {
  readonly alg: string;
  readonly kid?: string;
}

/** The signing keys of tenants' identity providers. Whoever waits for one provider's answer waits together. */
export class ProviderKeys {
  readonly #heard = new BoundedMap<string, Heard>(PROVIDERS);

  constructor(
    private readonly egress: Pick<Egress, 'json'>,
    private readonly clock: Clock,
    private readonly silent: (tenant: TenantId, reason: string) => void,
  ) {}

  /**
   * The key for a token's header, and until when (milliseconds) that answer counts.
   * @throws KeywardError `unauthenticated` when there is none, or the provider does not answer
   */
  async find(tenant: TenantId, provider: Pick<StoredIdentityProvider, 'version' | 'jwksUri'>, { alg, kid }: Header) {
    // Not by issuer or address: what one tenant's admin says of an issuer says nothing to another tenant.
    const name = `${tenant} ${provider.version}`;
    const heard = this.#heard.get(name) ?? this.#heard.set(name, { keys: undefined, attemptedAt: undefined, underWay: undefined });
    const ask = () => this.#ask(heard, tenant, provider.jwksUri);
    if (!this.#within(REFRESH_MS, heard.keys?.askedAt)) await ask();
    let key = await this.#match(heard, alg, kid);
    if (key === undefined) {
      await ask();
      key = await this.#match(heard, alg, kid);
    }
    if (key === undefined || heard.keys === undefined) throw unauthenticated('token-key-unknown');
    return { key, until: heard.keys.askedAt + KEYS_LIVE_MS };
  }

  async #match({ keys }: Heard, alg: string, kid: string | undefined) {
    if (keys === undefined || !this.#within(KEYS_LIVE_MS, keys.askedAt)) return undefined;
    try {
      return await keys.set({ alg, ...(kid !== undefined && { kid }) });
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey) return undefined;
      throw error;
    }
  }

  async #ask(heard: Heard, tenant: TenantId, uri: string): Promise<void> {
    if (heard.underWay === undefined && this.#within(ATTEMPT_MS, heard.attemptedAt)) return;
    heard.underWay ??= this.#fetch(heard, tenant, uri).finally(() => (heard.underWay = undefined));
    await heard.underWay;
  }

  async #fetch(heard: Heard, tenant: TenantId, uri: string): Promise<void> {
    const askedAt = this.#now();
    heard.attemptedAt = askedAt;
    try {
      heard.keys = { set: usableKeys(await this.egress.json(uri)), askedAt };
    } catch (error) {
      if (!(error instanceof EgressError)) throw error;
      this.silent(tenant, error.reason);
    }
  }

  /** A clock that was set back makes everything old, not young for long. */
  #within(span: number, since: number | undefined): boolean {
    const age = since === undefined ? -1 : this.#now() - since;
    return age >= 0 && age < span;
  }

  #now(): number {
    return this.clock.now().getTime();
  }
}

/** A set may hold keys of other kinds, for other uses (RFC 7517 §5): these are left out. */
function usableKeys(answer: unknown): LocalJWKSet {
  const set = jwks.safeParse(answer);
  if (!set.success) throw new EgressError('not-a-key-set');
  const keys = set.data.keys.map((key) => jwk.safeParse(key)).flatMap(({ data }) => (data === undefined ? [] : [data]));
  return createLocalJWKSet({ keys: keys as JWK[] });
}
