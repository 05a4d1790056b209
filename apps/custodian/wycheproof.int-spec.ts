import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KeySpec, TenantId } from '#contract';
import { DecryptFailed, Permit, type WrappedKeyVersion } from '#core';
import type { SocketCustody } from '#custody/socket';
import { z } from 'zod';
import { aDraft, permitFor } from '../../libs/testing/custody-contract.js';
import { TestCustodian, TestToken } from './test-bed.js';

const ACME = 'acme' as TenantId;
const hex = (text: string) => Buffer.from(text, 'hex');
const EXPONENT = 'skipped: every public exponent is 65537';
const NO_BYTES = 'skipped: no request has an empty signature';
const result = z.enum(['valid', 'invalid', 'acceptable']);

/** Every test of a file of Wycheproof's, with its group. */
function vectors<Group extends z.ZodType, Test extends z.ZodType>(name: string, group: Group, test: Test) {
  const file = z.object({ numberOfTests: z.int(), testGroups: z.array(z.looseObject({ tests: z.array(z.unknown()) })) });
  const { numberOfTests, testGroups } = file.parse(JSON.parse(readFileSync(join('test/vectors/wycheproof', `${name}_test.json`), 'utf8')));
  const all = testGroups.flatMap((one) => one.tests.map((each) => ({ group: group.parse(one), test: test.parse(each) })));
  expect(all).toHaveLength(numberOfTests);
  return all;
}

/** A row before somebody with the PIN made it: of an AES key by its bytes, or of a pair by its public half. */
type Draft = ReturnType<typeof aDraft> & { readonly key?: string; readonly publicKey?: string };

/** Puts keys of the vectors under the tenant's root and binds their rows, as only who holds the PIN can: in a process of its own. */
function imported(token: TestToken, drafts: readonly Draft[]): WrappedKeyVersion[] {
  const library = join(process.cwd(), 'dist/libs/custody/pkcs11');
  const script = `
    import { readFileSync } from 'node:fs';
    import pkcs11js from 'pkcs11js';
    import { BindingKey } from '${library}/binding-key.js';
    import { Cryptoki } from '${library}/cryptoki.js';
    import { namedRoot, newbornVersion } from '${library}/key-templates.js';
    import { OpenToken } from '${library}/open-token.js';
    import { nativeTemplate } from '${library}/template.js';
    const cryptoki = new Cryptoki(process.env.KEYWARD_HSM_MODULE);
    cryptoki.initialise();
    const token = OpenToken.open(cryptoki, process.env.KEYWARD_HSM_TOKEN, readFileSync(process.env.KEYWARD_HSM_PIN_FILE, 'utf8').trim());
    const raw = new pkcs11js.PKCS11();
    raw.load(process.env.KEYWARD_HSM_MODULE);
    const [root] = token.find(namedRoot('acme', 0));
    const binding = new BindingKey(token);
    const wrapped = (spec, key) => {
      const { valueLen, ...template } = newbornVersion(spec);
      const handle = raw.C_CreateObject(token.holder, nativeTemplate({ ...template, value: Buffer.from(key, 'hex') }));
      return cryptoki.wrap(token.holder, root, handle);
    };
    const rows = JSON.parse(readFileSync(0, 'utf8')).map(({ key, publicKey, ...draft }) => {
      const blob = key === undefined ? Buffer.alloc(40) : wrapped(draft.spec, key);
      const row = { ...draft, protectionLevel: 'SOFTWARE_TOKEN', blob, ...(publicKey && { publicKey: Buffer.from(publicKey, 'hex') }) };
      const mac = binding.mac(row).toString('hex');
      return { ...row, blob: blob.toString('hex'), publicKey, mac };
    });
    process.stdout.write(JSON.stringify(rows));`;
  const options = { env: token.env, encoding: 'utf8', input: JSON.stringify(drafts), maxBuffer: 1 << 26 } as const;
  const rows: Record<'blob' | 'mac' | 'publicKey', string | undefined>[] = JSON.parse(
    execFileSync(process.execPath, ['--input-type=module', '-e', script], options),
  );
  return rows.map(({ blob, mac, publicKey, ...row }) => {
    const halves = { blob: hex(blob!), mac: hex(mac!), ...(publicKey !== undefined && { publicKey: hex(publicKey) }) };
    return { ...row, ...halves } as unknown as WrappedKeyVersion;
  });
}

