import { createHash, createPublicKey } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KeySpec, KeyUsage, SigningAlgorithm, TenantId } from '#contract';
import { DecryptFailed, Permit } from '#core';
import { derOf, type SocketCustody } from '#custody/socket';
import { unpackedPackages } from '../../libs/runtime/embedded/debian-packages.js';
import { aDraft, permitFor } from '../../libs/testing/custody-contract.js';
import { Counts, equalHmacKey, installedNistVectors, NIST_PACKAGE, parseRsp } from '../../libs/testing/vector-files.js';
import { TestCustodian, TestToken } from './test-bed.js';
import { imported } from './test-imported.js';

const ACME = 'acme' as TenantId;
const hex = (text = '') => Buffer.from(text, 'hex');
/** Vectors are many, and machines are busy: what is asked is whether answers are right. */
const PATIENCE_MS = 20_000;
const OTHER_CURVE = 'skipped: no spec has this curve and this digest';
const isHere = installedNistVectors !== undefined || existsSync('/usr/bin/dpkg-deb');
const describeWithVectors = isHere ? describe : describe.skip;

const MODULI: Readonly<Record<string, KeySpec>> = { 2048: 'RSA_2048', 3072: 'RSA_3072', 4096: 'RSA_4096' };
const DIGESTS: Readonly<Record<string, string>> = { SHA256: 'SHA_256', SHA384: 'SHA_384', SHA512: 'SHA_512' };
const OTHER_RSA = 'skipped: no spec has this modulus or exponent, or no algorithm this digest';

/** NIST's CAVP files and those of the RFCs, as Debian packages them for pyca/cryptography. */
describeWithVectors(
  `NIST's vectors through a custodian${isHere ? '' : ` (skipped: no Debian, and ${NIST_PACKAGE} is not installed)`}`,
  () => {
    let folder: string;
    let token: TestToken;
    let custodian: TestCustodian;
    let data: SocketCustody;

    beforeAll(async () => {
      folder =
        installedNistVectors ??
        join(await unpackedPackages('nist-vectors', [NIST_PACKAGE]), 'usr/lib/python3/dist-packages/cryptography_vectors');
      token = new TestToken();
      custodian = await TestCustodian.started(token);
      const key = await custodian.connect('key');
      await key.createTenantRoot(new Permit({ operation: 'OnboardTenant', tenant: ACME }), 0);
      data = await custodian.connect('data', PATIENCE_MS);
    }, 240_000);
    afterAll(async () => {
      await custodian?.stop();
      token?.remove();
    });

    const casesIn = (file: string) => parseRsp(readFileSync(join(folder, file), 'utf8'));
    const draft = (spec: KeySpec, usage: KeyUsage) => ({ ...aDraft(ACME, spec), usage });

    /** A file has 375 cases for each length of the tag and of the IV. Encryptions are asked the other way round. */
    const GCM_SKIPPED = {
      'skipped: a tag has 128 bits': 6750,
      'skipped: an IV has 96 bits': 750,
      'skipped: a plaintext has a byte at least': 75,
      'skipped: the AAD is never empty, it begins with the header': 60,
    };
    it.each([
      ['gcmDecrypt128', 'AES_128', { opened: 119, refused: 121 }],
      ['gcmDecrypt256', 'AES_256', { opened: 114, refused: 126 }],
      ['gcmEncryptExtIV128', 'AES_128', { opened: 240 }],
      ['gcmEncryptExtIV256', 'AES_256', { opened: 240 }],
    ] as const)('%s: Decrypt opens what is valid and nothing else', async (file, spec, counted) => {
      const counts = new Counts();
      const run = casesIn(`ciphers/AES/GCM/${file}.rsp`).filter(({ group: { IVlen, PTlen, AADlen, Taglen } }) => {
        if (Taglen !== '128') counts.add('skipped: a tag has 128 bits');
        else if (IVlen !== '96') counts.add('skipped: an IV has 96 bits');
        else if (PTlen === '0') counts.add('skipped: a plaintext has a byte at least');
        else if (AADlen === '0') counts.add('skipped: the AAD is never empty, it begins with the header');
        else return true;
        return false;
      });
      const rows = imported(
        token,
        run.map(({ test }) => ({ ...draft(spec, 'ENCRYPT_DECRYPT'), key: test['Key']! })),
      );
      for (const [index, { test }] of run.entries()) {
        const [row, aad] = [rows[index]!, hex(test['AAD'])];
        const sealed = { iv: hex(test['IV']), ciphertext: Buffer.concat([hex(test['CT']), hex(test['Tag'])]) };
        const opened = data.decrypt(permitFor('Decrypt', row, aad), row, sealed);
        if (test['FAIL'] === undefined) expect(Buffer.from(await opened).toString('hex')).toBe(test['PT']);
        else await expect(opened).rejects.toThrow(DecryptFailed);
        counts.add(test['FAIL'] === undefined ? 'opened' : 'refused');
      }
      expect(counts.all).toEqual({ ...GCM_SKIPPED, ...counted });
    });

    it.each([
      ['sha256', 'HMAC_256', 32, 64, { 'made and known': 6 }],
      ['sha384', 'HMAC_384', 48, 128, { 'made and known': 6 }],
      ['sha512', 'HMAC_512', 64, 128, { 'made and known': 6 }],
    ] as const)('HMAC with %s (RFC 4231)', async (hash, spec, keyBytes, blockBytes, counted) => {
      const counts = new Counts();
      for (const { test } of casesIn(`HMAC/rfc-4231-${hash}.txt`)) {
        const [message, mac] = [hex(test['Msg']), hex(test['MD'])];
        const key = equalHmacKey(hex(test['Key']), hash, keyBytes, blockBytes);
        if (key === undefined) {
          counts.add('skipped: no key of that length is equal to one of the spec');
          continue;
        }
        const [row] = imported(token, [{ ...draft(spec, 'GENERATE_VERIFY_MAC'), key: key.toString('hex') }]);
        expect(Buffer.from(await data.generateMac(permitFor('GenerateMac', row!), row!, message))).toEqual(mac);
        await expect(data.verifyMac(permitFor('VerifyMac', row!), row!, message, mac)).resolves.toBe(true);
        counts.add('made and known');
      }
      expect(counts.all).toEqual(counted);
    });

    it.each([
      ['FIPS_186-3/SigVer.rsp', { valid: 6, invalid: 24, [OTHER_CURVE]: 1095 }],
      ['FIPS_186-3/SigGen.txt', { valid: 30, [OTHER_CURVE]: 1095 }],
      ['SECP256K1/SigGen.txt', { valid: 225, [OTHER_CURVE]: 900 }],
    ] as const)('ECDSA %s: Verify knows valid signatures and no others', async (file, counted) => {
      const counts = new Counts();
      const run = casesIn(`asymmetric/ECDSA/${file}`).flatMap(({ group, test }) => {
        const offered = OFFERED[group['name'] ?? ''];
        const publicKey = offered && spkiOf(offered, test);
        if (test['Msg'] === undefined) return [];
        if (offered === undefined) counts.add(OTHER_CURVE);
        else if (publicKey === undefined) counts.add('skipped: no point of the curve');
        else return [{ offered, publicKey, test }];
        return [];
      });
      const rows = imported(
        token,
        run.map(({ offered: { spec }, publicKey }) => ({ ...draft(spec, 'SIGN_VERIFY'), publicKey })),
      );
      for (const [index, { offered, test }] of run.entries()) {
        const row = rows[index]!;
        const digest = createHash(offered.hash).update(hex(test['Msg'])).digest();
        const signature = derOf(Buffer.concat([test['R']!, test['S']!].map((half) => hex(half.padStart(2 * offered.bytes, '0')))));
        const isValid = (test['Result'] ?? 'P').startsWith('P');
        expect(await data.verify(permitFor('Verify', row), row, offered.algorithm, digest, signature)).toBe(isValid);
        counts.add(isValid ? 'valid' : 'invalid');
      }
      expect(counts.all).toEqual(counted);
    });

    // No key here has the exponent of its SigGen files; salts of its PSS files have 0 or 10 bytes, and none is as long as the digest.
    it('RSA SigVer15: Verify knows valid signatures and no others', async () => {
      const counts = new Counts();
      let pair: { n?: string; e?: string } = {};
      const run = casesIn('asymmetric/RSA/FIPS_186-2/SigVer15_186-3.rsp').flatMap(({ test }) => {
        // A modulus stands alone and holds for what follows; so may an exponent.
        pair = { ...pair, ...(test['n'] && { n: test['n'] }), ...(test['e'] && { e: test['e'] }) };
        const { SHAAlg: sha = '', Msg: message, S: signature, Result: told = 'P' } = test;
        if (message === undefined) return [];
        const spec = MODULI[4 * pair.n!.length];
        if (spec !== undefined && DIGESTS[sha] !== undefined && BigInt(`0x${pair.e}`) === 65537n)
          return [{ spec, sha, publicKey: rsaSpkiOf(pair.n!), message, signature: hex(signature), isValid: told.startsWith('P') }];
        counts.add(OTHER_RSA);
        return [];
      });
      const rows = imported(
        token,
        run.map(({ spec, publicKey }) => ({ ...draft(spec, 'SIGN_VERIFY'), publicKey })),
      );
      for (const [index, { sha, message, signature, isValid }] of run.entries()) {
        const row = rows[index]!;
        const algorithm = `RSASSA_PKCS1_V1_5_${DIGESTS[sha]}` as SigningAlgorithm;
        const digest = createHash(sha.toLowerCase()).update(hex(message)).digest();
        expect(await data.verify(permitFor('Verify', row), row, algorithm, digest, signature)).toBe(isValid);
        counts.add(isValid ? 'valid' : 'invalid');
      }
      expect(counts.all).toEqual({ valid: 9, invalid: 42, [OTHER_RSA]: 399 });
    });
  },
);

