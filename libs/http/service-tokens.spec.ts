import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { ServicePublicKey } from '#contract';
import { LONGEST_SERVICE_TOKEN_SECONDS } from './service-tokens.js';
import { TokenWorld } from './test/token-world.js';

const AUDIENCE = 'keyward:keyward.example';
const KEYS = '/v1/tenants/acme/keys';
type KeyPair = Awaited<ReturnType<typeof generateKeyPair>>;

describe('a service that signs its own tokens', () => {
  let pair: KeyPair;
  let other: KeyPair;
  let world: TokenWorld;
  let id: string;
  beforeAll(async () => {
    [pair, other] = await Promise.all([generateKeyPair('EdDSA'), generateKeyPair('EdDSA')]);
  });
  const publicKeyOf = async ({ publicKey }: KeyPair) => (await exportJWK(publicKey)) as ServicePublicKey;
  beforeEach(async () => {
    world = await TokenWorld.start({ services: { audience: AUDIENCE } });
    id = (await world.enrolService('billing', await publicKeyOf(pair))).credentialId;
  });
  afterEach(() => world.plane.stop());

  const claims = (change: object = {}) => ({
    iss: id,
    sub: id,
    aud: AUDIENCE,
    iat: world.nowSeconds,
    exp: world.nowSeconds + 300,
    ...change,
  });
  const signed = (payload: object = claims(), header: object = {}, by = pair) =>
    new SignJWT(payload as never).setProtectedHeader({ alg: 'EdDSA', ...header }).sign(by.privateKey);

  it('is the service of its credential', async () => {
    expect(await world.ask('GET', KEYS, await signed())).toBe(200);
    expect(world.caller).toEqual({ tenant: 'platform', name: 'billing', authMethod: 'private-key-jwt' });
  });

  it('may have a key on P-256 instead, and then no other algorithm', async () => {
    const p256 = await generateKeyPair('ES256');
    const { credentialId } = await world.enrolService('reports', await publicKeyOf(p256));
    const own = claims({ iss: credentialId, sub: credentialId });
    expect(await world.ask('GET', KEYS, await signed(own, { alg: 'ES256' }, p256))).toBe(200);
    expect(await world.ask('GET', KEYS, await signed(own))).toBe(401);
  });

  it.each<[string, () => object]>([
    ['of somebody else', () => ({ aud: 'keyward:elsewhere' })],
    ['without an audience', () => ({ aud: undefined })],
    ['that has ended', () => ({ iat: world.nowSeconds - 400, exp: world.nowSeconds - 1 })],
    ['without an end', () => ({ exp: undefined })],
    ['that does not say since when', () => ({ iat: undefined })],
    ['that is good for too long', () => ({ exp: world.nowSeconds + LONGEST_SERVICE_TOKEN_SECONDS + 1 })],
    ['from the future', () => ({ iat: world.nowSeconds + 120, exp: world.nowSeconds + 300 })],
    ['that somebody may only present who proves to hold a key', () => ({ cnf: { jkt: 'x' } })],
  ])('is refused with a token %s', async (_, change) => {
    expect(await world.ask('GET', KEYS, await signed(claims(change())))).toBe(401);
    expect(await world.ask('GET', KEYS, await signed())).toBe(200);
  });

  it('is nobody by the signature of another key, or in the name of another credential', async () => {
    expect(await world.ask('GET', KEYS, await signed(claims(), {}, other))).toBe(401);
    const { credentialId } = await world.enrolService('reports', await publicKeyOf(other));
    expect(await world.ask('GET', KEYS, await signed(claims({ iss: credentialId, sub: credentialId })))).toBe(401);
    const byKey = await world.enrolService('mail');
    expect(await world.ask('GET', KEYS, await signed(claims({ iss: byKey.credentialId, sub: byKey.credentialId })))).toBe(401);
  });

  it('is nobody on a plane that takes no such tokens', async () => {
    const plane = await TokenWorld.start({});
    expect(await plane.ask('GET', KEYS, await signed())).toBe(401);
    await plane.plane.stop();
  });

  it('is known by a token for as long as the token lasts, and no longer', async () => {
    const token = await signed();
    expect(await world.ask('GET', KEYS, token)).toBe(200);
    world.aheadMs = 299_000;
    expect(await world.ask('GET', KEYS, token)).toBe(200);
    world.aheadMs = 301_000;
    expect(await world.ask('GET', KEYS, token)).toBe(401);
  });
});
