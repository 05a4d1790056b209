import { createPublicKey, generateKeyPairSync, type KeyObject, verify } from 'node:crypto';
import { bearerOf } from './bearer.js';
import { KeywardClient } from './client.js';
import { Envelope } from './envelope.js';
import { InvalidCall, Refused, ServerFault } from './errors.js';
import { FakeDataPlane, KEY_ID, VERSION_ID } from './test/fake-data-plane.js';

const CREDENTIAL = 'crd_01jb000000e008000000000000';
const call = { tenant: 'acme', keyId: 'alias/invoices', context: { purpose: 'invoice' } };

let fake: FakeDataPlane;
beforeEach(async () => {
  fake = await FakeDataPlane.start();
});
afterEach(() => fake.close());
const client = () => new KeywardClient({ apiKey: 'kw_x', url: fake.url, backoffMs: 1 });

describe('a dry run', () => {
  const CALLS = {
    encrypt: { ...call, plaintext: Buffer.from('4711') },
    decrypt: { tenant: 'acme', ciphertext: Buffer.alloc(60), context: call.context },
    generateDataKey: call,
    generateDataKeyWithoutPlaintext: call,
  };

  it.each(['encrypt', 'decrypt', 'generateDataKey', 'generateDataKeyWithoutPlaintext'] as const)(
    'asks what %s would ask',
    async (operation) => {
      fake.script = (_asked, response) => fake.json(response, { dryRun: true, keyId: KEY_ID, keyVersionId: VERSION_ID });
      const answer = await client().dryRun(operation, CALLS[operation]);
      expect(answer).toMatchObject({ dryRun: true, keyId: KEY_ID, keyVersionId: VERSION_ID });
      expect(fake.asked[0]?.body).toMatchObject({ dryRun: true, encryptionContext: call.context });
    },
  );

  it('is never taken for the call itself, nor the call for it', async () => {
    fake.script = (_asked, response) => fake.json(response, { dryRun: true, keyId: KEY_ID, keyVersionId: VERSION_ID });
    await expect(client().encrypt({ ...call, plaintext: Buffer.from('x') })).rejects.toThrow(ServerFault);
    await expect(client().generateDataKey(call)).rejects.toThrow(ServerFault);
    fake.script = () => undefined;
    await expect(client().dryRun('encrypt', CALLS.encrypt)).rejects.toThrow(ServerFault);
  });
});

it('says why it asks, and hears why it is refused', async () => {
  fake.script = (_asked, response) => fake.problem(response, 'not-granted', 403, { reason: 'condition-not-met' });
  const justification = { code: 'ISV_INCIDENT' as const, ticket: 'INC-7' };
  const error: unknown = await client()
    .generateDataKey({ ...call, justification })
    .catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(Refused);
  expect(error).toMatchObject({ reason: 'condition-not-met' });
  expect(fake.asked[0]?.body).toMatchObject({ justification });
});

describe('a service with a key of its own', () => {
  const parts = (token: string) => token.split('.').map((part) => Buffer.from(part, 'base64url'));
  const json = (part: Buffer | undefined) => JSON.parse(String(part)) as Record<string, unknown>;
  const isSigned = (token: string, algorithm: string | null, publicKey: KeyObject) =>
    verify(algorithm, Buffer.from(token.slice(0, token.lastIndexOf('.'))), { key: publicKey, dsaEncoding: 'ieee-p1363' }, parts(token)[2]!);

  it.each([
    ['EdDSA', null, generateKeyPairSync('ed25519')],
    ['ES256', 'sha256', generateKeyPairSync('ec', { namedCurve: 'P-256' })],
  ] as const)('signs its own tokens, by %s', async (alg, digest, { privateKey, publicKey }) => {
    const token = await bearerOf({ signingKey: { credentialId: CREDENTIAL, privateKey, audience: 'keyward:here' } })();
    const [header, claims] = parts(token).map((part, index) => (index < 2 ? json(part) : {}));
    expect(header).toEqual({ alg, typ: 'JWT' });
    expect(claims).toMatchObject({ iss: CREDENTIAL, sub: CREDENTIAL, aud: 'keyward:here' });
    expect(Number(claims!['exp']) - Number(claims!['iat'])).toBe(300);
    expect(isSigned(token, digest, createPublicKey(publicKey.export({ type: 'spki', format: 'pem' })))).toBe(true);
  });

  it('uses a token for some minutes, and another one before it ends', async () => {
    jest.useFakeTimers({ now: 1_800_000_000_000 });
    try {
      const bearer = bearerOf({ signingKey: { credentialId: CREDENTIAL, privateKey: generateKeyPairSync('ed25519').privateKey } });
      const first = await bearer();
      jest.advanceTimersByTime(239_000);
      expect(await bearer()).toBe(first);
      jest.advanceTimersByTime(1_000);
      expect(await bearer()).not.toBe(first);
    } finally {
      jest.useRealTimers();
    }
  });

  it('sends them in the place of an API key, and takes its private key as a JWK too', async () => {
    const privateKey = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
    await new KeywardClient({ signingKey: { credentialId: CREDENTIAL, privateKey }, url: fake.url }).generateDataKey(call);
    expect(fake.asked[0]?.authorization).toMatch(/^Bearer ey/);
  });

  it('refuses a key of another kind', () => {
    const privateKey = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
    expect(() => bearerOf({ signingKey: { credentialId: CREDENTIAL, privateKey } })).toThrow(InvalidCall);
  });
});

it('holds no data key for longer than a receipt of a stop promises', () => {
  expect(() => new Envelope(client(), { cache: { maxAgeMs: 300_001 } })).toThrow(RangeError);
  expect(() => new Envelope(client(), { cache: { maxAgeMs: 300_000 } })).not.toThrow();
});
