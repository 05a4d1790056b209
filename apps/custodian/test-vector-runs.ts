/** What of Wycheproof a custodian can be asked, by the file's algorithm: how to ask, and how to read its cases. */
import { createHash, createPublicKey } from 'node:crypto';
import type { EncryptionAlgorithm, KeySpec, KeyUsage, SigningAlgorithm, TenantId } from '#contract';
import { DecryptFailed, type WrappedKeyVersion } from '#core';
import type { SocketCustody } from '#custody/socket';
import { z } from 'zod';
import { aDraft, permitFor } from '../../libs/testing/custody-contract.js';
import { casesOf, Counts, equalHmacKey, type VectorCase, type WycheproofFile } from '../../libs/testing/vector-files.js';
import type { TestToken } from './test-bed.js';
import { imported, type ImportedDraft } from './test-imported.js';
import { unwrappedOnToken } from './test-unwrapped.js';

export interface Run {
  readonly counts: Record<string, number>;
  /** tcId of each case that came out otherwise than the file says. */
  readonly wrong: readonly number[];
}
interface Bed {
  readonly token: TestToken;
  readonly data: SocketCustody;
}

const result = z.enum(['valid', 'invalid', 'acceptable']);
const common = { tcId: z.int(), result };
type Case = { readonly tcId: number; readonly result: z.infer<typeof result> };
const hex = (text: string) => Buffer.from(text, 'hex');

/** Why a case is not run, or the row that it needs. */
type Asked = string | ImportedDraft;

/**
 * Rows for all that can be asked, made at once; then one question each. `acceptable` is right either way, but for what the table beside
 * the test says, once.
 */
async function run<Group, Test extends Case>(
  { token }: Bed,
  cases: readonly VectorCase<Group, Test>[],
  askedBy: (one: VectorCase<Group, Test>) => Asked,
  isValid: (row: WrappedKeyVersion, one: VectorCase<Group, Test>) => Promise<boolean>,
): Promise<Run> {
  const counts = new Counts();
  const asked = cases.map((one) => ({ one, draft: askedBy(one) }));
  const drafts = new Map(asked.flatMap(({ draft }) => (typeof draft === 'string' ? [] : [[nameOf(draft), draft] as const])));
  const rows = new Map(imported(token, [...drafts.values()]).map((row, index) => [[...drafts.keys()][index]!, row]));
  const wrong: number[] = [];
  for (const { one, draft } of asked) {
    if (typeof draft === 'string') {
      counts.add(`skipped: ${draft}`);
      continue;
    }
    const valid = await isValid(rows.get(nameOf(draft))!, one);
    if (one.test.result !== 'acceptable' && valid !== (one.test.result === 'valid')) wrong.push(one.test.tcId);
    counts.add(one.test.result === 'acceptable' ? `acceptable: ${valid ? 'accepted' : 'refused'}` : one.test.result);
  }
  return { counts: counts.all, wrong };
}

/** Cases share keys: one row each. */
const nameOf = ({ spec, usage, key, pkcs8, publicKey }: ImportedDraft): string => [spec, usage, key, pkcs8, publicKey].join(' ');
const draftOf = (spec: KeySpec, usage: KeyUsage, key: Partial<ImportedDraft>): ImportedDraft => ({
  ...aDraft('acme' as TenantId, spec),
  usage,
  ...key,
});

const aead = (specs: Readonly<Record<number, KeySpec>>) => (bed: Bed, file: WycheproofFile) =>
  run(
    bed,
    casesOf(
      file,
      z.object({ ivSize: z.int(), keySize: z.int(), tagSize: z.int() }),
      z.object({ ...common, key: z.string(), iv: z.string(), aad: z.string(), msg: z.string(), ct: z.string(), tag: z.string() }),
    ),
    ({ group: { ivSize, keySize, tagSize }, test }) => {
      const spec = specs[keySize];
      if (spec === undefined) return `no spec has ${keySize} bits`;
      if (ivSize !== 96) return 'an IV has 96 bits';
      if (tagSize !== 128) return 'a tag has 128 bits';
      if (test.ct === '') return 'a plaintext has a byte at least';
      if (test.aad === '') return 'the AAD is never empty, it begins with the header';
      return draftOf(spec, 'ENCRYPT_DECRYPT', { key: test.key });
    },
    async (row, { test }) => {
      const [aad, iv, sealed] = [hex(test.aad), hex(test.iv), hex(test.ct + test.tag)];
      const open = (ciphertext: Uint8Array) => opened(bed.data.decrypt(permitFor('Decrypt', row, aad), row, { iv, ciphertext }));
      const changed = Buffer.from(sealed);
      changed[changed.length - 1]! ^= 1;
      const [plain, other] = [await open(sealed), await open(changed)];
      return plain?.toString('hex') === test.msg && (other === undefined || test.result !== 'valid');
    },
  );

