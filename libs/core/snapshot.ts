import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { boundContext, type EncryptionContext, type KeyVersionId, type TenantId } from '#contract';
import { liftedDigest } from './bound-rows.js';
import { BoundedMap } from './bounded-map.js';
import { ciphertextHeader, isCipherSpec } from './ciphertext.js';
import { SharedDisclosures } from './disclosures.js';
import type { WrappedKeyVersion } from './ports/custody.js';
import { type CompiledPolicy, type GrantPolicy, noGrants } from './ports/grants.js';
import { contextDigests, saltedDigest } from './record.js';
import type { KeyLookup, RuleStore, StoredKey, TenantRules } from './ports/rules.js';

/** Why nothing opens while custody is away: nobody can tell whether rules and keys are genuine. */
export const UNCHECKED = 'bindings not checked: no custody';

/** A rule changed between two reads of one decision: start over with a new snapshot. */
export class StaleSnapshot extends Error {}

export interface UsableVersion extends WrappedKeyVersion {
  readonly headers: { readonly direct: Uint8Array; readonly dataKey: Uint8Array };
}

export interface SnapshotKey extends Omit<StoredKey, 'versions'> {
  readonly versions: ReadonlyMap<KeyVersionId, UsableVersion>;
}

/** What a ciphertext binds of a context, and what a record tells of it. */
export interface KnownContext {
  readonly bound: Uint8Array;
  readonly digests: string[];
}

const CONTEXTS_KEPT = 256;
const LONGEST_CONTEXT_KEPT = 512;
const DIGESTS_KEPT = 1024;
/** Keys kept a tenant; the rest are read again when used. */
const KEYS_KEPT = 4096;
const ABSENT_KEPT = 1024;
const TENANTS_KEPT = 2048;

/**
 * What one tenant's decisions read, as of one epoch. Keys are read when first asked for, under the same epoch or not at all;
 * nothing in it is ever refreshed in place.
 */
export class Snapshot {
  readonly shared = new SharedDisclosures();
  readonly #contextSalt: KeyObject;
  readonly #contexts = new BoundedMap<string, KnownContext>(CONTEXTS_KEPT);
  readonly #digests = new BoundedMap<string, string>(DIGESTS_KEPT);
  readonly #keys = new BoundedMap<string, SnapshotKey>(KEYS_KEPT);
  /** Names without a key. That stays so under this epoch: an alias moves it, and a new key's id is random. */
  readonly #absent = new BoundedMap<string, true>(ABSENT_KEPT);

  constructor(
    readonly rules: TenantRules,
    readonly policy: CompiledPolicy,
    private readonly store: Pick<RuleStore, 'key'>,
  ) {
    this.#contextSalt = createSecretKey(rules.contextSalt);
  }

  /** Of a tenant that does not exist: no key, no rule, the ISV's catalogue; nothing to tell it from a tenant who granted nothing. */
  static ofNobody(tenant: TenantId, services: TenantRules['services']): Snapshot {
    const rules: TenantRules = {
      tenant,
      state: 'Unknown',
      epochs: { tenant: '', platform: '' },
      log: { logId: '', origin: '', vkey: '' },
      contextSalt: randomBytes(32),
      policy: undefined,
      stops: [],
      lifted: { count: 0, digest: liftedDigest([]), mac: undefined },
      services,
      suspended: false,
    };
    const empty: Pick<RuleStore, 'key'> = { key: () => Promise.resolve({ epoch: '', key: undefined }) };
    return new Snapshot(rules, noGrants.compile({ tenant, document: undefined, stops: [] }), empty);
  }

