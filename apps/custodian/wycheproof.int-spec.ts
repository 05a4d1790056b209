import type { TenantId } from '#contract';
import { Permit } from '#core';
import type { SocketCustody } from '#custody/socket';
import { type WycheproofFile, wycheproof, wycheproofNames } from '../../libs/testing/vector-files.js';
import { TestCustodian, TestToken } from './test-bed.js';
import { RUNS } from './test-vector-runs.js';

const LENGTH = 'skipped: no request has a signature of this length';
/** Vectors are many, and machines are busy: what is asked is whether answers are right. */
const PATIENCE_MS = 20_000;
const EXPONENT = 'skipped: every public exponent is 65537';

/**
 * What the files that we know come to, by result and by reason. Of "acceptable" ones: a DigestInfo without the NULL of its parameters is
 * no signature here, because one signature has one encoding.
 */
const PINNED: Readonly<Record<string, Record<string, number>>> = {
  aes_gcm: {
    valid: 35,
    'skipped: no spec has 192 bits': 103,
    'skipped: an IV has 96 bits': 80,
    'skipped: a plaintext has a byte at least': 3,
    'skipped: the AAD is never empty, it begins with the header': 95,
  },
  aes_kwp: { valid: 25, invalid: 68, 'skipped: a root has 256 bits': 160, 'skipped: a key has a byte at least': 1 },
  aes_wrap: {
    ...{ valid: 13, invalid: 38, 'acceptable: refused': 1 },
    ...{ 'skipped: a root has 256 bits': 97, 'skipped: a key has a byte at least': 16 },
  },
  ecdsa_secp256k1_sha256: { valid: 168, invalid: 304, [LENGTH]: 4 },
  ecdsa_secp256r1_sha256: { valid: 174, invalid: 306, [LENGTH]: 4 },
  ecdsa_secp384r1_sha384: { valid: 194, invalid: 306, [LENGTH]: 4 },
  ed25519: { valid: 84, invalid: 62, 'skipped: a message has a byte at least': 4, [LENGTH]: 1 },
  rsa_pss_2048_sha256_mgf1_32: { valid: 63, invalid: 44, [LENGTH]: 1 },
  rsa_pss_3072_sha256_mgf1_32: { valid: 63, invalid: 44, [LENGTH]: 1 },
  rsa_signature_2048_sha256: { valid: 7, invalid: 248, 'acceptable: refused': 1, [LENGTH]: 1, [EXPONENT]: 2 },
};

/** Cases as the files have them, of algorithms whose files need not be here. HMACSM3: tcId 2, 3 and 29; SM4-GCM: RFC 8998, A.1. */
const SAMPLES: readonly WycheproofFile[] = [
  sample('HMACSM3', { keySize: 256, tagSize: 256 }, [
    {
      ...{ tcId: 2, result: 'valid', msg: '77' },
      key: '8159fd15133cd964c9a6964c94f0ea269a806fd9f43f0da58b6cd1b33d189b2a',
      tag: '51aaf64843b6d2fc7a244ab9cda9b7b57164ce6a865f9808c01931b46195411d',
    },
    {
      ...{ tcId: 3, result: 'valid', msg: 'a59b' },
      key: '85a7cbaae825bb82c9b6f6c5c2af5ac03d1f6daa63d2a93c189948ec41b9ded9',
      tag: '108e4785c23e3084bc62a1f7e6812931daa97168b4fc20a0357c53e5bcbf2513',
    },
    {
      ...{ tcId: 29, result: 'invalid', msg: '000102030405060708090a0b0c0d0e0f' },
      key: '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
      tag: '67d4d2f037472811eba125f2696bafd6a7f8f40c8fe91dcc7d7cca538b3626c5',
    },
  ]),
  sample('SM4-GCM', { ivSize: 96, keySize: 128, tagSize: 128 }, [
    {
      ...{ tcId: 1, result: 'valid', key: '0123456789abcdeffedcba9876543210' },
      ...{ iv: '00001234567800000000abcd', aad: 'feedfacedeadbeeffeedfacedeadbeefabaddad2' },
      msg: 'aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccddddddddddddddddeeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa',
      ct: '17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d',
      tag: '83de3541e4c2b58177e065a9bf7b62ec',
    },
  ]),
];

function sample(algorithm: string, group: object, tests: readonly Readonly<Record<string, unknown>>[]): WycheproofFile {
  return { algorithm, schema: '', numberOfTests: tests.length, testGroups: [{ ...group, tests: [...tests] }] };
}

/** Every file beside the checkout, and ours (libs/testing/vector-files.ts). Of one that is not pinned it is asked only that nothing is wrong. */
describe("Wycheproof's vectors through a custodian on SoftHSM", () => {
  let token: TestToken;
  let custodian: TestCustodian;
  let data: SocketCustody;

  beforeAll(async () => {
    token = new TestToken();
    custodian = await TestCustodian.started(token);
    const key = await custodian.connect('key');
    await key.createTenantRoot(new Permit({ operation: 'OnboardTenant', tenant: 'acme' as TenantId }), 0);
    data = await custodian.connect('data', PATIENCE_MS);
  });
  afterAll(async () => {
    await custodian?.stop();
    token?.remove();
  });

  for (const name of wycheproofNames()) {
    const file = wycheproof(name);
    const run = RUNS[file.algorithm];
    if (run === undefined) {
      it.skip(`${name}: no key here does ${file.algorithm}`, () => undefined);
      continue;
    }
    it(`${name}: what is valid, and nothing else`, async () => {
      const { counts, wrong } = await run({ token, data }, file);
      expect(wrong).toEqual([]);
      if (PINNED[name] !== undefined) expect(counts).toEqual(PINNED[name]);
      expect(Object.values(counts).reduce((sum, count) => sum + count, 0)).toBe(file.numberOfTests);
    }, 120_000);
  }

  it.each(SAMPLES)('a sample of $algorithm: what is valid, and nothing else; a file that says otherwise is noticed', async (file) => {
    const run = RUNS[file.algorithm]!;
    expect((await run({ token, data }, file)).wrong).toEqual([]);
    const tests = file.testGroups[0]!.tests.map((test) => ({ ...test, result: test['result'] === 'valid' ? 'invalid' : 'valid' }));
    const lying = { ...file, testGroups: [{ ...file.testGroups[0]!, tests }] };
    expect((await run({ token, data }, lying)).wrong).toHaveLength(tests.length);
  });
});