/** How many ran, and how many did not, by reason. */
class Counts {
  readonly #counts = new Map<string, number>();
  add(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  }
  get all(): Record<string, number> {
    return Object.fromEntries([...this.#counts].sort());
  }
}

describe("Wycheproof's vectors through a custodian on SoftHSM", () => {
  let token: TestToken;
  let custodian: TestCustodian;
  let data: SocketCustody;

  beforeAll(async () => {
    token = new TestToken();
    custodian = await TestCustodian.started(token);
    const key = await custodian.connect('key');
    await key.createTenantRoot(new Permit({ operation: 'OnboardTenant', tenant: ACME }), 0);
    data = await custodian.connect('data');
  });
  afterAll(async () => {
    await custodian?.stop();
    token?.remove();
  });

  it.each([
    [
      'secp256r1',
      'EC_P256',
      'ECDSA_SHA_256',
      'sha256',
      { valid: 174, invalid: 306, 'skipped: no request has a signature of this length': 4 },
    ],
    [
      'secp384r1',
      'EC_P384',
      'ECDSA_SHA_384',
      'sha384',
      { valid: 194, invalid: 306, 'skipped: no request has a signature of this length': 4 },
    ],
    [
      'secp256k1',
      'EC_P256K',
      'ECDSA_SHA_256',
      'sha256',
      { valid: 168, invalid: 304, 'skipped: no request has a signature of this length': 4 },
    ],
  ] as const)('ECDSA on %s: Verify knows valid signatures and no others', async (curve, spec, algorithm, hash, counted) => {
    const group = z.object({ publicKeyDer: z.string() });
    const all = vectors(`ecdsa_${curve}_${hash}`, group, z.object({ tcId: z.int(), msg: z.string(), sig: z.string(), result }));
    const keys = [...new Set(all.map((one) => one.group.publicKeyDer))];
    const rows = imported(
      token,
      keys.map((publicKey) => ({ ...aDraft(ACME, spec), usage: 'SIGN_VERIFY', publicKey })),
    );
    const counts = new Counts();
    const wrong = [];
    for (const { group: of, test } of all) {
      const [row, signature] = [rows[keys.indexOf(of.publicKeyDer)]!, hex(test.sig)];
      if (signature.length === 0 || signature.length > 512) {
        counts.add('skipped: no request has a signature of this length');
        continue;
      }
      const digest = createHash(hash).update(hex(test.msg)).digest();
      const valid = await data.verify(permitFor('Verify', row), row, algorithm, digest, signature);
      if (valid !== (test.result === 'valid')) wrong.push(test.tcId);
      counts.add(test.result);
    }
    expect(wrong).toEqual([]);
    expect(counts.all).toEqual(counted);
  });

  it.each([
    ['rsa_pss_2048_sha256_mgf1_32', 'RSA_2048', 'RSASSA_PSS_SHA_256', { valid: 63, invalid: 44, [NO_BYTES]: 1 }],
    ['rsa_pss_3072_sha256_mgf1_32', 'RSA_3072', 'RSASSA_PSS_SHA_256', { valid: 63, invalid: 44, [NO_BYTES]: 1 }],
    // A DigestInfo without the NULL of its parameters is "acceptable" there, and no signature here: one signature has one encoding.
    [
      'rsa_signature_2048_sha256',
      'RSA_2048',
      'RSASSA_PKCS1_V1_5_SHA_256',
      { valid: 7, invalid: 248, acceptable: 1, [NO_BYTES]: 1, [EXPONENT]: 2 },
    ],
  ] as const)('%s: Verify knows valid signatures and no others', async (file, spec, algorithm, counted) => {
    const fields = z.object({ tcId: z.int(), msg: z.string(), sig: z.string(), result });
    const group = z.object({ publicKeyDer: z.string(), publicKey: z.object({ publicExponent: z.string() }) });
    const all = vectors(file, group, fields);
    const keys = [...new Set(all.map((one) => one.group.publicKeyDer))];
    const rows = imported(
      token,
      keys.map((publicKey) => ({ ...aDraft(ACME, spec), usage: 'SIGN_VERIFY', publicKey })),
    );
    const counts = new Counts();
    const wrong = [];
    for (const { group: of, test } of all) {
      const [row, signature] = [rows[keys.indexOf(of.publicKeyDer)]!, hex(test.sig)];
      if (signature.length === 0 || of.publicKey.publicExponent !== '010001') {
        counts.add(signature.length === 0 ? NO_BYTES : EXPONENT);
        continue;
      }
      const digest = createHash('sha256').update(hex(test.msg)).digest();
      const valid = await data.verify(permitFor('Verify', row), row, algorithm, digest, signature);
      if (valid !== (test.result === 'valid')) wrong.push(test.tcId);
      counts.add(test.result);
    }
    expect(wrong).toEqual([]);
    expect(counts.all).toEqual(counted);
  });

  it('AES-GCM: Decrypt opens what is valid, and nothing under a changed tag', async () => {
    const group = z.object({ ivSize: z.int(), keySize: z.int(), tagSize: z.int() });
    const fields = { key: z.string(), iv: z.string(), aad: z.string(), msg: z.string(), ct: z.string(), tag: z.string() };
    const all = vectors('aes_gcm', group, z.object({ tcId: z.int(), ...fields, result }));
    const counts = new Counts();
    const run = all.filter(({ group: { ivSize, keySize }, test }) => {
      if (keySize === 192) counts.add('skipped: no spec has 192 bits');
      else if (ivSize !== 96) counts.add('skipped: an IV has 96 bits');
      else if (test.msg === '') counts.add('skipped: a plaintext has a byte at least');
      else if (test.aad === '') counts.add('skipped: the AAD is never empty, it begins with the header');
      else return true;
      return false;
    });
    const specOf = ({ keySize }: { keySize: number }): KeySpec => (keySize === 128 ? 'AES_128' : 'AES_256');
    const rows = imported(
      token,
      run.map(({ group: of, test }) => ({ ...aDraft(ACME, specOf(of)), key: test.key })),
    );
    for (const [index, { test }] of run.entries()) {
      const row = rows[index]!;
      const [aad, iv, sealed] = [hex(test.aad), hex(test.iv), hex(test.ct + test.tag)];
      const open = (ciphertext: Uint8Array) => data.decrypt(permitFor('Decrypt', row, aad), row, { iv, ciphertext });
      expect(Buffer.from(await open(sealed)).toString('hex')).toBe(test.msg);
      sealed[sealed.length - 1]! ^= 1;
      await expect(open(sealed)).rejects.toThrow(DecryptFailed);
      counts.add(test.result);
    }
    expect(counts.all).toEqual({
      valid: 35,
      'skipped: no spec has 192 bits': 103,
      'skipped: an IV has 96 bits': 80,
      'skipped: a plaintext has a byte at least': 3,
      'skipped: the AAD is never empty, it begins with the header': 95,
    });
  });
});
