import { hash, type KeyObject } from 'node:crypto';
import { PLATFORM, type CredentialId } from '#contract';
import { apiKeyMac, parseApiKey, sameMac } from './api-key.js';
import { KeywardError } from './errors.js';
import type { Clock } from './ports/clock.js';
import type { RuleStore, StoredCredential } from './ports/rules.js';
import type { Principal } from './principal.js';

const CACHE_SIZE = 10_000;

interface Known {
  readonly digest: string;
  principal: Principal;
}

const unauthenticated = (reason: string) => new KeywardError('unauthenticated', '', { reason });

/**
 * Who holds this API key? Cached by digest; what a cached answer is worth is settled later, by the epochs:
 * whoever decides calls `confirm`, and the trail's fence compares the epoch that was confirmed.
 */
export class Credentials {
  readonly #byDigest = new Map<string, Known>();
  readonly #byId = new Map<CredentialId, Known>();

  constructor(
    private readonly rules: RuleStore,
    private readonly pepper: KeyObject,
    private readonly clock: Clock,
  ) {}

  /** From the cache, or undefined; expiry is checked here, revocation by `confirm`. */
  cached(apiKey: string): Principal | undefined {
    const known = this.#byDigest.get(digestOf(apiKey));
    return known !== undefined && known.principal.expiresAt.getTime() > this.clock.now().getTime() ? known.principal : undefined;
  }

  /** @throws KeywardError unauthenticated, for whatever reason: the caller is told nothing else. */
  async authenticate(apiKey: string): Promise<Principal> {
    const key = parseApiKey(apiKey);
    if (key === undefined) throw unauthenticated('malformed');
    const found = await this.rules.credential(key.tenant, key.credentialId);
    // An unknown id costs the same MAC as a known one.
    const stored = found?.credential ?? { ...nobody, tenant: key.tenant, credentialId: key.credentialId };
    const fits = sameMac(apiKeyMac(this.pepper, stored, key.secret), stored.mac);
    if (!fits || found === undefined) throw unauthenticated('unknown');
    return this.#remember(digestOf(apiKey), principalOf(found.credential, found.epoch, this.clock));
  }

  /**
   * The principal as of `epoch` of its own tenant: re-read unless it was read under just that epoch.
   * @throws KeywardError unauthenticated when it is revoked or has expired meanwhile
   */
  async confirm(principal: Principal, epoch: string): Promise<Principal> {
    const known = this.#byId.get(principal.credentialId);
    const current = principal.epoch === epoch ? principal : known?.principal;
    if (current?.epoch === epoch && current.expiresAt.getTime() > this.clock.now().getTime()) return current;
    const found = await this.rules.credential(principal.tenant, principal.credentialId);
    try {
      if (found === undefined) throw unauthenticated('unknown');
      const fresh = principalOf(found.credential, found.epoch, this.clock);
      if (known !== undefined) known.principal = fresh;
      return fresh;
    } catch (error) {
      this.#forget(principal.credentialId);
      throw error;
    }
  }

  #remember(digest: string, principal: Principal): Principal {
    if (this.#byDigest.size >= CACHE_SIZE) this.#forget(this.#byId.keys().next().value!);
    const known = { digest, principal };
    this.#byDigest.set(digest, known);
    this.#byId.set(principal.credentialId, known);
    return principal;
  }

  #forget(id: CredentialId): void {
    const known = this.#byId.get(id);
    this.#byId.delete(id);
    if (known !== undefined) this.#byDigest.delete(known.digest);
  }
}

const nobody: StoredCredential = {
  tenant: PLATFORM,
  credentialId: '' as CredentialId,
  principal: '',
  role: 'service',
  mac: new Uint8Array(32),
  expiresAt: new Date(0),
  revokedAt: undefined,
};

/** The cache's key: the secret itself would stay on the heap as a string for as long as the entry. */
const digestOf = (apiKey: string): string => hash('sha256', apiKey, 'base64');

function principalOf(stored: StoredCredential, epoch: string, clock: Clock): Principal {
  if (stored.revokedAt !== undefined) throw unauthenticated('revoked');
  if (stored.expiresAt.getTime() <= clock.now().getTime()) throw unauthenticated('expired');
  const { tenant, credentialId, role, expiresAt } = stored;
  return { role, tenant, name: stored.principal, credentialId, expiresAt, epoch };
}