const mac = (spec: KeySpec, hash: string, bytes: number, blockBytes: number) => (bed: Bed, file: WycheproofFile) =>
  run(
    bed,
    casesOf(file, z.object({ tagSize: z.int() }), z.object({ ...common, key: z.string(), msg: z.string(), tag: z.string() })),
    ({ group: { tagSize }, test }) => {
      const key = equalHmacKey(hex(test.key), hash, bytes, blockBytes);
      if (tagSize !== 8 * createHash(hash).digest().length) return 'a MAC is as long as its hash';
      if (test.msg === '') return 'a message has a byte at least';
      if (test.msg.length > 2 * 4096) return 'a message has 4096 bytes at most';
      if (key === undefined) return 'no key of that length is equal to one of the spec';
      return draftOf(spec, 'GENERATE_VERIFY_MAC', { key: key.toString('hex') });
    },
    async (row, { test }) => {
      const [message, tag] = [hex(test.msg), hex(test.tag)];
      const known = await bed.data.verifyMac(permitFor('VerifyMac', row), row, message, tag);
      const made = Buffer.from(await bed.data.generateMac(permitFor('GenerateMac', row), row, message));
      // Both ways of asking say the same.
      return known && made.equals(tag);
    },
  );

const HASHES: Readonly<Record<string, string>> = { 'SHA-256': 'sha256', 'SHA-384': 'sha384', 'SHA-512': 'sha512', SM3: 'sm3' };
const CURVES: Readonly<Record<string, KeySpec>> = {
  'secp256r1 SHA-256': 'EC_P256',
  'secp384r1 SHA-384': 'EC_P384',
  'secp256k1 SHA-256': 'EC_P256K',
};
const RSA: Readonly<Record<number, KeySpec>> = { 2048: 'RSA_2048', 3072: 'RSA_3072', 4096: 'RSA_4096' };
const signedGroup = z.object({
  publicKeyDer: z.string(),
  publicKey: z.object({ curve: z.string().optional(), publicExponent: z.string().optional() }).optional(),
  keySize: z.int().optional(),
  sha: z.string(),
  mgf: z.string().optional(),
  mgfSha: z.string().optional(),
  sLen: z.int().optional(),
});
type SignedGroup = z.infer<typeof signedGroup>;

/** By a pair's public half, over the digest that the file names. */
const signatures =
  (offered: (group: SignedGroup) => { readonly spec: KeySpec; readonly algorithm: string } | string) => (bed: Bed, file: WycheproofFile) =>
    run(
      bed,
      casesOf(file, signedGroup, z.object({ ...common, msg: z.string(), sig: z.string() })),
      ({ group, test }) => {
        const found = offered(group);
        if (typeof found === 'string') return found;
        if (test.sig === '' || test.sig.length > 2 * 512) return 'no request has a signature of this length';
        if (!isPublicKey(group.publicKeyDer)) return 'no public key that OpenSSL takes';
        return draftOf(found.spec, 'SIGN_VERIFY', { publicKey: group.publicKeyDer });
      },
      (row, { group, test }) => {
        const found = offered(group) as { readonly algorithm: string };
        const digest = createHash(HASHES[group.sha]!).update(hex(test.msg)).digest();
        return bed.data.verify(permitFor('Verify', row), row, found.algorithm as SigningAlgorithm, digest, hex(test.sig));
      },
    );

const ecdsa = signatures(({ publicKey, sha }) => {
  const spec = CURVES[`${publicKey?.curve} ${sha}`];
  return spec === undefined ? 'no spec has this curve and this digest' : { spec, algorithm: `ECDSA_${sha.replace('-', '_')}` };
});

/** Over the message itself. */
const ed25519 = (bed: Bed, file: WycheproofFile) =>
  run(
    bed,
    casesOf(file, z.object({ publicKeyDer: z.string() }), z.object({ ...common, msg: z.string(), sig: z.string() })),
    ({ group, test }) => {
      if (test.msg === '') return 'a message has a byte at least';
      if (test.sig === '' || test.sig.length > 2 * 512) return 'no request has a signature of this length';
      return draftOf('ED25519', 'SIGN_VERIFY', { publicKey: group.publicKeyDer });
    },
    (row, { test }) => bed.data.verify(permitFor('Verify', row), row, 'ED25519_SHA_512', hex(test.msg), hex(test.sig)),
  );

