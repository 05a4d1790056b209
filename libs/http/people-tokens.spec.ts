import { setTimeout as sleep } from 'node:timers/promises';
import { base64url, SignJWT, UnsecuredJWT } from 'jose';
import { MAX_LOOK_UPS, MAX_LOOK_UPS_OF_TENANT } from './authentication.js';
import { Egress } from './egress/egress.js';
import { ATTEMPT_MS, KEYS_LIVE_MS, REFRESH_MS } from './provider-keys.js';
import { FAILURE_LIMIT } from './rate-limits.js';
import { aSigningKey, IdentityProvider, type SigningKey } from './test/identity-provider.js';
import { ACME, GLOBEX, TokenWorld } from './test/token-world.js';

const AUDIENCE = 'https://keyward.example/acme';
const KEYS = '/v1/tenants/acme/keys';
const ANN = 'sub-ann';

let key: SigningKey;
let next: SigningKey;
let provider: IdentityProvider;
let world: TokenWorld;
let asked: number;

beforeAll(async () => {
  [key, next] = await Promise.all([aSigningKey('k1'), aSigningKey('k2')]);
  provider = await IdentityProvider.start(key, [ANN, 'sub-bob']);
});
afterAll(() => provider.stop());

beforeEach(async () => {
  asked = 0;
  const guard = new Egress({ allow: [provider.origin] });
  const egress = { json: (url: string) => (asked++, guard.json(url)) };
  world = await TokenWorld.start({ people: { egress } });
  world.trust(ACME, { issuer: provider.issuer, audience: AUDIENCE, jwksUri: provider.jwksUri });
  await world.enrolPerson(ACME, 'ann', ANN);
});
afterEach(() => world.plane.stop());

/** What the provider would say of Ann. */
const claims = (change: object = {}) => {
  const now = world.nowSeconds;
  return { iss: provider.issuer, aud: AUDIENCE, sub: ANN, iat: now, exp: now + 3600, ...change };
};
const signed = (payload: object, header: object = {}, by: SigningKey = key) =>
  new SignJWT(payload as never).setProtectedHeader({ alg: 'RS256', kid: by.kid, typ: 'at+jwt', ...header }).sign(by.privateKey);

describe("a person with a token of the tenant's identity provider", () => {
  it('is whom the tenant gave a credential, and is looked up once', async () => {
    const token = await provider.token(ANN, AUDIENCE);
    expect(await world.ask('GET', KEYS, token)).toBe(200);
    expect(world.caller).toEqual({ tenant: ACME, name: 'ann', authMethod: 'oidc' });
    const { reads } = world;
    expect(await world.ask('GET', KEYS, token)).toBe(200);
    expect([world.reads, asked]).toEqual([reads, 1]);
  });

  it('is nobody where a token is for another audience, or of somebody who has no credential', async () => {
    expect(await world.ask('GET', KEYS, await provider.token(ANN, 'https://other.example'))).toBe(401);
    expect(await world.ask('GET', KEYS, await provider.token('sub-bob', AUDIENCE))).toBe(401);
  });

  it('is nobody on routes of no tenant, and on paths that no route has', async () => {
    const token = await provider.token(ANN, AUDIENCE);
    for (const path of ['/v1/tenants', '/nothing', '/v1/%zz', '/v1/tenants/platform/keys', '/v1/tenants/ACME/keys'])
      expect([path, await world.ask('GET', path, token)]).toEqual([path, 401]);
    expect(world.plane.pipeline.ran).toEqual([]);
  });

  it('is nobody on a plane that takes no such tokens', async () => {
    const other = await TokenWorld.start({ services: { audience: AUDIENCE } });
    other.trust(ACME, { issuer: provider.issuer, audience: AUDIENCE, jwksUri: provider.jwksUri });
    await other.enrolPerson(ACME, 'ann', ANN);
    expect(await other.ask('GET', KEYS, await provider.token(ANN, AUDIENCE))).toBe(401);
    await other.plane.stop();
  });
});

