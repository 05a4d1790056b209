import type { z } from 'zod';
import {
  decryptRequest,
  encryptRequest,
  generateDataKeyRequest,
  generateMacRequest,
  MAX_CIPHERTEXT_BYTES,
  verifyMacRequest,
} from './data-operations.js';
import { alias, ownAlias } from './identifiers.js';
import {
  aliasQuery,
  aliasTarget,
  createKeyRequest,
  createKeyVersionRequest,
  keyDescriptionRequest,
  listKeysQuery,
  scheduleDeletionRequest,
  tagKeyRequest,
  untagKeyRequest,
} from './key-life.js';
import { keyRotationRequest } from './key-rotation.js';
import { signRequest, verifyRequest } from './signing.js';

type Request = (size: number) => readonly [z.ZodType, unknown];
const keyId = 'alias/a';
const bytes = (size: number) => Buffer.alloc(size, 1).toString('base64');
const text = (size: number) => 'x'.repeat(size);
const named = (size: number) => Array.from({ length: size }, (_, index) => `t${index}`);
const tags = (size: number) => Object.fromEntries(named(size).map((name) => [name, 'v']));
const signing = { keyId, algorithm: 'ECDSA_SHA_256' } as const;

/** Every limit of a key's requests (docs/keys.md): the field, least and most, and a request of a size. */
const LIMITS: readonly (readonly [string, number, number, Request])[] = [
  ['plaintext', 1, 6144, (size) => [encryptRequest, { keyId, plaintext: bytes(size) }]],
  ['ciphertext', 50, MAX_CIPHERTEXT_BYTES, (size) => [decryptRequest, { ciphertext: bytes(size) }]],
  ['numberOfBytes', 1, 1024, (numberOfBytes) => [generateDataKeyRequest, { keyId, numberOfBytes }]],
  ['message', 1, 4096, (size) => [generateMacRequest, { keyId, message: bytes(size) }]],
  ['mac', 1, 64, (size) => [verifyMacRequest, { keyId, message: bytes(1), mac: bytes(size) }]],
  ['message', 1, 6144, (size) => [signRequest, { ...signing, message: bytes(size) }]],
  ['message', 32, 32, (size) => [signRequest, { ...signing, message: bytes(size), messageType: 'DIGEST' }]],
  ['message', 48, 48, (size) => [signRequest, { ...signing, algorithm: 'ECDSA_SHA_384', message: bytes(size), messageType: 'DIGEST' }]],
  ['message', 32, 32, (size) => [signRequest, { ...signing, algorithm: 'SM2DSA', message: bytes(size), messageType: 'DIGEST' }]],
  ['message', 1, 6144, (size) => [signRequest, { ...signing, algorithm: 'ED25519_SHA_512', message: bytes(size) }]],
  ['signature', 1, 512, (size) => [verifyRequest, { ...signing, message: bytes(1), signature: bytes(size) }]],
  ['description', 0, 8192, (size) => [createKeyRequest, { description: text(size) }]],
  ['description', 0, 8192, (size) => [keyDescriptionRequest, { description: text(size) }]],
  ['tags', 0, 20, (size) => [createKeyRequest, { tags: tags(size) }]],
  ['tags', 1, 20, (size) => [tagKeyRequest, { tags: tags(size) }]],
  ['tags', 1, 128, (size) => [tagKeyRequest, { tags: { [text(size)]: 'v' } }]],
  ['tags', 0, 128, (size) => [tagKeyRequest, { tags: { n: text(size) } }]],
  ['names', 1, 20, (size) => [untagKeyRequest, { names: named(size) }]],
  ['pendingDays', 7, 366, (pendingDays) => [scheduleDeletionRequest, { pendingDays }]],
  ['intervalDays', 7, 730, (intervalDays) => [keyRotationRequest, { enabled: true, intervalDays }]],
  ['reason', 1, 512, (size) => [createKeyVersionRequest, { reason: text(size) }]],
  ['alias', 1, 255, (size) => [createKeyRequest, { alias: `alias/${text(size)}` }]],
  ['limit', 1, 100, (limit) => [listKeysQuery, { limit: String(limit) }]],
];

describe('a message for Ed25519', () => {
  it.each([
    [signRequest, {}],
    [verifyRequest, { signature: bytes(64) }],
  ] as const)('is no digest', (schema, more) => {
    const asked = { keyId, algorithm: 'ED25519_SHA_512', message: bytes(64), ...more };
    const told = schema.safeParse({ ...asked, messageType: 'DIGEST' }).error?.issues.map(({ path, message }) => [path[0], message]);
    expect(told).toEqual([['messageType', 'must be RAW: this algorithm signs the message itself']]);
    expect(schema.safeParse({ ...asked, messageType: 'RAW' }).success).toBe(true);
  });
});

describe('the limits of a request about keys', () => {
  const issues = (request: Request, size: number) => {
    const [schema, input] = request(size);
    return schema.safeParse(input).error?.issues.map(({ path }) => path[0]);
  };

  it.each(LIMITS)('%s: from %i to %i, and not one less or more', (field, least, most, request) => {
    expect([issues(request, least), issues(request, most)]).toEqual([undefined, undefined]);
    expect(issues(request, most + 1)).toEqual([field]);
    if (least > 0) expect(issues(request, least - 1)).toEqual([field]);
  });

  it.each(['alias/acs', 'alias/acs-mine', 'alias/aws/s3', 'alias/', 'alias', 'alias/a b', 'alias/é', 'invoices'])(
    '%s is no alias',
    (name) => {
      expect(alias.safeParse(name).success).toBe(false);
    },
  );

  it('alias/acs/<service> is the name of the key that is kept for a service, and nothing that people give', () => {
    expect(alias.safeParse('alias/acs/gateway').success).toBe(true);
    expect(ownAlias.safeParse('alias/acs/gateway').success).toBe(false);
    for (const request of [
      createKeyRequest.safeParse({ alias: 'alias/acs/gateway' }),
      aliasTarget.safeParse({ alias: 'alias/acs/gateway', keyId: `key_${'0'.repeat(26)}` }),
      aliasQuery.safeParse({ alias: 'alias/acs/gateway' }),
    ])
      expect(request.error?.issues).toMatchObject([{ path: ['alias'], message: expect.stringContaining('reserved') }]);
  });
});
