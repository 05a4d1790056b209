import { execFileSync, spawnSync } from 'node:child_process';
import { createHmac, createPublicKey, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { KeySpec, KeyUsage, TenantId } from '#contract';
import { CustodyUnavailable, DecryptFailed, Permit, type WrappedKeyVersion } from '#core';
import type { SocketCustody } from '#custody/socket';
import { sm2Digest } from '../../libs/core/sm2-digest.js';
import { aDraft, aVersion, permitFor } from '../../libs/testing/custody-contract.js';
import { TestCustodian, TestToken } from './test-bed.js';
import { imported, type ImportedDraft } from './test-imported.js';

const ACME = 'acme' as TenantId;
const hex = (text: string) => Buffer.from(text, 'hex');
const draft = (spec: KeySpec, usage: KeyUsage) => ({ ...aDraft(ACME, spec), usage });
const hasOpenSsl = spawnSync('openssl', ['version']).status === 0;
const itWithOpenSsl = hasOpenSsl ? it : it.skip;
const beside = `beside the openssl command line${hasOpenSsl ? '' : ' (skipped: there is none)'}`;

/** Vectors are many, and machines are busy: what is asked is whether answers are right. */
const PATIENCE_MS = 20_000;

describe('SM keys through a custodian', () => {
  let token: TestToken;
  let custodian: TestCustodian;
  let key: SocketCustody;
  let data: SocketCustody;

  beforeAll(async () => {
    token = new TestToken();
    custodian = await TestCustodian.started(token);
    [key, data] = [await custodian.connect('key'), await custodian.connect('data', PATIENCE_MS)];
    await aVersion(key);
  });
  afterAll(async () => {
    await custodian?.stop();
    token?.remove();
  });

  const brought = (one: ImportedDraft): WrappedKeyVersion => imported(token, [one])[0]!;
  const made = (spec: KeySpec, usage: KeyUsage) => {
    const one = draft(spec, usage);
    return key.createKeyVersion(new Permit({ operation: 'CreateKey', tenant: ACME, versionId: one.versionId }), one, 0);
  };
  const openssl = (input: Uint8Array, ...args: string[]) => execFileSync('openssl', args, { input });
  /** A file of this content, for the command line. */
  const file = (name: string, content: Uint8Array | string) => {
    writeFileSync(token.path(name), content);
    return token.path(name);
  };

  describe('SM4-GCM', () => {
    const open = (row: WrappedKeyVersion, iv: Buffer, aad: Buffer, ciphertext: Buffer) =>
      data.decrypt(permitFor('Decrypt', row, aad), row, { iv, ciphertext });

    it('opens the example of RFC 8998 (appendix A.1), and nothing like it', async () => {
      const row = brought({ ...draft('SM4', 'ENCRYPT_DECRYPT'), key: '0123456789abcdeffedcba9876543210' });
      const [iv, aad] = [hex('00001234567800000000abcd'), hex('feedfacedeadbeeffeedfacedeadbeefabaddad2')];
      const sealed = hex(
        '17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735' +
          'd82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d' +
          '83de3541e4c2b58177e065a9bf7b62ec',
      );
      const plain = hex(
        'aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd' +
          'eeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa',
      );
      expect(Buffer.from(await open(row, iv, aad, sealed))).toEqual(plain);
      sealed[sealed.length - 1]! ^= 1;
      await expect(open(row, iv, aad, sealed)).rejects.toThrow(DecryptFailed);
    });

    itWithOpenSsl(`is counter mode with GHASH, both ways, ${beside}`, async () => {
      const secret = randomBytes(16);
      const row = brought({ ...draft('SM4', 'ENCRYPT_DECRYPT'), key: secret.toString('hex') });
      const [text, aad] = [randomBytes(1000), Buffer.from('aad')];
      const counted = (iv: Uint8Array, input: Uint8Array) =>
        openssl(input, 'enc', '-sm4-ctr', '-K', secret.toString('hex'), '-iv', `${Buffer.from(iv).toString('hex')}00000002`);
      const encrypted = (block: Uint8Array) => openssl(block, 'enc', '-sm4-ecb', '-nopad', '-K', secret.toString('hex'));
      const tagOf = (iv: Uint8Array, body: Uint8Array) => {
        const mask = encrypted(Buffer.concat([iv, hex('00000001')]));
        return ghash(encrypted(Buffer.alloc(16)), aad, body).map((byte, at) => byte ^ mask[at]!);
      };
      const sealed = await data.encrypt(permitFor('Encrypt', row, aad), row, text);
      const body = sealed.ciphertext.subarray(0, -16);
      expect(counted(sealed.iv, body)).toEqual(text);
      expect(Buffer.from(sealed.ciphertext.subarray(-16))).toEqual(tagOf(sealed.iv, body));
      const iv = randomBytes(12);
      const foreign = counted(iv, text);
      expect(Buffer.from(await open(row, iv, aad, Buffer.concat([foreign, tagOf(iv, foreign)])))).toEqual(text);
    });
  });

  itWithOpenSsl(`HMAC_SM3 makes and knows the same MACs, ${beside}`, async () => {
    const secret = randomBytes(32);
    const row = brought({ ...draft('HMAC_SM3', 'GENERATE_VERIFY_MAC'), key: secret.toString('hex') });
    const message = randomBytes(500);
    const theirs = openssl(message, 'dgst', '-sm3', '-mac', 'HMAC', '-macopt', `hexkey:${secret.toString('hex')}`, '-binary');
    expect(Buffer.from(await data.generateMac(permitFor('GenerateMac', row), row, message))).toEqual(theirs);
    expect(createHmac('sm3', secret).update(message).digest()).toEqual(theirs);
    await expect(data.verifyMac(permitFor('VerifyMac', row), row, message, theirs)).resolves.toBe(true);
    theirs[0]! ^= 1;
    await expect(data.verifyMac(permitFor('VerifyMac', row), row, message, theirs)).resolves.toBe(false);
  });

  describe('SM2', () => {
    const SPKI = '3059301306072a8648ce3d020106082a811ccf5501822d034200';
    const verifies = (row: WrappedKeyVersion, message: Buffer, signature: Uint8Array) =>
      data.verify(permitFor('Verify', row), row, 'SM2DSA', Buffer.from(sm2Digest(row.publicKey, message)), signature);
    const signed = async (row: WrappedKeyVersion, message: Buffer) =>
      Buffer.from(await data.sign(permitFor('Sign', row), row, 'SM2DSA', Buffer.from(sm2Digest(row.publicKey, message))));
    const distinguished = ['-sigopt', 'distid:1234567812345678'];

    it('knows the signature of the standard (GB/T 32918.5, appendix A.2), and signs with its key', async () => {
      const point =
        '0409f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020' +
        'ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13';
      const secret = '3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8';
      const row = brought({ ...draft('EC_SM2', 'SIGN_VERIFY'), key: secret, publicKey: SPKI + point });
      const signature = hex(
        '3046022100f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3' +
          '022100b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa',
      );
      const message = Buffer.from('message digest');
      await expect(verifies(row, message, signature)).resolves.toBe(true);
      await expect(verifies(row, Buffer.from('another message'), signature)).resolves.toBe(false);
      await expect(verifies(row, message, await signed(row, message))).resolves.toBe(true);
    });

    itWithOpenSsl(`signs what others know, ${beside}`, async () => {
      const row = await made('EC_SM2', 'SIGN_VERIFY');
      const spki = Buffer.from(await data.publicKey(permitFor('GetPublicKey', row), row));
      const pem = file('theirs.pem', `-----BEGIN PUBLIC KEY-----\n${spki.toString('base64')}\n-----END PUBLIC KEY-----\n`);
      for (let round = 0; round < 20; round++) {
        const message = randomBytes(1 + 300 * round);
        const signature = file('signature', await signed(row, message));
        const told = openssl(message, 'dgst', '-sm3', '-verify', pem, ...distinguished, '-signature', signature);
        expect(told.toString()).toContain('Verified OK');
      }
    });

    itWithOpenSsl(`knows what others signed, ${beside}`, async () => {
      const pem = openssl(Buffer.alloc(0), 'genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:SM2');
      const secret = file('ours.pem', pem);
      const publicKey = openssl(Buffer.alloc(0), 'pkey', '-in', secret, '-pubout', '-outform', 'DER').toString('hex');
      const row = brought({ ...draft('EC_SM2', 'SIGN_VERIFY'), publicKey });
      for (let round = 0; round < 20; round++) {
        const message = randomBytes(1 + 300 * round);
        const signature = openssl(message, 'dgst', '-sm3', '-sign', secret, ...distinguished);
        await expect(verifies(row, message, signature)).resolves.toBe(true);
        await expect(verifies(row, randomBytes(10), signature)).resolves.toBe(false);
        await expect(verifies(row, message, Buffer.concat([signature, Buffer.alloc(1)]))).resolves.toBe(false);
      }
    });

    it('gives a public key that node:crypto takes', async () => {
      const row = await made('EC_SM2', 'SIGN_VERIFY');
      const spki = Buffer.from(row.publicKey!);
      expect(createPublicKey({ key: spki, format: 'der', type: 'spki' }).export({ format: 'der', type: 'spki' })).toEqual(spki);
    });
  });

  it('leave nothing readable in the row, and not two alike', async () => {
    const rows = [await made('SM4', 'ENCRYPT_DECRYPT'), await made('SM4', 'ENCRYPT_DECRYPT')];
    expect(rows.map(({ blob, protectionLevel }) => [blob.length, protectionLevel])).toEqual([
      [40 + 12 + 16 + 16, 'SOFTWARE'],
      [40 + 12 + 16 + 16, 'SOFTWARE'],
    ]);
    expect(Buffer.from(rows[0]!.blob)).not.toEqual(Buffer.from(rows[1]!.blob));
  });
});

describe('an operator who wants no keys in software', () => {
  it('gets none: they are neither made nor used, with the reason', async () => {
    const token = new TestToken();
    const before = await TestCustodian.started(token);
    const row = await aVersion(await before.connect('key'), ACME, 'SM4');
    await before.stop();
    const custodian = await TestCustodian.started(Object.assign(token, { env: { ...token.env, KEYWARD_SOFTWARE_KEYS: 'refused' } }));
    const [key, data] = [await custodian.connect('key'), await custodian.connect('data')];
    const { specs, unavailable } = await key.capabilities();
    expect(specs).not.toEqual(expect.arrayContaining(['SM4']));
    const reason = 'keys in software are refused by the operator (KEYWARD_SOFTWARE_KEYS)';
    expect(unavailable).toMatchObject({ SM4: reason, HMAC_SM3: reason, EC_SM2: reason });
    await expect(aVersion(key, ACME, 'SM4')).rejects.toMatchObject({ code: 'internal' });
    await expect(data.encrypt(permitFor('Encrypt', row), row, Buffer.from('x'))).rejects.toThrow(CustodyUnavailable);
    await expect(aVersion(key)).resolves.toBeDefined();
    await custodian.stop();
    token.remove();
  });
});

/** GHASH (NIST SP 800-38D, 6.4) of AAD and ciphertext. */
function ghash(h: Buffer, aad: Uint8Array, ciphertext: Uint8Array): Buffer {
  const numberOf = (block: Buffer) => BigInt(`0x${block.toString('hex')}`);
  const padded = (bytes: Uint8Array) => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 15)]);
  const lengths = Buffer.alloc(16);
  lengths.writeBigUInt64BE(BigInt(8 * aad.length));
  lengths.writeBigUInt64BE(BigInt(8 * ciphertext.length), 8);
  const input = Buffer.concat([padded(aad), padded(ciphertext), lengths]);
  let sum = 0n;
  for (let at = 0; at < input.length; at += 16) sum = times(sum ^ numberOf(input.subarray(at, at + 16)), numberOf(h));
  return Buffer.from(sum.toString(16).padStart(32, '0'), 'hex');
}

/** In GF(2^128), bits reflected. */
function times(x: bigint, y: bigint): bigint {
  let [product, factor] = [0n, y];
  for (let bit = 127n; bit >= 0n; bit--) {
    if ((x >> bit) & 1n) product ^= factor;
    factor = factor & 1n ? (factor >> 1n) ^ (0xe1n << 120n) : factor >> 1n;
  }
  return product;
}
