import { createSecretKey } from 'node:crypto';
import type { CredentialId, PrincipalName, TenantId } from '#contract';
import {
  Credentials,
  type CredentialOrder,
  issueCredential,
  KeywardError,
  Permit,
  type Principal,
  type StoredCredential,
  type StoredIdentityProvider,
} from '#core';

const ACME = 'acme' as TenantId;
const PLATFORM = 'platform' as TenantId;
const NOW = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;
const pepper = createSecretKey(Buffer.alloc(32, 7));
const custody = { bindRule: async () => new Uint8Array(32) };
const publicKey = { kty: 'OKP' as const, crv: 'Ed25519' as const, x: 'A'.repeat(43) };
const ANN = { tenant: ACME, principal: 'ann' as PrincipalName, role: 'admin' as const, days: 30 };
const AT_IDP = { ...ANN, person: { subject: 'sub-ann', issuer: 'https://idp.example' } };
const SIGNING = { tenant: PLATFORM, principal: 'billing' as PrincipalName, role: 'service' as const, days: 30, publicKey };

/** One stored credential, one identity provider, one epoch; a test turns any of them. */
async function aWorld(order: CredentialOrder = ANN) {
  const { answer, row } = await issueCredential(
    { pepper, custody },
    new Permit({ operation: 'IssueCredential', tenant: order.tenant }),
    order,
    NOW,
  );
  const state = {
    now: NOW,
    epoch: 'e1',
    credential: { ...row, revokedAt: undefined } as StoredCredential,
    provider: { issuer: 'https://idp.example', version: 'v1' } as StoredIdentityProvider,
    reads: 0,
  };
  const found = async () => {
    state.reads++;
    return { epoch: state.epoch, credential: state.credential };
  };
  const rules = {
    credential: async (_: TenantId, id: CredentialId) => (id === state.credential.credentialId ? await found() : undefined),
    credentialOfSubject: async (_: TenantId, subject: string) => (subject === state.credential.subject ? await found() : undefined),
    identityProvider: async () => ({ epoch: state.epoch, provider: state.provider }),
  };
  const credentials = new Credentials(rules, pepper, { now: () => new Date(state.now) });
  const signIn = (token: string, provider = state.provider) =>
    credentials.ofSubject(token, ACME, 'sub-ann', provider, new Date(state.now + 3_600_000));
  return { credentials, state, apiKey: answer.apiKey ?? '', signIn };
}

const reasonOf = async (work: Promise<Principal>): Promise<string> => {
  const outcome: unknown = await work.catch((error: unknown) => error);
  return outcome instanceof KeywardError && outcome.code === 'unauthenticated' ? outcome.reason : 'accepted';
};

describe('an API key', () => {
  it('is known by its row, and from the cache afterwards', async () => {
    const { credentials, apiKey, state } = await aWorld();
    expect(await credentials.authenticate(apiKey)).toMatchObject({ name: 'ann', role: 'admin', authMethod: 'api-key', epoch: 'e1' });
    expect(credentials.cached(apiKey)).toMatchObject({ name: 'ann' });
    expect(state.reads).toBe(1);
  });

  it.each<[string, Partial<StoredCredential>]>([
    ['a later end', { expiresAt: new Date(NOW + 400 * DAY_MS) }],
    ['another role', { role: 'operator' }],
    ['another name', { principal: 'eve' }],
    ['another method', { authMethod: 'oidc' }],
  ])('fits no row that was edited: %s', async (_, edit) => {
    const { credentials, apiKey, state } = await aWorld();
    state.credential = { ...state.credential, ...edit };
    expect(await reasonOf(credentials.authenticate(apiKey))).toBe('unknown');
  });

  it('that is revoked is refused by the next confirmation, and forgotten', async () => {
    const { credentials, apiKey, state } = await aWorld();
    const principal = await credentials.authenticate(apiKey);
    expect(await credentials.confirm(principal, 'e1')).toBe(principal);
    Object.assign(state, { epoch: 'e2', credential: { ...state.credential, revokedAt: new Date(NOW) } });
    expect(await reasonOf(credentials.confirm(principal, 'e2'))).toBe('revoked');
    expect(credentials.cached(apiKey)).toBeUndefined();
  });

  it('is read once for each epoch, whoever asks', async () => {
    const { credentials, apiKey, state } = await aWorld();
    const principal = await credentials.authenticate(apiKey);
    state.epoch = 'e2';
    await credentials.confirm(principal, 'e2');
    await credentials.confirm(principal, 'e2');
    expect(credentials.cached(apiKey)?.epoch).toBe('e2');
    expect(state.reads).toBe(2);
  });

  it('whose binding nobody could check is not kept', async () => {
    const { credentials, apiKey, state } = await aWorld();
    state.credential = { ...state.credential, unproven: true };
    expect(await credentials.authenticate(apiKey)).toMatchObject({ unproven: true });
    expect(credentials.cached(apiKey)).toBeUndefined();
  });
});