  /** @throws StaleSnapshot when the tenant's epoch has moved since this snapshot was read */
  async key(lookup: KeyLookup): Promise<SnapshotKey | undefined> {
    const name = 'reference' in lookup ? lookup.reference : lookup.versionId;
    const known = this.#keys.get(name);
    if (known !== undefined || this.#absent.get(name)) return known;
    const { epoch, key } = await this.store.key(this.rules.tenant, lookup);
    if (epoch !== this.rules.epochs.tenant) throw new StaleSnapshot();
    // What custody could not check is asked again the next time.
    if (key !== undefined) return key.unproven === true ? withHeaders(key) : this.#keys.set(name, withHeaders(key));
    this.#absent.set(name, true);
    return undefined;
  }

  /** What records tell of something that must not be read in them: a person's name, a pair of a context. */
  digest(...parts: readonly string[]): string {
    const name = JSON.stringify(parts);
    return this.#digests.get(name) ?? this.#digests.set(name, saltedDigest(this.#contextSalt, parts));
  }

  /** A service asks under the same few contexts again and again: what is derived from one is kept. */
  context(context: EncryptionContext): KnownContext {
    const name = JSON.stringify(context);
    const known = this.#contexts.get(name);
    if (known !== undefined) return known;
    const made = { bound: boundContext(this.rules.tenant, context), digests: contextDigests(this.#contextSalt, context) };
    return name.length <= LONGEST_CONTEXT_KEPT ? this.#contexts.set(name, made) : made;
  }
}

/** Without material, and not because that is yet to come: there is no such version any more. Of a pair the public half is left. */
const isRetired = ({ state, primaryVersion }: StoredKey, { versionId, blob, publicKey }: WrappedKeyVersion): boolean =>
  state !== 'Destroyed' && versionId !== primaryVersion && blob.length === 0 && publicKey === undefined;

function withHeaders(key: StoredKey): SnapshotKey {
  const kept = key.versions.filter((version) => !isRetired(key, version));
  const versions = kept.map((version): [KeyVersionId, UsableVersion] => [
    version.versionId,
    {
      ...version,
      headers: headersOf(version),
    },
  ]);
  return { ...key, versions: new Map(versions) };
}

const NO_HEADER = new Uint8Array(0);

function headersOf({ versionId, spec }: WrappedKeyVersion): UsableVersion['headers'] {
  if (!isCipherSpec(spec)) return { direct: NO_HEADER, dataKey: NO_HEADER };
  return { direct: ciphertextHeader('direct', versionId, spec), dataKey: ciphertextHeader('dataKey', versionId, spec) };
}

/** The newest snapshot of each tenant that this process has seen. That it is still true is the trail's fence to say. */
export class Snapshots {
  readonly #current = new BoundedMap<TenantId, Snapshot>(TENANTS_KEPT);
  readonly #loading = new Map<TenantId, Promise<Snapshot | undefined>>();

  constructor(
    private readonly store: RuleStore,
    private readonly grants: GrantPolicy,
  ) {}

  /** Undefined for an unknown tenant. */
  async of(tenant: TenantId): Promise<Snapshot | undefined> {
    return this.#current.get(tenant) ?? (await this.#load(tenant));
  }

  /** `seen` turned out stale: forget it, unless somebody has already replaced it. */
  discard(seen: Snapshot): void {
    const { tenant } = seen.rules;
    if (this.#current.get(tenant) === seen) this.forget(tenant);
  }

  /** The next `of` reads. A load under way may have read before the change that matters, so it serves only those who wait for it. */
  forget(tenant: TenantId): void {
    this.#current.delete(tenant);
    this.#loading.delete(tenant);
  }

  #load(tenant: TenantId): Promise<Snapshot | undefined> {
    const underWay = this.#loading.get(tenant);
    if (underWay !== undefined) return underWay;
    const loading: Promise<Snapshot | undefined> = this.#read(tenant).then((snapshot) => {
      // A load that was overtaken by `forget` serves those who waited for it, and is not kept. Nor is a tenant who is still to enrol.
      // Nor are rules whose bindings nobody could check.
      const { state, unproven } = snapshot?.rules ?? {};
      if (this.#loading.get(tenant) === loading && snapshot !== undefined && state === 'Active' && unproven !== true)
        this.#current.set(tenant, snapshot);
      return snapshot;
    });
    this.#loading.set(tenant, loading);
    const done = () => {
      if (this.#loading.get(tenant) === loading) this.#loading.delete(tenant);
    };
    loading.then(done, done);
    return loading;
  }

  async #read(tenant: TenantId): Promise<Snapshot | undefined> {
    const rules = await this.store.rules(tenant);
    if (rules === undefined) return undefined;
    return new Snapshot(rules, this.grants.compile({ tenant, document: rules.policy?.document, stops: rules.stops }), this.store);
  }
}
