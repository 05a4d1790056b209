import { hash } from 'node:crypto';
import type { CredentialId, TenantId } from '#contract';
import { credentialRow, identityProviderRow, keyNamesRow, keyRotationRow, liftedStopsRow, policyRow, stopRow } from './bound-rows.js';
import { BoundedMap } from './bounded-map.js';
import { CustodyUnavailable, KeywardError, UnreadableRow } from './errors.js';
import type { BindingChecks, BoundKind, BoundRow } from './ports/custody.js';
import type { KeyLookup, RowProofs, RuleStore, StoredCredential, StoredStop, TenantRules } from './ports/rules.js';

/** Rows of one question to custody. */
const BATCH = 64;
const PROVEN_KEPT = 20_000;

export interface BrokenBinding {
  readonly tenant: TenantId;
  /** `unreadable`: not even of the form in which Keyward writes; `id` is what read it. */
  readonly kind: BoundKind | 'unreadable';
  readonly id: string;
}

export interface BoundRulesOptions {
  /** The alarm: somebody wrote a rule past Keyward. */
  readonly onBroken?: (broken: BrokenBinding) => void;
  /** How long custody may take before the rules count as unproven; default: as long as custody itself allows. */
  readonly patienceMs?: number;
}

type Proof = 'proven' | 'unproven' | BrokenBinding;

const NO_MAC = new Uint8Array(0);
const MAC_BYTES = 32;
/** What the custodian takes for an id. */
const ID = /^[!-~]{1,128}$/;

/**
 * Rules as the database has them, if their binding MACs are the HSM's: SQL alone creates no authority. A forged or edited row makes
 * its tenant's rules unusable, and raises the alarm. Without custody they are answered as `unproven`: good for what only takes away.
 */
export class BoundRules implements RuleStore, RowProofs {
  readonly #proven = new BoundedMap<string, true>(PROVEN_KEPT);

  constructor(
    private readonly store: RuleStore,
    private readonly checks: BindingChecks,
    private readonly options: BoundRulesOptions = {},
  ) {}

  /** @throws KeywardError unavailable, for a row that is not bound */
  async rules(tenant: TenantId): Promise<TenantRules | undefined> {
    const rules = await this.#readable(tenant, this.store.rules(tenant));
    if (rules === undefined) return undefined;
    const { policy, stops, lifted } = rules;
    const rows = [
      ...(policy === undefined ? [] : [{ ...policyRow(tenant, policy), mac: policy.mac }]),
      ...stops.flatMap((stop) => (stop.mac === undefined ? [] : [{ ...stopRow(tenant, stop), mac: stop.mac }])),
      ...(lifted.count === 0 && lifted.mac === undefined ? [] : [{ ...liftedStopsRow(tenant, lifted), mac: lifted.mac ?? NO_MAC }]),
    ];
    const proof = await this.#prove(rows);
    if (isBroken(proof)) throw refused('unavailable', proof);
    return { ...rules, stops: stops.map(asItCounts), ...(proof === 'unproven' && { unproven: true }) };
  }