const rsaSpkiOf = (n: string): string =>
  createPublicKey({ key: { kty: 'RSA', n: hex(n).toString('base64url'), e: 'AQAB' }, format: 'jwk' })
    .export({ format: 'der', type: 'spki' })
    .toString('hex');

interface Offered {
  readonly spec: KeySpec;
  readonly algorithm: SigningAlgorithm;
  readonly hash: string;
  readonly crv: string;
  readonly bytes: number;
}
const P256: Offered = { spec: 'EC_P256', algorithm: 'ECDSA_SHA_256', hash: 'sha256', crv: 'P-256', bytes: 32 };
const OFFERED: Readonly<Record<string, Offered>> = {
  'P-256,SHA-256': P256,
  'P-384,SHA-384': { spec: 'EC_P384', algorithm: 'ECDSA_SHA_384', hash: 'sha384', crv: 'P-384', bytes: 48 },
  'K-256,SHA-256': { ...P256, spec: 'EC_P256K', crv: 'secp256k1' },
};

function spkiOf({ crv, bytes }: Offered, { Qx = '', Qy = '' }: Readonly<Record<string, string>>): string | undefined {
  const [x, y] = [Qx, Qy].map((half) => hex(half.padStart(2 * bytes, '0')).toString('base64url'));
  try {
    return createPublicKey({ key: { kty: 'EC', crv, x: x!, y: y! }, format: 'jwk' })
      .export({ format: 'der', type: 'spki' })
      .toString('hex');
  } catch {
    return undefined; // "Q changed" may leave the curve
  }
}
