import { hash, type KeyObject } from 'node:crypto';
import { PLATFORM, type CredentialId, type ServicePublicKey, type TenantId } from '#contract';
import { apiKeyMac, parseApiKey, proofOf, sameMac } from './api-key.js';
import { BoundedMap } from './bounded-map.js';
import { KeywardError } from './errors.js';
import type { Clock } from './ports/clock.js';
import type { RuleStore, StoredCredential, StoredIdentityProvider } from './ports/rules.js';
import type { Principal, Token } from './principal.js';

const CACHE_SIZE = 10_000;
/** A verified token is looked at again after this, whatever its own end: its signer's key may be gone. */
const TOKEN_CACHE_MS = 60_000;

/** A credential as it was last read. Shared by everything that was presented for it, so one reading serves them all. */
interface Reading {
  stored: StoredCredential;
  epoch: string;
  /** The version of the identity provider under that epoch, once a token asked for it. */
  provider: string | undefined;
  gone: boolean;
}

/** Of no epoch: to be confirmed before anything is decided. */
const UNCONFIRMED = '';

interface Known {
  readonly reading: Reading;
  readonly token: Token | undefined;
  readonly until: number;
  principal: Principal;
}

const unauthenticated = (reason: string) => new KeywardError('unauthenticated', '', { reason });

/**
 * Who holds this API key, or this token? Cached by digest; what a cached answer is worth is settled later, by the epochs:
 * whoever decides calls `confirm`, and the trail's fence compares the epoch that was confirmed.
 * Everything here throws KeywardError `unauthenticated`, for whatever reason: the caller is told nothing else.
 */
export class Credentials {
  readonly #presented = new BoundedMap<string, Known>(CACHE_SIZE);
  readonly #readings = new BoundedMap<CredentialId, Reading>(CACHE_SIZE);

  constructor(
    private readonly rules: Pick<RuleStore, 'credential' | 'credentialOfSubject' | 'identityProvider'>,
    private readonly pepper: KeyObject,
    private readonly clock: Clock,
  ) {}

  /** From the cache, or undefined; expiry is checked here, revocation by `confirm`. */
  cached(presented: string): Principal | undefined {
    const known = this.#presented.get(digestOf(presented));
    if (known === undefined || known.reading.gone) return undefined;
    const { reading, token } = known;
    if (known.principal.epoch !== reading.epoch && vouchesFor(reading, token))
      known.principal = principalOf(reading.stored, reading.epoch, token);
    const now = this.#now();
    return known.until > now && known.principal.expiresAt.getTime() > now ? known.principal : undefined;
  }

  async authenticate(apiKey: string): Promise<Principal> {
    const key = parseApiKey(apiKey);
    if (key === undefined) throw unauthenticated('malformed');
    const found = await this.rules.credential(key.tenant, key.credentialId);
    // An unknown id costs the same MAC as a known one.
    const stored = found?.credential ?? { ...nobody, tenant: key.tenant, credentialId: key.credentialId };
    const fits = sameMac(apiKeyMac(this.pepper, stored, key.secret), stored.mac);
    if (!fits || found === undefined || stored.authMethod !== 'api-key') throw unauthenticated('unknown');
    return this.#remember(apiKey, this.#read(found), undefined);
  }

  /** The public key that a service registered under this credential of `platform`. */
  async serviceKey(id: CredentialId): Promise<ServicePublicKey | undefined> {
    const found = await this.rules.credential(PLATFORM, id);
    return found?.credential.authMethod === 'private-key-jwt' ? this.#proven(found).credential.publicKey : undefined;
  }

  async identityProvider(tenant: TenantId): Promise<StoredIdentityProvider | undefined> {
    return (await this.rules.identityProvider(tenant))?.provider;
  }

  /** A token that was verified with `serviceKey(id)`. */
  async ofService(presented: string, id: CredentialId, expiresAt: Date): Promise<Principal> {
    const found = await this.rules.credential(PLATFORM, id);
    if (found?.credential.authMethod !== 'private-key-jwt') throw unauthenticated('unknown');
    return this.#remember(presented, this.#read(this.#proven(found)), { expiresAt, provider: undefined });
  }

  /** A token of the tenant's identity provider, verified under `provider`. */
  async ofSubject(
    presented: string,
    tenant: TenantId,
    subject: string,
    provider: StoredIdentityProvider,
    expiresAt: Date,
  ): Promise<Principal> {
    const found = await this.rules.credentialOfSubject(tenant, subject);
    if (found?.credential.subject !== subject || found.credential.issuer !== provider.issuer) throw unauthenticated('unknown-subject');
    // Provider and credential were read one after the other: `confirm` reads both under one epoch.
    const reading = this.#readings.get(found.credential.credentialId) ?? this.#read({ ...this.#proven(found), epoch: UNCONFIRMED });
    return this.#remember(presented, reading, { expiresAt, provider: provider.version });
  }