  /** @throws KeywardError unavailable, for a row that is not bound */
  async key(tenant: TenantId, lookup: KeyLookup): ReturnType<RuleStore['key']> {
    const found = await this.#readable(tenant, this.store.key(tenant, lookup));
    if (found.key === undefined) return found;
    const { keyId, namesMac, rotation } = found.key;
    const proof = await this.#prove([
      { ...keyNamesRow(tenant, found.key), mac: namesMac },
      ...(rotation === undefined ? [] : [{ ...keyRotationRow(tenant, { keyId, ...rotation }), mac: rotation.mac }]),
    ]);
    if (isBroken(proof)) throw refused('unavailable', proof);
    return proof === 'unproven' ? { ...found, key: { ...found.key, unproven: true } } : found;
  }

  /** @throws KeywardError unauthenticated, for a row that is not bound */
  async credential(tenant: TenantId, id: CredentialId): ReturnType<RuleStore['credential']> {
    const found = await this.#readable(tenant, this.store.credential(tenant, id));
    return await this.#bound(found, (got) => got.tenant === tenant && got.credentialId === id);
  }

  /** @throws KeywardError unauthenticated, for a row that is not bound */
  async credentialOfSubject(tenant: TenantId, subject: string): ReturnType<RuleStore['credentialOfSubject']> {
    const found = await this.#readable(tenant, this.store.credentialOfSubject(tenant, subject));
    return await this.#bound(found, (got) => got.tenant === tenant && got.subject === subject);
  }

  /** @throws KeywardError unavailable, also while custody is away */
  async identityProvider(tenant: TenantId): ReturnType<RuleStore['identityProvider']> {
    const found = await this.#readable(tenant, this.store.identityProvider(tenant));
    if (found === undefined) return undefined;
    await this.mustBeBound({ ...identityProviderRow(tenant, found.provider), mac: found.provider.mac });
    return found;
  }

  async mustBeBound(...rows: readonly BoundRow[]): Promise<void> {
    const proof = await this.#prove(rows);
    if (isBroken(proof)) throw refused('unavailable', proof);
    if (proof === 'unproven') throw new CustodyUnavailable(`${rows[0]?.kind} could not be checked`);
  }

  async #readable<Found>(tenant: TenantId, reading: Promise<Found>): Promise<Found> {
    try {
      return await reading;
    } catch (error) {
      if (error instanceof UnreadableRow) this.#alarm({ tenant, kind: 'unreadable', id: error.readBy });
      throw error;
    }
  }

  /** Proven, and the one that was asked for: a genuine one of somebody else does not pass in its place. */
  async #bound(
    found: { readonly epoch: string; readonly credential: StoredCredential } | undefined,
    isAsked: (credential: StoredCredential) => boolean,
  ): Promise<{ readonly epoch: string; readonly credential: StoredCredential } | undefined> {
    if (found === undefined) return undefined;
    const { credential } = found;
    const row = { ...credentialRow(credential), mac: credential.bindingMac };
    const proof = isAsked(credential) ? await this.#prove([row]) : this.#alarm(row);
    if (isBroken(proof)) throw refused('unauthenticated', proof);
    return proof === 'unproven' ? { ...found, credential: { ...credential, unproven: true } } : found;
  }

  async #prove(rows: readonly BoundRow[]): Promise<Proof> {
    // No custodian would read it, and one such row would keep the others of its batch from being checked.
    const unreadable = rows.find(({ id, mac }) => !ID.test(id) || mac.length !== MAC_BYTES);
    if (unreadable !== undefined) return this.#alarm(unreadable);
    const open = rows.filter((row) => this.#proven.get(nameOf(row)) === undefined);
    if (open.length === 0) return 'proven';
    try {
      return await this.#patiently(this.#ask(open));
    } catch (error) {
      if (error instanceof CustodyUnavailable) return 'unproven';
      throw error;
    }
  }

  /**
   * A MAC over fixed bytes does not change its truth, so what was proven once stays so; what was not is asked again. Goes on when nobody
   * waits any more: what custody says late is remembered, and a broken row still raises the alarm.
   */
  async #ask(rows: readonly BoundRow[]): Promise<Proof> {
    for (let at = 0; at < rows.length; at += BATCH) {
      const batch = rows.slice(at, at + BATCH);
      const truths = await this.checks.checkBindings(batch);
      for (const [index, row] of batch.entries()) {
        if (truths[index] !== true) return this.#alarm(row);
        this.#proven.set(nameOf(row), true);
      }
    }
    return 'proven';
  }

  async #patiently(answer: Promise<Proof>): Promise<Proof> {
    const { patienceMs } = this.options;
    if (patienceMs === undefined) return await answer;
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new CustodyUnavailable('too slow')), patienceMs);
    answer.catch(() => undefined);
    try {
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #alarm({ tenant, kind, id }: BrokenBinding): BrokenBinding {
    const broken = { tenant, kind, id: ID.test(id) ? id : 'unreadable' };
    try {
      this.options.onBroken?.(broken);
    } catch {
      // It only tells; what is refused does not depend on it.
    }
    return broken;
  }
}

const isBroken = (proof: Proof): proof is BrokenBinding => typeof proof === 'object';

const refused = (code: 'unavailable' | 'unauthenticated', { kind, id }: BrokenBinding): KeywardError =>
  new KeywardError(code, '', { reason: `binding-broken: ${kind} ${id}` });

/** Made while the HSM was away: until its MAC follows, nobody can know what it was meant for, so it stops everything. */
const asItCounts = (stop: StoredStop): StoredStop => (stop.mac === undefined ? { ...stop, target: { scope: 'everything' } } : stop);

const nameOf = ({ tenant, kind, id, digest, mac }: BoundRow): string =>
  hash('sha256', JSON.stringify([tenant, kind, id, Buffer.from(digest).toString('hex'), Buffer.from(mac).toString('hex')]), 'base64');
