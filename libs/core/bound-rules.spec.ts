import { FakeCustody } from '../testing/fake-custody.js';
import type { Alias, StopId, TenantId } from '#contract';
import {
  type BoundRow,
  BoundRules,
  type BrokenBinding,
  credentialRow,
  identityProviderRow,
  keyNamesRow,
  liftedDigest,
  liftedStopsRow,
  newCredentialId,
  newKeyId,
  newKeyVersionId,
  newStopId,
  Permit,
  policyRow,
  type RuleRow,
  type RuleStore,
  type StoredCredential,
  type StoredIdentityProvider,
  type StoredKey,
  type StoredPolicy,
  type StoredStop,
  stopRow,
  type TenantRules,
  UnreadableRow,
} from '#core';

const ACME = 'acme' as TenantId;
const GLOBEX = 'globex' as TenantId;
const NOW = new Date(Date.UTC(2026, 0, 1));
const LATER = new Date(Date.UTC(2036, 0, 1));
const document = { schema: 'keyward.policy/1' as const, roles: {}, grants: [], guardrails: [] };

/** A tenant with one genuine row of each kind, and custody that bound them. */
async function aWorld() {
  const custody = new FakeCustody();
  const bind = ({ kind, id, digest }: RuleRow) =>
    custody.bindRule(new Permit<'PutPolicy'>({ operation: 'PutPolicy', tenant: ACME }), { kind, id, digest });
  const unboundPolicy = { version: 3, digest: 'd', author: 'ann', publishedAt: NOW.toISOString(), document };
  const policy: StoredPolicy = { ...unboundPolicy, mac: await bind(policyRow(ACME, unboundPolicy)) };
  const target = { scope: 'service' as const, service: 'billing' };
  const unboundStop = { stopId: newStopId(1), target, stoppedBy: 'ann', stoppedAt: NOW.toISOString() };
  const stop: StoredStop = { ...unboundStop, mac: await bind(stopRow(ACME, unboundStop)) };
  const ids = [newStopId(2), newStopId(3)] as StopId[];
  const unboundLifted = { count: 2, digest: liftedDigest(ids) };
  const lifted = { ...unboundLifted, mac: await bind(liftedStopsRow(ACME, unboundLifted)) };
  const unboundCredential = {
    ...{ tenant: ACME, credentialId: newCredentialId(1), principal: 'ann', role: 'admin' as const, authMethod: 'oidc' as const },
    ...{ mac: new Uint8Array(32), subject: 's', issuer: 'https://i', publicKey: undefined, createdAt: NOW, expiresAt: LATER },
  };
  const credential: StoredCredential = {
    ...unboundCredential,
    revokedAt: undefined,
    bindingMac: await bind(credentialRow(unboundCredential)),
  };
  const unboundProvider = {
    ...{ issuer: 'https://i', audience: 'a', jwksUri: 'https://i/jwks', algorithms: ['RS256' as const], version: 'v1' },
    ...{ changedBy: 'ann', changedAt: NOW.toISOString() },
  };
  const provider: StoredIdentityProvider = { ...unboundProvider, mac: await bind(identityProviderRow(ACME, unboundProvider)) };
  const names = { keyId: newKeyId(1), aliases: ['alias/a' as Alias], tags: { class: 'pii' }, primaryVersion: newKeyVersionId(1) };
  const namesMac = await bind(keyNamesRow(ACME, names));
  const life = { state: 'Enabled', description: '', createdAt: NOW, deletionProtection: false, deletion: undefined } as const;
  const key: StoredKey = { ...names, ...life, versions: [], namesMac };

  const rules: TenantRules = {
    ...{ tenant: ACME, state: 'Active', epochs: { tenant: 'e', platform: 'p' }, log: { logId: 'l', origin: 'o', vkey: 'v' } },
    ...{ contextSalt: new Uint8Array(32), policy, stops: [stop], lifted, services: new Map(), suspended: false },
  };
  const rows = { rules, credential, provider, key };
  const store: RuleStore = {
    rules: async () => rows.rules,
    key: async () => ({ epoch: 'e', key: rows.key }),
    credential: async () => ({ epoch: 'e', credential: rows.credential }),
    credentialOfSubject: async () => ({ epoch: 'e', credential: rows.credential }),
    identityProvider: async () => ({ epoch: 'e', provider: rows.provider }),
  };
  const alarms: BrokenBinding[] = [];
  const bound = new BoundRules(store, custody, { onBroken: (broken) => alarms.push(broken) });
  const read = () =>
    Promise.all([
      bound.rules(ACME),
      bound.key(ACME, { reference: 'alias/a' }),
      bound.credential(ACME, credential.credentialId),
      bound.credentialOfSubject(ACME, 's'),
      bound.identityProvider(ACME),
    ]);
  return { bound, custody, rows, store, alarms, read };
}
type World = Awaited<ReturnType<typeof aWorld>>;