  /**
   * The principal as of `epoch` of its own tenant: re-read unless it was read under just that epoch. The answer may be of a newer
   * epoch, or of none if rules changed between two reads: then it is not good for `epoch`.
   */
  async confirm(principal: Principal, epoch: string): Promise<Principal> {
    const { credentialId, tenant, token } = principal;
    const known = this.#readings.get(credentialId);
    if (known === undefined && principal.epoch === epoch) return this.#valid(principal);
    if (known?.epoch === epoch && vouchesFor(known, token))
      return this.#valid(principal.epoch === epoch ? principal : principalOf(known.stored, epoch, token));
    const found = await this.rules.credential(tenant, credentialId);
    try {
      if (found === undefined) throw unauthenticated('unknown');
      const fresh = this.#valid(principalOf(found.credential, found.epoch, token));
      const reading = this.#read(found);
      return token?.provider === undefined ? fresh : await this.#vouchedFor(fresh, token.provider, reading);
    } catch (error) {
      this.#forget(credentialId);
      throw error;
    }
  }

  /** Tokens count only under the identity provider as it was when they were verified. */
  async #vouchedFor(principal: Principal, provider: string, reading: Reading): Promise<Principal> {
    const found = await this.rules.identityProvider(principal.tenant);
    if (found?.provider.version !== provider) throw unauthenticated('identity-provider-changed');
    if (found.epoch !== principal.epoch) return { ...principal, epoch: UNCONFIRMED };
    if (reading.epoch === found.epoch) reading.provider = provider;
    return principal;
  }

  /** Without a secret to fit: what the row says of itself must fit its MAC under the pepper. */
  #proven(found: { readonly epoch: string; readonly credential: StoredCredential }) {
    const { credential } = found;
    if (!sameMac(apiKeyMac(this.pepper, credential, proofOf(credential)), credential.mac)) throw unauthenticated('unknown');
    return found;
  }

  #remember(presented: string, reading: Reading, token: Token | undefined): Principal {
    const principal = this.#valid(principalOf(reading.stored, vouchesFor(reading, token) ? reading.epoch : UNCONFIRMED, token));
    const until = token === undefined ? Number.POSITIVE_INFINITY : this.#now() + TOKEN_CACHE_MS;
    if (principal.unproven !== true) this.#presented.set(digestOf(presented), { reading, token, until, principal });
    return principal;
  }

  /** What is kept of a reading; one that custody could not check is not kept. */
  #read({ epoch, credential: stored }: { epoch: string; credential: StoredCredential }): Reading {
    const reading = { stored, epoch, provider: undefined, gone: false };
    if (stored.unproven === true) return reading;
    const known = this.#readings.get(stored.credentialId);
    return known === undefined ? this.#readings.set(stored.credentialId, reading) : Object.assign(known, reading);
  }

  #forget(id: CredentialId): void {
    const known = this.#readings.get(id);
    if (known !== undefined) known.gone = true;
    this.#readings.delete(id);
  }

  #valid(principal: Principal): Principal {
    if (principal.expiresAt.getTime() <= this.#now()) throw unauthenticated('expired');
    return principal;
  }

  #now(): number {
    return this.clock.now().getTime();
  }
}

const nobody: StoredCredential = {
  tenant: PLATFORM,
  credentialId: '' as CredentialId,
  principal: '',
  role: 'service',
  authMethod: 'api-key',
  mac: new Uint8Array(32),
  subject: undefined,
  issuer: undefined,
  publicKey: undefined,
  createdAt: new Date(0),
  expiresAt: new Date(0),
  revokedAt: undefined,
  bindingMac: new Uint8Array(32),
};

/** The cache's key: the secret itself would stay on the heap as a string for as long as the entry. */
const digestOf = (presented: string): string => hash('sha256', presented, 'base64');

const vouchesFor = (reading: Reading, token: Token | undefined): boolean =>
  token?.provider === undefined || token.provider === reading.provider;

function principalOf(stored: StoredCredential, epoch: string, token: Token | undefined): Principal {
  if (stored.revokedAt !== undefined) throw unauthenticated('revoked');
  const { tenant, credentialId, role, authMethod, principal: name, unproven } = stored;
  const expiresAt = token !== undefined && token.expiresAt < stored.expiresAt ? token.expiresAt : stored.expiresAt;
  return { role, tenant, name, credentialId, authMethod, expiresAt, epoch, ...(token && { token }), ...(unproven && { unproven }) };
}