describe('a token that the provider signed', () => {
  // biome-ignore format: a table is read row by row
  const ACCEPTED: readonly [string, () => object, object?][] = [
    ['as it is',                           () => ({})],
    ['for several audiences',              () => ({ aud: ['https://other.example', AUDIENCE] })],
    ['without a type',                     () => ({}), { typ: undefined }],
    ['of type JWT',                        () => ({}), { typ: 'JWT' }],
    ['that counts from just now',          () => ({ nbf: world.nowSeconds + 30, iat: world.nowSeconds + 30 })],
    ['that names keys of its own',         () => ({}), { jku: 'https://evil.example/jwks', x5u: 'https://evil.example/x5u' }],
  ];
  it.each(ACCEPTED)('is accepted %s', async (_, change, ...[header]) => {
    expect(await world.ask('GET', KEYS, await signed(claims(change()), header))).toBe(200);
  });

  // biome-ignore format: a table is read row by row
  const REFUSED: readonly [string, () => object, object?][] = [
    ['for another audience',               () => ({ aud: 'https://other.example' })],
    ['for its audience in other letters',  () => ({ aud: AUDIENCE.toUpperCase() })],
    ['without audience',                   () => ({ aud: undefined })],
    ['for an audience that is an object',  () => ({ aud: { [AUDIENCE]: true } })],
    ['of another issuer',                  () => ({ iss: 'https://other.example' })],
    ['of the issuer with a slash',         () => ({ iss: `${provider.issuer}/` })],
    ['that has ended',                     () => ({ exp: world.nowSeconds - 1 })],
    ['without end',                        () => ({ exp: undefined })],
    ['whose end is text',                  () => ({ exp: String(world.nowSeconds + 60) })],
    ['that lasts for days',                () => ({ exp: world.nowSeconds + 25 * 3600 })],
    ['that begins later',                  () => ({ nbf: world.nowSeconds + 120 })],
    ['that was issued in the future',      () => ({ iat: world.nowSeconds + 120 })],
    ['of nobody',                          () => ({ sub: '' })],
    ['of a subject that is no text',       () => ({ sub: 7 })],
    ['of a subject too long',              () => ({ sub: 'x'.repeat(256) })],
    ['of a subject with U+0000',           () => ({ sub: `${ANN}\0` })],
    ['of a subject with a lone surrogate', () => ({ sub: '\ud800' })],
    ['that is bound to a key',             () => ({ cnf: { jkt: 'x' } })],
    ['of another type',                    () => ({}), { typ: 'logout+jwt' }],
    ['with a key id that is no text',      () => ({}), { kid: 7 }],
    ['with an unknown key id',             () => ({}), { kid: 'k9' }],
  ];
  it.each(REFUSED)('is refused %s', async (_, change, ...[header]) => {
    expect(await world.ask('GET', KEYS, await signed(claims(change()), header))).toBe(401);
    expect(world.plane.pipeline.ran).toEqual([]);
  });

  it('is refused with an algorithm that the tenant did not name', async () => {
    const token = await signed(claims(), { alg: 'PS256' }).catch(() => undefined);
    const { privateKey } = await aSigningKey('k1').then(async ({ jwk }) => ({ privateKey: { ...jwk, alg: 'PS256' } }));
    const forged = token ?? (await new SignJWT(claims()).setProtectedHeader({ alg: 'PS256', kid: 'k1' }).sign(privateKey));
    expect(await world.ask('GET', KEYS, forged)).toBe(401);
  });
});

describe('a forged token', () => {
  const raw = (header: object, payload: object | string, signature = 'AAAA') =>
    [JSON.stringify(header), typeof payload === 'string' ? payload : JSON.stringify(payload)]
      .map((part) => base64url.encode(part))
      .join('.') + `.${signature}`;

  it('is refused unsigned', async () => {
    expect(await world.ask('GET', KEYS, new UnsecuredJWT(claims() as never).encode())).toBe(401);
    expect(await world.ask('GET', KEYS, raw({ alg: 'none' }, claims()))).toBe(401);
    expect(await world.ask('GET', KEYS, raw({ alg: 'NONE' }, claims()))).toBe(401);
  });

  it("is refused when the provider's public key was taken for a shared secret", async () => {
    for (const secret of [key.publicPem, JSON.stringify(key.publicJwk)]) {
      const token = await new SignJWT(claims()).setProtectedHeader({ alg: 'HS256', kid: 'k1' }).sign(Buffer.from(secret));
      expect(await world.ask('GET', KEYS, token)).toBe(401);
    }
  });

  it('is refused when it brings its own key', async () => {
    const own = await aSigningKey('k1');
    for (const header of [{ jwk: own.publicJwk }, { kid: 'k1', jwk: own.publicJwk }, { jku: 'https://evil.example/jwks' }])
      expect(await world.ask('GET', KEYS, await signed(claims(), header, own))).toBe(401);
  });

  it('is refused with extensions, known to jose or not', async () => {
    for (const header of [
      { crit: ['exp'], exp: 1 },
      { crit: ['b64'], b64: true },
      { crit: ['b64'], b64: false },
      { b64: false },
      { crit: [] },
    ])
      expect(await world.ask('GET', KEYS, raw({ alg: 'RS256', kid: 'k1', ...header }, claims()))).toBe(401);
    const b64 = await signed(claims(), { b64: false }).catch(() => raw({ alg: 'RS256', b64: false }, claims()));
    expect(await world.ask('GET', KEYS, b64)).toBe(401);
  });

  it('is refused when its claims were exchanged, and when it is no JSON, no JWT, or too long', async () => {
    const [header, , signature] = (await signed(claims())).split('.');
    const other = base64url.encode(JSON.stringify(claims({ exp: world.nowSeconds + 7200 })));
    expect(await world.ask('GET', KEYS, `${header}.${other}.${signature}`)).toBe(401);
    for (const token of ['a.b.c', 'eyJ.eyJ.', raw({ alg: 'RS256' }, 'null'), raw({ alg: 'RS256' }, '[]'), 'eyJ.e.e.e.e'])
      expect([token, await world.ask('GET', KEYS, token)]).toEqual([token, 401]);
    expect(await world.ask('GET', KEYS, await signed(claims({ filler: 'x'.repeat(8192) })))).toBe(401);
    expect(await world.ask('GET', KEYS, await signed(claims({ filler: 'x'.repeat(2048) })))).toBe(200);
  });

  it('costs no more look-ups after too many of one address for one person; others there are served', async () => {
    const wrong = await signed(claims({ aud: 'other' }));
    for (let i = 0; i <= FAILURE_LIMIT.points; i++) expect(await world.ask('GET', KEYS, wrong)).toBe(401);
    expect(await world.ask('GET', KEYS, await signed(claims()))).toBe(429);
    world.trust(GLOBEX, world.providers.get(ACME)!);
    await world.enrolPerson(GLOBEX, 'ann', ANN);
    expect(await world.ask('GET', '/v1/tenants/globex/keys', await signed(claims()))).toBe(200);
  });
});