describe('rules whose binding is the HSM’s', () => {
  it('are read as they are (the control of all that follows)', async () => {
    const { read, rows, alarms } = await aWorld();
    const [rules, key, credential, , provider] = await read();
    expect([rules, key.key, credential?.credential, provider?.provider]).toEqual([rows.rules, rows.key, rows.credential, rows.provider]);
    expect(alarms).toEqual([]);
  });

  it('are asked for once, as long as they do not change', async () => {
    const { read, custody } = await aWorld();
    await read();
    const asked = custody.calls.filter((name) => name === 'checkBindings').length;
    await read();
    expect(custody.calls.filter((name) => name === 'checkBindings')).toHaveLength(asked);
  });

  const rulesWith = (edit: (rules: TenantRules) => Partial<TenantRules>) => (world: World) => {
    world.rows.rules = { ...world.rows.rules, ...edit(world.rows.rules) };
    return world.bound.rules(ACME);
  };
  const policyWith = (edit: Partial<StoredPolicy>) => rulesWith(({ policy }) => ({ policy: { ...policy!, ...edit } }));
  const stopWith = (edit: Partial<StoredStop>) => rulesWith(({ stops }) => ({ stops: [{ ...stops[0]!, ...edit }] }));
  const keyWith = (edit: Partial<StoredKey>) => (world: World) => {
    world.rows.key = { ...world.rows.key, ...edit };
    return world.bound.key(ACME, { reference: 'alias/a' });
  };
  const credentialWith = (edit: Partial<StoredCredential>) => (world: World) => {
    world.rows.credential = { ...world.rows.credential, ...edit };
    return world.bound.credential(ACME, world.rows.credential.credentialId);
  };
  const providerWith = (edit: Partial<StoredIdentityProvider>) => (world: World) => {
    world.rows.provider = { ...world.rows.provider, ...edit };
    return world.bound.identityProvider(ACME);
  };

  it.each<[string, (world: World) => Promise<unknown>, string]>([
    ['a wider policy', policyWith({ document: { ...document, roles: { all: ['svc:eve'] } } }), 'unavailable'],
    ['an old policy as a new version', policyWith({ version: 4 }), 'unavailable'],
    ['another author', policyWith({ author: 'eve' }), 'unavailable'],
    ['another time', policyWith({ publishedAt: LATER.toISOString() }), 'unavailable'],
    ['another digest', policyWith({ digest: 'e' }), 'unavailable'],
    ['a policy with no MAC at all', policyWith({ mac: new Uint8Array(32) }), 'unavailable'],
    ['a stop of something else', stopWith({ target: { scope: 'service', service: 'nobody' } }), 'unavailable'],
    ['a stop by somebody else', stopWith({ stoppedBy: 'eve' }), 'unavailable'],
    ['a stop under another id', stopWith({ stopId: newStopId(9) }), 'unavailable'],
    [
      'a stop marked as lifted',
      rulesWith(({ lifted }) => ({ stops: [], lifted: { ...lifted, count: 3, digest: liftedDigest(['x']) } })),
      'unavailable',
    ],
    [
      'another stop in the place of a lifted one',
      rulesWith(({ lifted }) => ({ lifted: { ...lifted, digest: liftedDigest(['y']) } })),
      'unavailable',
    ],
    ['lifted stops without a MAC', rulesWith(({ lifted }) => ({ lifted: { ...lifted, mac: undefined } })), 'unavailable'],
    ['an alias more', keyWith({ aliases: ['alias/a', 'alias/granted'] as Alias[] }), 'unavailable'],
    ['another tag', keyWith({ tags: { class: 'public' } }), 'unavailable'],
    ['another primary version', keyWith({ primaryVersion: newKeyVersionId(2) }), 'unavailable'],
    ["another key's names", keyWith({ keyId: newKeyId(2) }), 'unavailable'],
    ['a later end', credentialWith({ expiresAt: new Date(Date.UTC(2099, 0, 1)) }), 'unauthenticated'],
    ['another role', credentialWith({ role: 'operator' }), 'unauthenticated'],
    ['another name', credentialWith({ principal: 'eve' }), 'unauthenticated'],
    ['another tenant', credentialWith({ tenant: 'globex' as TenantId }), 'unauthenticated'],
    ['another id', credentialWith({ credentialId: newCredentialId(2) }), 'unauthenticated'],
    ['another secret', credentialWith({ mac: new Uint8Array(32).fill(1) }), 'unauthenticated'],
    ['another subject', credentialWith({ subject: 'eve' }), 'unauthenticated'],
    ['another issuer of the subject', credentialWith({ issuer: 'https://evil' }), 'unauthenticated'],
    ['a public key', credentialWith({ publicKey: { kty: 'OKP', crv: 'Ed25519', x: 'A'.repeat(43) } }), 'unauthenticated'],
    ['another method', credentialWith({ authMethod: 'api-key' }), 'unauthenticated'],
    ['another birth', credentialWith({ createdAt: LATER }), 'unauthenticated'],
    ['another issuer', providerWith({ issuer: 'https://evil' }), 'unavailable'],
    ['another audience', providerWith({ audience: 'b' }), 'unavailable'],
    ['other keys', providerWith({ jwksUri: 'https://evil/jwks' }), 'unavailable'],
    ['other algorithms', providerWith({ algorithms: ['ES256'] }), 'unavailable'],
    ['another version', providerWith({ version: 'v2' }), 'unavailable'],
  ])('are refused, with an alarm, when somebody wrote %s', async (_, write, code) => {
    const world = await aWorld();
    await world.read();
    await expect(write(world)).rejects.toMatchObject({ code, reason: expect.stringMatching(/^binding-broken: /) });
    expect(world.alarms).toHaveLength(1);
  });

  it.each<[string, (world: World) => Promise<unknown>]>([
    ["another tenant's credential for its own", ({ bound, rows }) => bound.credential(GLOBEX, rows.credential.credentialId)],
    ['a genuine credential for another', ({ bound }) => bound.credential(ACME, newCredentialId(2))],
    ["another tenant's person for its own", ({ bound }) => bound.credentialOfSubject(GLOBEX, 's')],
    ['a genuine person for another', ({ bound }) => bound.credentialOfSubject(ACME, 'eve')],
    ["another tenant's rules for its own", ({ bound }) => bound.rules(GLOBEX)],
    ["another tenant's key for its own", ({ bound }) => bound.key(GLOBEX, { reference: 'alias/a' })],
    ["another tenant's identity provider for its own", ({ bound }) => bound.identityProvider(GLOBEX)],
    ['the MAC of a policy at a stop', (world) => stopWith({ mac: world.rows.rules.policy!.mac })(world)],
    ['the MAC of a stop at a policy', (world) => policyWith({ mac: world.rows.rules.stops[0]!.mac! })(world)],
    ['the MAC of the lifted stops at a policy', (world) => policyWith({ mac: world.rows.rules.lifted.mac! })(world)],
    ['the MAC of an identity provider at a credential', (world) => credentialWith({ bindingMac: world.rows.provider.mac })(world)],
    ['the MAC of a credential at an identity provider', (world) => providerWith({ mac: world.rows.credential.bindingMac })(world)],
    ['the MAC of a credential at a key', (world) => keyWith({ namesMac: world.rows.credential.bindingMac })(world)],
  ])('are refused, with an alarm, when the database gives %s', async (_, read) => {
    const world = await aWorld();
    await world.read();
    await expect(read(world)).rejects.toMatchObject({ reason: expect.stringMatching(/^binding-broken: /) });
    expect(world.alarms).toHaveLength(1);
  });

  describe.each([false, true])('that no custodian could read (custody away: %s)', (down) => {
    it.each<[string, (world: World) => Promise<unknown>, string]>([
      ['a policy with a MAC of 31 bytes', policyWith({ mac: new Uint8Array(31) }), 'unavailable'],
      ['a policy with an empty MAC', policyWith({ mac: new Uint8Array(0) }), 'unavailable'],
      ['a stop with an empty MAC', stopWith({ mac: new Uint8Array(0) }), 'unavailable'],
      ['a stop with a line break in its id', stopWith({ stopId: 'stp_1\nfaked log line' as StopId }), 'unavailable'],
      [
        'lifted stops with a MAC of 33 bytes',
        rulesWith(({ lifted }) => ({ lifted: { ...lifted, mac: new Uint8Array(33) } })),
        'unavailable',
      ],
      ['lifted stops without a MAC', rulesWith(({ lifted }) => ({ lifted: { ...lifted, mac: undefined } })), 'unavailable'],
      ['a key with an empty MAC', keyWith({ namesMac: new Uint8Array(0) }), 'unavailable'],
      ['a credential with an empty MAC', credentialWith({ bindingMac: new Uint8Array(0) }), 'unauthenticated'],
      ['an identity provider with an empty MAC', providerWith({ mac: new Uint8Array(0) }), 'unavailable'],
      ['an identity provider of an endless version', providerWith({ version: 'v'.repeat(129) }), 'unavailable'],
    ])('are broken, and custody is not troubled: %s', async (_, write, code) => {
      const world = await aWorld();
      world.custody.down = down;
      await expect(write(world)).rejects.toMatchObject({ code, reason: expect.stringMatching(/^binding-broken: [\x20-\x7e]{1,120}$/) });
      expect([world.alarms.length, world.custody.calls.includes('checkBindings')]).toEqual([1, false]);
    });
  });

  it('are refused, with an alarm, when a row has not even the form of one', async () => {
    const world = await aWorld();
    world.store.rules = () => Promise.reject(new UnreadableRow('rules_of'));
    await expect(world.bound.rules(ACME)).rejects.toMatchObject({ code: 'unavailable' });
    expect(world.alarms).toEqual([{ tenant: ACME, kind: 'unreadable', id: 'rules_of' }]);
  });

  it('that no decision reads are proven when somebody asks', async () => {
    const { bound, rows, custody, alarms } = await aWorld();
    const old = { ...policyRow(ACME, rows.rules.policy!), mac: rows.rules.policy!.mac };
    await expect(bound.mustBeBound(old)).resolves.toBeUndefined();
    const edited = { ...old, id: '4' };
    await expect(bound.mustBeBound(edited)).rejects.toMatchObject({ reason: 'binding-broken: policy 4' });
    expect(alarms).toHaveLength(1);
    custody.down = true;
    await expect(bound.mustBeBound(edited)).rejects.toMatchObject({ reason: 'custody: policy could not be checked' });
  });

  it('are refused just the same when the alarm itself fails', async () => {
    const { store, rows, custody } = await aWorld();
    rows.credential = { ...rows.credential, principal: 'eve' };
    const onBroken = () => {
      throw new Error('the alarm');
    };
    const bound = new BoundRules(store, custody, { onBroken });
    await expect(bound.credential(ACME, rows.credential.credentialId)).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  it('stay refused as long as they are broken, and count again once they are restored', async () => {
    const world = await aWorld();
    const genuine = world.rows.rules;
    for (let time = 0; time < 2; time++) await expect(policyWith({ author: 'eve' })(world)).rejects.toMatchObject({ code: 'unavailable' });
    world.rows.rules = genuine;
    await expect(world.bound.rules(ACME)).resolves.toEqual(genuine);
  });

  it('are not broken in a tenant that never had any', async () => {
    const { bound, rows, custody } = await aWorld();
    rows.rules = { ...rows.rules, policy: undefined, stops: [], lifted: { count: 0, digest: liftedDigest([]), mac: undefined } };
    await expect(bound.rules(ACME)).resolves.toEqual(rows.rules);
    expect(custody.calls).not.toContain('checkBindings');
  });

  it('are refused when the first lift is undone with its MAC left behind', async () => {
    const edit = rulesWith(({ lifted }) => ({ lifted: { count: 0, digest: liftedDigest([]), mac: lifted.mac } }));
    await expect(edit(await aWorld())).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('may have been revoked since: that only takes away', async () => {
    const world = await aWorld();
    await expect(credentialWith({ revokedAt: NOW })(world)).resolves.toMatchObject({ credential: { revokedAt: NOW } });
  });

  it('stop everything as long as a stop has no MAC yet', async () => {
    const world = await aWorld();
    await expect(stopWith({ mac: undefined })(world)).resolves.toMatchObject({ stops: [{ target: { scope: 'everything' } }] });
  });

  it('are unproven while custody is away, and are checked when it is back', async () => {
    const { bound, custody, read, rows } = await aWorld();
    custody.down = true;
    await expect(bound.rules(ACME)).resolves.toMatchObject({ unproven: true });
    await expect(bound.key(ACME, { reference: 'alias/a' })).resolves.toMatchObject({ key: { unproven: true } });
    await expect(bound.credential(ACME, rows.credential.credentialId)).resolves.toMatchObject({ credential: { unproven: true } });
    await expect(bound.identityProvider(ACME)).rejects.toMatchObject({ code: 'unavailable' });
    custody.down = false;
    expect((await read())[0]).toEqual(rows.rules);
  });

  it('are unproven when custody takes too long for who cannot wait', async () => {
    const { store, rows } = await aWorld();
    const hung = new BoundRules(store, { checkBindings: () => new Promise<boolean[]>(() => undefined) }, { patienceMs: 5 });
    await expect(hung.rules(ACME)).resolves.toEqual({ ...rows.rules, unproven: true });
  });

  it('use up one patience, however many rows there are', async () => {
    const { store, rows } = await aWorld();
    let batches = 0;
    const answers = [Promise.withResolvers<boolean[]>(), Promise.withResolvers<boolean[]>()];
    const checks = { checkBindings: (asked: readonly BoundRow[]) => answers[batches++]!.promise.then(() => asked.map(() => true)) };
    const stops = Array.from({ length: 70 }, (_, index) => ({ ...rows.rules.stops[0]!, stopId: newStopId(100 + index) }));
    rows.rules = { ...rows.rules, stops };
    const bound = new BoundRules(store, checks, { patienceMs: 5 });
    await expect(bound.rules(ACME)).resolves.toMatchObject({ unproven: true });
    answers[0]!.resolve([]);
    answers[1]!.resolve([]);
    await new Promise((resolve) => setImmediate(resolve));
    // What came late is not lost: nothing is left to ask.
    expect((await bound.rules(ACME))?.unproven).toBeUndefined();
    expect(batches).toBe(2);
  });

  it('raise the alarm even when custody said so too late', async () => {
    const { store } = await aWorld();
    const answer = Promise.withResolvers<boolean[]>();
    const alarm = Promise.withResolvers<BrokenBinding>();
    const bound = new BoundRules(store, { checkBindings: () => answer.promise }, { patienceMs: 5, onBroken: alarm.resolve });
    await expect(bound.rules(ACME)).resolves.toMatchObject({ unproven: true });
    answer.resolve([false, true, true]);
    await expect(alarm.promise).resolves.toMatchObject({ tenant: ACME, kind: 'policy' });
  });

  it('are checked 64 at a time', async () => {
    const { store, rows } = await aWorld();
    const sizes: number[] = [];
    const checks = {
      checkBindings: async (asked: readonly BoundRow[]) => {
        sizes.push(asked.length);
        return asked.map(() => true);
      },
    };
    const stops = Array.from({ length: 70 }, (_, index) => ({ ...rows.rules.stops[0]!, stopId: newStopId(100 + index) }));
    rows.rules = { ...rows.rules, stops };
    await new BoundRules(store, checks).rules(ACME);
    expect(sizes).toEqual([64, 8]);
  });

  it('are refused when custody answers fewer truths than it was asked for', async () => {
    const { store } = await aWorld();
    await expect(new BoundRules(store, { checkBindings: async () => [] }).rules(ACME)).rejects.toMatchObject({ code: 'unavailable' });
  });
});