function rsa(padding: 'RSASSA_PSS' | 'RSASSA_PKCS1_V1_5', { keySize, sha, publicKey }: SignedGroup) {
  const spec = RSA[keySize ?? 0];
  if (spec === undefined) return 'no spec has a modulus of this length';
  if (!Object.hasOwn(HASHES, sha) || sha === 'SM3') return 'no algorithm has this digest';
  // Told as a hexadecimal number, with leading zeros or not.
  if (Number.parseInt(publicKey?.publicExponent ?? '', 16) !== 0x10001) return 'every public exponent is 65537';
  return { spec, algorithm: `${padding}_${sha.replace('-', '_')}` };
}
const pkcs1 = signatures((group) => rsa('RSASSA_PKCS1_V1_5', group));
const pss = signatures((group) => {
  const { sha, mgf, mgfSha, sLen } = group;
  const asOurs = mgf === 'MGF1' && mgfSha === sha && 8 * (sLen ?? 0) === Number(sha.slice(4));
  return asOurs ? rsa('RSASSA_PSS', group) : 'the salt is as long as the digest, and MGF1 uses it too';
});

const oaep = (bed: Bed, file: WycheproofFile) =>
  run(
    bed,
    casesOf(
      file,
      z.object({ keySize: z.int(), sha: z.string(), mgfSha: z.string(), privateKeyPkcs8: z.string() }),
      z.object({ ...common, msg: z.string(), ct: z.string(), label: z.string() }),
    ),
    ({ group: { keySize, sha, mgfSha, privateKeyPkcs8 }, test }) => {
      const spec = RSA[keySize];
      if (spec === undefined) return 'no spec has a modulus of this length';
      if (sha !== 'SHA-1' || mgfSha !== 'SHA-1') return 'this HSM does OAEP with SHA-1 alone';
      if (test.label !== '') return 'the label is empty';
      if (test.ct.length !== keySize / 4) return 'no request has a ciphertext of another length';
      return draftOf(spec, 'ENCRYPT_DECRYPT', { pkcs8: privateKeyPkcs8 });
    },
    async (row, { test }) => {
      const algorithm: EncryptionAlgorithm = 'RSAES_OAEP_SHA_1';
      const plain = await opened(bed.data.asymmetricDecrypt(permitFor('AsymmetricDecrypt', row), row, algorithm, hex(test.ct)));
      return plain?.toString('hex') === test.msg;
    },
  );

/** Key wrapping is no operation of the custodian's; what its roots do with the HSM is asked of the HSM, by whoever has the PIN. */
const keyWrap = (by: 'kw' | 'kwp') => (bed: Bed, file: WycheproofFile) => {
  const cases = casesOf(file, z.object({ keySize: z.int() }), z.object({ ...common, key: z.string(), msg: z.string(), ct: z.string() }));
  const counts = new Counts();
  const asked = cases.filter(({ group: { keySize }, test }) => {
    if (keySize !== 256) counts.add('skipped: a root has 256 bits');
    else if (test.ct === '' || test.msg === '') counts.add('skipped: a key has a byte at least');
    else return true;
    return false;
  });
  const unwrapped = unwrappedOnToken(
    bed.token,
    asked.map(({ test: { key, ct } }) => ({ key, blob: ct })),
    by,
  );
  const wrong = asked.flatMap(({ test }, index) => {
    const valid = unwrapped[index] === test.msg;
    counts.add(test.result === 'acceptable' ? `acceptable: ${valid ? 'accepted' : 'refused'}` : test.result);
    return test.result !== 'acceptable' && valid !== (test.result === 'valid') ? [test.tcId] : [];
  });
  return Promise.resolve({ counts: counts.all, wrong });
};

/** By the `algorithm` of a file. */
export const RUNS: Readonly<Record<string, (bed: Bed, file: WycheproofFile) => Promise<Run>>> = {
  'AES-GCM': aead({ 128: 'AES_128', 256: 'AES_256' }),
  'SM4-GCM': aead({ 128: 'SM4' }),
  HMACSHA256: mac('HMAC_256', 'sha256', 32, 64),
  HMACSHA384: mac('HMAC_384', 'sha384', 48, 128),
  HMACSHA512: mac('HMAC_512', 'sha512', 64, 128),
  HMACSM3: mac('HMAC_SM3', 'sm3', 32, 64),
  ECDSA: ecdsa,
  EDDSA: ed25519,
  'RSASSA-PKCS1-v1_5': pkcs1,
  'RSASSA-PSS': pss,
  'RSAES-OAEP': oaep,
  'AES-WRAP': keyWrap('kw'),
  'AES-KWP': keyWrap('kwp'),
};

async function opened(attempt: Promise<Uint8Array>): Promise<Buffer | undefined> {
  try {
    return Buffer.from(await attempt);
  } catch (error) {
    if (error instanceof DecryptFailed) return undefined;
    throw error;
  }
}

function isPublicKey(der: string): boolean {
  try {
    createPublicKey({ key: hex(der), format: 'der', type: 'spki' });
    return true;
  } catch {
    return false;
  }
}