describe('two tenants with one issuer', () => {
  const OTHER = '/v1/tenants/globex/keys';

  it("do not take each other's tokens, by audience or by person", async () => {
    const token = await provider.token(ANN, AUDIENCE);
    expect(await world.ask('GET', OTHER, token)).toBe(401);
    world.trust(GLOBEX, { issuer: provider.issuer, audience: 'https://keyward.example/globex', jwksUri: provider.jwksUri });
    await world.enrolPerson(GLOBEX, 'anna', ANN);
    expect(await world.ask('GET', KEYS, token)).toBe(200);
    expect(await world.ask('GET', OTHER, token)).toBe(401);
    world.trust(GLOBEX, { issuer: provider.issuer, audience: AUDIENCE, jwksUri: provider.jwksUri }, 'globex-2');
    expect(await world.ask('GET', OTHER, await provider.token('sub-bob', AUDIENCE))).toBe(401);
  });

  it('know one token as two people, where both say so; what is cached for one is not told to the other', async () => {
    world.trust(GLOBEX, { issuer: provider.issuer, audience: AUDIENCE, jwksUri: provider.jwksUri });
    await world.enrolPerson(GLOBEX, 'anna', ANN);
    const token = await provider.token(ANN, AUDIENCE);
    for (const [path, tenant, name] of [
      [KEYS, ACME, 'ann'],
      [OTHER, GLOBEX, 'anna'],
      [KEYS, ACME, 'ann'],
    ] as const) {
      expect(await world.ask('GET', path, token)).toBe(200);
      expect(world.caller).toMatchObject({ tenant, name });
    }
  });

  it('have no keys in common, where one names the issuer but keys of its own', async () => {
    const own = await aSigningKey('k1');
    const token = await signed(claims(), {}, own);
    const answer = { keys: [own.publicJwk] };
    const hostile = await TokenWorld.start({
      people: { egress: { json: async (url) => (url === 'https://evil.example/' ? answer : { keys: [key.publicJwk] }) } },
    });
    hostile.trust(ACME, { issuer: provider.issuer, audience: AUDIENCE, jwksUri: provider.jwksUri });
    hostile.trust(GLOBEX, { issuer: provider.issuer, audience: AUDIENCE, jwksUri: 'https://evil.example/' });
    for (const tenant of [ACME, GLOBEX]) await hostile.enrolPerson(tenant, 'ann', ANN);
    expect(await hostile.ask('GET', OTHER, token)).toBe(200);
    expect(await hostile.ask('GET', KEYS, token)).toBe(401);
    await hostile.plane.stop();
  });
});