describe("a token of the tenant's identity provider", () => {
  it('counts for its subject, after provider and credential were read under one epoch', async () => {
    const { credentials, signIn } = await aWorld(AT_IDP);
    const principal = await signIn('t1');
    expect(principal).toMatchObject({ name: 'ann', authMethod: 'oidc' });
    expect((await credentials.confirm(principal, 'e1')).epoch).toBe('e1');
  });

  it('of another subject or issuer is nobody', async () => {
    const { credentials, state, signIn } = await aWorld(AT_IDP);
    expect(await reasonOf(credentials.ofSubject('t', ACME, 'sub-eve', state.provider, new Date(NOW + 1000)))).toBe('unknown-subject');
    expect(await reasonOf(signIn('t', { ...state.provider, issuer: 'https://evil.example' }))).toBe('unknown-subject');
  });

  it('fits no row whose subject, issuer or end was edited', async () => {
    for (const edit of [{ subject: 'sub-eve' }, { expiresAt: new Date(NOW + 400 * DAY_MS) }, { role: 'auditor' as const }]) {
      const { credentials, state } = await aWorld(AT_IDP);
      state.credential = { ...state.credential, ...edit };
      const subject = state.credential.subject!;
      expect(await reasonOf(credentials.ofSubject('t', ACME, subject, state.provider, new Date(NOW + 1000)))).toBe('unknown');
    }
  });

  it('counts no more when the provider has changed, also where another token was confirmed under the new one', async () => {
    const { credentials, state, signIn } = await aWorld(AT_IDP);
    const old = await credentials.confirm(await signIn('old'), 'e1');
    Object.assign(state, { epoch: 'e2', provider: { ...state.provider, version: 'v2' } });
    await credentials.confirm(await signIn('new'), 'e2');
    expect(await reasonOf(credentials.confirm(old, 'e2'))).toBe('identity-provider-changed');
    expect(credentials.cached('old')?.epoch).not.toBe('e2');
  });

  it('that was verified under a provider which changed before the credential was read is not taken for the new one', async () => {
    const { credentials, state, signIn } = await aWorld(AT_IDP);
    const verifiedUnder = state.provider;
    Object.assign(state, { epoch: 'e2', provider: { ...state.provider, version: 'v2' } });
    const principal = await signIn('t', verifiedUnder);
    expect(await reasonOf(credentials.confirm(principal, 'e2'))).toBe('identity-provider-changed');
  });

  it('is looked at again after a minute, and ends with itself', async () => {
    const { credentials, state, signIn } = await aWorld(AT_IDP);
    await signIn('t');
    state.now += 59_000;
    expect(credentials.cached('t')).toBeDefined();
    state.now += 1_000;
    expect(credentials.cached('t')).toBeUndefined();
    const brief = await credentials.ofSubject('brief', ACME, 'sub-ann', state.provider, new Date(state.now + 5_000));
    state.now += 5_000;
    expect(await reasonOf(credentials.confirm(brief, 'e1'))).toBe('expired');
  });
});

describe("a service's own signature", () => {
  it('counts for the credential that registered its public key', async () => {
    const { credentials, state } = await aWorld(SIGNING);
    const id = state.credential.credentialId;
    expect(await credentials.serviceKey(id)).toEqual(publicKey);
    expect(await credentials.ofService('t', id, new Date(NOW + 1000))).toMatchObject({ name: 'billing', authMethod: 'private-key-jwt' });
  });

  it('fits no row whose key was exchanged', async () => {
    const { credentials, state } = await aWorld(SIGNING);
    state.credential = { ...state.credential, publicKey: { ...publicKey, x: 'B'.repeat(43) } };
    const id = state.credential.credentialId;
    await expect(credentials.serviceKey(id)).rejects.toMatchObject({ code: 'unauthenticated' });
    expect(await reasonOf(credentials.ofService('t', id, new Date(NOW + 1000)))).toBe('unknown');
  });

  it('is none for a credential that is an API key', async () => {
    const { credentials, state } = await aWorld({ ...ANN, tenant: PLATFORM, role: 'service' });
    const id = state.credential.credentialId;
    expect(await credentials.serviceKey(id)).toBeUndefined();
    expect(await reasonOf(credentials.ofService('t', id, new Date(NOW + 1000)))).toBe('unknown');
  });
});