describe("a provider's keys", () => {
  afterEach(() => provider.useKeys(key));

  it('that it took back count for nobody a minute later, also where a token was accepted in between', async () => {
    const first = await provider.token(ANN, AUDIENCE);
    expect(await world.ask('GET', KEYS, first)).toBe(200);
    await provider.useKeys(next);
    world.aheadMs += REFRESH_MS - 1000;
    const second = await signed(claims());
    expect(await world.ask('GET', KEYS, second)).toBe(200);
    world.aheadMs += KEYS_LIVE_MS - REFRESH_MS + 1000;
    for (const token of [first, second]) expect(await world.ask('GET', KEYS, token)).toBe(401);
    expect(await world.ask('GET', KEYS, await provider.token(ANN, AUDIENCE))).toBe(200);
  });

  it('that are new are asked for when a token names them', async () => {
    expect(await world.ask('GET', KEYS, await provider.token(ANN, AUDIENCE))).toBe(200);
    await provider.useKeys(next, key);
    world.aheadMs += ATTEMPT_MS;
    expect(await world.ask('GET', KEYS, await provider.token(ANN, AUDIENCE))).toBe(200);
    expect(asked).toBe(2);
  });

  it('are asked for once in ten seconds, however many unknown ones are named', async () => {
    for (let i = 0; i < 20; i++) expect(await world.ask('GET', KEYS, await signed(claims(), { kid: `x${i}` }))).toBe(401);
    expect(asked).toBe(1);
    world.aheadMs += ATTEMPT_MS;
    await Promise.all(Array.from({ length: 10 }, async (_, i) => world.ask('GET', KEYS, await signed(claims(), { kid: `y${i}` }))));
    expect(asked).toBe(2);
  });

  it('count for as long as they would have, and no longer, when it falls silent; the operator is told', async () => {
    let silent = false;
    const down = await TokenWorld.start({
      people: { egress: { json: async (url) => await new Egress({ allow: silent ? [] : [provider.origin] }).json(url) } },
    });
    down.trust(ACME, { issuer: provider.issuer, audience: AUDIENCE, jwksUri: provider.jwksUri });
    await down.enrolPerson(ACME, 'ann', ANN);
    expect(await down.ask('GET', KEYS, await provider.token(ANN, AUDIENCE))).toBe(200);
    silent = true;
    down.aheadMs += KEYS_LIVE_MS - 1000;
    expect(await down.ask('GET', KEYS, await signed(claims()))).toBe(200);
    down.aheadMs += 1000;
    expect(await down.ask('GET', KEYS, await signed(claims()))).toBe(401);
    expect(down.plane.lines.join()).toContain('"tenant":"acme","reason":"url"');
    await down.plane.stop();
  });

  it('of a tenant that changed its provider are asked for anew', async () => {
    expect(await world.ask('GET', KEYS, await provider.token(ANN, AUDIENCE))).toBe(200);
    world.trust(ACME, world.providers.get(ACME)!, 'acme-2');
    expect(await world.ask('GET', KEYS, await signed(claims()))).toBe(200);
    expect(asked).toBe(2);
  });
});

describe('a provider that dawdles', () => {
  it('holds up no more than its own people: those of others, and API keys, are looked up', async () => {
    const late = Promise.withResolvers<unknown>();
    const egress = {
      json: (url: string): Promise<unknown> =>
        url === 'https://slow.example/' ? late.promise : Promise.resolve({ keys: [key.publicJwk] }),
    };
    const slow = await TokenWorld.start({ people: { egress } });
    slow.trust(ACME, { issuer: provider.issuer, audience: AUDIENCE, jwksUri: provider.jwksUri });
    slow.trust(GLOBEX, { issuer: provider.issuer, audience: AUDIENCE, jwksUri: 'https://slow.example/' });
    await slow.enrolPerson(ACME, 'ann', ANN);
    const service = await slow.enrolService('billing');
    const tokens = await Promise.all(Array.from({ length: MAX_LOOK_UPS }, (_, i) => signed(claims({ jti: String(i) }))));
    const waiting = tokens.map((token) => slow.ask('GET', '/v1/tenants/globex/keys', token));
    const turnedAway = tokens.length - MAX_LOOK_UPS_OF_TENANT;
    let answered: number[] = [];
    for (const one of waiting) void one.then((status) => (answered = [...answered, status]));
    while (answered.length < turnedAway) await sleep(5);
    expect(new Set(answered)).toEqual(new Set([503]));
    expect(await slow.ask('GET', KEYS, await signed(claims()))).toBe(200);
    expect(await slow.ask('POST', '/v1/tenants/acme/encrypt', service.apiKey!)).not.toBe(503);
    late.resolve({ keys: [] });
    expect((await Promise.all(waiting)).filter((status) => status === 401)).toHaveLength(MAX_LOOK_UPS_OF_TENANT);
    await slow.plane.stop();
  });

  it('is asked once for one token, however many calls bring it at once', async () => {
    const token = await provider.token(ANN, AUDIENCE);
    const statuses = await Promise.all(Array.from({ length: 3 * MAX_LOOK_UPS }, () => world.ask('GET', KEYS, token)));
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(asked).toBe(1);
  });
});
