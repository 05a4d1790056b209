import { constants, createHash, createPublicKey, publicEncrypt, verify } from 'node:crypto';
import {
  type EncryptionAlgorithm,
  HASHED_BY,
  KEY_SPECS,
  type KeySpec,
  SIGNS_WITH,
  signsDigests,
  type OperationName,
  type TenantId,
  USAGES_OF,
} from '#contract';
import { CustodyUnavailable, DecryptFailed, KeyBindingBroken, newKeyId, newKeyVersionId, newLogId, Permit, PermitMisused } from '#core';
import type {
  BindingChecks,
  BoundKind,
  BoundRow,
  CheckpointSigner,
  LogKeyRemoval,
  Custody,
  CustodyCapabilities,
  KeyImports,
  KeyRotator,
  ItemMover,
  KeyVersionDraft,
  RuleBindings,
  RuleOperation,
  RuleRow,
  Sealed,
  SecretKeys,
  WrappedKeyVersion,
} from '#core';
import { rawOf } from '#custody/socket';
import { aTree } from './claimed-tree.js';
import { verifyDigest } from './ecdsa.js';
import { importsContract } from './imports-contract.js';
import { movesContract } from './moves-contract.js';
import { rotationContract } from './rotation-contract.js';
import { secretClaimsContract } from './secret-claims-contract.js';
import { secretKeysContract } from './secret-keys-contract.js';

/** An implementation of the port under test; the three may be one object. */
export interface CustodyUnderTest {
  readonly key: Custody & KeyImports & RuleBindings & SecretKeys;
  readonly data: Custody & BindingChecks & SecretKeys;
  readonly signer: CheckpointSigner & LogKeyRemoval & KeyRotator & SecretKeys & ItemMover;
  stop(): Promise<void>;
}

const ACME = 'acme' as TenantId;
const GLOBEX = 'globex' as TenantId;
const AAD = Buffer.from('purpose=invoice');
const PLAINTEXT = Buffer.from('IBAN DE02 1203 0000 0000 2020 51');
/** A bug of the caller's, not a state of the HSM: never to be mistaken for CustodyUnavailable. */
const MALFORMED = { code: 'internal' };

const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };

/** What custody-contract's users may want for tests of their own: a permit as the pipeline would mint it. */
export function permitFor<Operation extends OperationName>(
  operation: Operation,
  version: WrappedKeyVersion,
  aad: Uint8Array = AAD,
): Permit<Operation> {
  return new Permit({ operation, tenant: version.tenant, versionId: version.versionId, aad });
}

/** A draft of a key version of a tenant, with fresh ids. */
export function aDraft(tenant: TenantId = ACME, spec: KeySpec = 'AES_256'): KeyVersionDraft {
  const now = Date.now();
  const ids = { keyId: newKeyId(now), versionId: newKeyVersionId(now), logId: newLogId(now) };
  return { tenant, ...ids, spec, usage: USAGES_OF[spec][0], origin: 'KEYWARD' };
}

/** Onboards the tenant if need be, and makes a version of a new key for it. */
export async function aVersion(custody: Custody, tenant: TenantId = ACME, spec?: KeySpec): Promise<WrappedKeyVersion> {
  await custody.createTenantRoot(new Permit({ operation: 'OnboardTenant', tenant }), 0);
  const draft = aDraft(tenant, spec);
  return custody.createKeyVersion(new Permit({ operation: 'CreateKey', tenant, versionId: draft.versionId }), draft, 0);
}

/** What a vendor's module cannot do, by what its self-test says; the contract then asks that it is refused. */
export type Lacking = CustodyCapabilities['unavailable'];

/** The port's behaviour, as facts that every implementation has to show. `make` is called once. */
export function custodyContract(name: string, make: () => Promise<CustodyUnderTest>, lacking: Lacking = {}): void {
  describe(`custody: ${name}`, () => {
    const isMissing = (spec: KeySpec) => lacking[spec] !== undefined;
    const isRefused = (spec: KeySpec) => {
      it('is refused', async () => {
        await expect(aVersion(under.key, ACME, spec)).rejects.toMatchObject(MALFORMED);
      });
    };
    let under: CustodyUnderTest;
    let version: WrappedKeyVersion;
    const seal = (of = version, aad: Uint8Array = AAD) => under.data.encrypt(permitFor('Encrypt', of, aad), of, PLAINTEXT);

    beforeAll(async () => {
      under = await make();
      version = await aVersion(under.key);
    });
    afterAll(() => under?.stop());

    it('seals and opens with a key of 128 bits, whose blob is shorter', async () => {
      const short = await aVersion(under.key, ACME, 'AES_128');
      const opened = await under.data.decrypt(permitFor('Decrypt', short), short, await seal(short));
      expect([Buffer.from(opened), short.blob.length, version.blob.length]).toEqual([PLAINTEXT, 24, 40]);
    });

    describe('a key of SM4', () => {
      let sm4: WrappedKeyVersion;
      const open = (sealed: Sealed, aad: Uint8Array = AAD) => under.data.decrypt(permitFor('Decrypt', sm4, aad), sm4, sealed);
      beforeAll(async () => {
        sm4 = await aVersion(under.key, ACME, 'SM4');
      });

      it('says that it is used in software', () => {
        expect(sm4.protectionLevel).toBe('SOFTWARE');
      });

      it('opens what it sealed, and the data keys that it made', async () => {
        expect(Buffer.from(await open(await seal(sm4)))).toEqual(PLAINTEXT);
        const { plaintext, ...edk } = await under.data.generateDataKey(permitFor('GenerateDataKey', sm4), sm4, 32);
        expect(Buffer.from(await open(edk))).toEqual(Buffer.from(plaintext));
      });

      it('opens nothing that was changed, nor under another AAD, nor what another key sealed', async () => {
        const { iv, ciphertext } = await seal(sm4);
        for (const at of [0, ciphertext.length - 1]) {
          const changed = Buffer.from(ciphertext);
          changed[at]! ^= 1;
          await expect(open({ iv, ciphertext: changed })).rejects.toThrow(DecryptFailed);
        }
        await expect(open({ iv, ciphertext }, Buffer.from('other'))).rejects.toThrow(DecryptFailed);
        await expect(open(await seal())).rejects.toThrow(DecryptFailed);
        await expect(open({ iv, ciphertext })).resolves.toBeDefined();
      });

      it('is not used with another blob', async () => {
        const blob = sm4.blob.map((byte, at) => (at === sm4.blob.length - 1 ? byte ^ 1 : byte));
        await expect(seal({ ...sm4, blob })).rejects.toThrow(KeyBindingBroken);
      });

      it('makes no MACs', async () => {
        await expect(under.data.generateMac(permitFor('GenerateMac', sm4), sm4, PLAINTEXT)).rejects.toMatchObject(MALFORMED);
      });
    });

    describe.each([
      ['HMAC_256', 32],
      ['HMAC_384', 48],
      ['HMAC_512', 64],
      ['HMAC_SM3', 32],
    ] as const)('a key of %s', (spec, length) => {
      if (isMissing(spec)) return isRefused(spec);
      let key: WrappedKeyVersion;
      const usage = 'GENERATE_VERIFY_MAC' as const;
      const mac = () => under.data.generateMac(permitFor('GenerateMac', key), key, PLAINTEXT);
      beforeAll(async () => {
        const draft = { ...aDraft(ACME, spec), usage };
        key = await under.key.createKeyVersion(new Permit({ operation: 'CreateKey', tenant: ACME, versionId: draft.versionId }), draft, 0);
      });

      it('makes the same MAC again, as long as its hash, and knows it', async () => {
        const made = await mac();
        expect([made.length, Buffer.from(await mac())]).toEqual([length, Buffer.from(made)]);
        await expect(under.data.verifyMac(permitFor('VerifyMac', key), key, PLAINTEXT, made)).resolves.toBe(true);
      });

      it.each(['another message', 'a changed byte', 'a shorter one'])('does not know a MAC of %s', async (what) => {
        const made = Buffer.from(await mac());
        if (what === 'a changed byte') made[0]! ^= 1;
        const message = what === 'another message' ? Buffer.from('other') : PLAINTEXT;
        const shown = what === 'a shorter one' ? made.subarray(1) : made;
        await expect(under.data.verifyMac(permitFor('VerifyMac', key), key, message, shown)).resolves.toBe(false);
      });

      it('neither seals, nor makes MACs with a key that seals', async () => {
        await expect(under.data.generateMac(permitFor('GenerateMac', version), version, PLAINTEXT)).rejects.toMatchObject(MALFORMED);
        await expect(seal(key)).rejects.toThrow();
        await expect(mac()).resolves.toBeDefined();
        await expect(seal()).resolves.toBeDefined();
      });

      it('takes a permit for its own version and operation only, once', async () => {
        await expect(under.data.generateMac(permitFor('GenerateMac', version), key, PLAINTEXT)).rejects.toThrow(PermitMisused);
        const permit = permitFor('GenerateMac', key);
        await under.data.generateMac(permit, key, PLAINTEXT);
        await expect(under.data.generateMac(permit, key, PLAINTEXT)).rejects.toThrow(PermitMisused);
      });
    });

    describe.each([
      ['EC_P256', 'ECDSA_SHA_256', 'sha256', {}],
      ['EC_P384', 'ECDSA_SHA_384', 'sha384', {}],
      ['EC_P256K', 'ECDSA_SHA_256', 'sha256', {}],
      ['EC_SM2', 'SM2DSA', 'sm3', {}],
      ['RSA_2048', 'RSASSA_PKCS1_V1_5_SHA_512', 'sha512', {}],
      ['RSA_3072', 'RSASSA_PSS_SHA_384', 'sha384', PSS],
    ] as const)('a key pair of %s', (spec, algorithm, hash, padding) => {
      if (isMissing(spec)) return isRefused(spec);
      let pair: WrappedKeyVersion;
      const digest = createHash(hash).update(PLAINTEXT).digest();
      const sign = (of = pair) => under.data.sign(permitFor('Sign', of), of, algorithm, digest);
      const isValid = (signature: Uint8Array, over = digest, of = pair) =>
        under.data.verify(permitFor('Verify', of), of, algorithm, over, signature);
      beforeAll(async () => {
        const draft = { ...aDraft(ACME, spec), usage: 'SIGN_VERIFY' as const };
        pair = await under.key.createKeyVersion(new Permit({ operation: 'CreateKey', tenant: ACME, versionId: draft.versionId }), draft, 0);
      });

      it('signs what everybody can verify with its public key', async () => {
        const signature = await sign();
        const spki = Buffer.from(await under.data.publicKey(permitFor('GetPublicKey', pair), pair));
        expect(isSignature(spec, hash, spki, signature, padding)).toBe(true);
        await expect(isValid(signature)).resolves.toBe(true);
        await expect(under.key.publicKey(permitFor('DescribePublicKey', pair), pair)).resolves.toHaveLength(spki.length);
      });

      it('knows no other signature', async () => {
        const signature = Buffer.from(await sign());
        const changed = Buffer.from(signature);
        changed[changed.length - 1]! ^= 1;
        const longer = Buffer.concat([signature, Buffer.alloc(1)]);
        const other = createHash(hash).update('other').digest();
        const zero = Buffer.from('3006020100020100', 'hex');
        const answers = [isValid(changed), isValid(longer), isValid(signature, other), isValid(signature.subarray(1)), isValid(zero)];
        expect(await Promise.all([...answers, isValid(signature)])).toEqual([false, false, false, false, false, true]);
      });

      it('is not used, nor told, with a public key that somebody else put there', async () => {
        const forged = { ...pair, publicKey: Buffer.from(pair.publicKey!) };
        forged.publicKey[forged.publicKey.length - 1]! ^= 1;
        await expect(sign(forged)).rejects.toThrow(KeyBindingBroken);
        await expect(isValid(await sign(), digest, forged)).rejects.toThrow(KeyBindingBroken);
        await expect(under.data.publicKey(permitFor('GetPublicKey', pair), forged)).rejects.toThrow(KeyBindingBroken);
        const { publicKey: _none, ...without } = pair;
        await expect(isValid(await sign(), digest, without)).rejects.toThrow(KeyBindingBroken);
      });

      it('signs by its own algorithm, a digest of its length, and does nothing else', async () => {
        const another = algorithm === 'ECDSA_SHA_384' ? 'ECDSA_SHA_256' : 'ECDSA_SHA_384';
        await expect(under.data.sign(permitFor('Sign', pair), pair, another, Buffer.alloc(HASHED_BY[another].bytes))).rejects.toMatchObject(
          MALFORMED,
        );
        await expect(under.data.sign(permitFor('Sign', pair), pair, algorithm, digest.subarray(1))).rejects.toMatchObject(MALFORMED);
        await expect(sign(version)).rejects.toMatchObject(MALFORMED);
        await expect(seal(pair)).rejects.toThrow();
        await expect(sign()).resolves.toBeDefined();
      });

      it('takes a permit for its own version and operation only, once', async () => {
        const permit = permitFor('Sign', pair);
        await expect(under.data.sign(permitFor('Sign', version), pair, algorithm, digest)).rejects.toThrow(PermitMisused);
        await under.data.sign(permit, pair, algorithm, digest);
        await expect(under.data.sign(permit, pair, algorithm, digest)).rejects.toThrow(PermitMisused);
      });
    });

    describe('a key pair of ED25519', () => {
      if (isMissing('ED25519')) return isRefused('ED25519');
      let pair: WrappedKeyVersion;
      const sign = (message: Uint8Array) => under.data.sign(permitFor('Sign', pair), pair, 'ED25519_SHA_512', message);
      const isValid = (message: Uint8Array, signature: Uint8Array) =>
        under.data.verify(permitFor('Verify', pair), pair, 'ED25519_SHA_512', message, signature);
      beforeAll(async () => {
        pair = await aVersion(under.key, ACME, 'ED25519');
      });

      it.each([1, 32, 6144])('signs a message of %i bytes itself, which everybody can verify', async (length) => {
        const message = Buffer.alloc(length, 7);
        const signature = Buffer.from(await sign(message));
        const key = createPublicKey({ key: Buffer.from(pair.publicKey!), format: 'der', type: 'spki' });
        expect([key.asymmetricKeyType, verify(null, message, key, signature)]).toEqual(['ed25519', true]);
        const other = Buffer.alloc(length, 8);
        const changed = Buffer.from(signature);
        changed[0]! ^= 1;
        const answers = [isValid(message, signature), isValid(other, signature), isValid(message, changed)];
        expect(await Promise.all([...answers, isValid(message, signature.subarray(1))])).toEqual([true, false, false, false]);
      });

      it('signs no message that is longer, or empty, and by no other algorithm', async () => {
        await expect(sign(Buffer.alloc(6145))).rejects.toMatchObject(MALFORMED);
        await expect(sign(Buffer.alloc(0))).rejects.toMatchObject(MALFORMED);
        const wrong = under.data.sign(permitFor('Sign', pair), pair, 'ECDSA_SHA_256', Buffer.alloc(32));
        await expect(wrong).rejects.toMatchObject(MALFORMED);
      });
    });

    describe('an RSA key', () => {
      if (isMissing('RSA_2048')) return isRefused('RSA_2048');
      let [signs, opens] = [version, version];
      const made = (usage: 'SIGN_VERIFY' | 'ENCRYPT_DECRYPT') => {
        const draft = { ...aDraft(ACME, 'RSA_2048'), usage };
        return under.key.createKeyVersion(new Permit({ operation: 'CreateKey', tenant: ACME, versionId: draft.versionId }), draft, 0);
      };
      const sealed = (of = opens, algorithm: EncryptionAlgorithm = 'RSAES_OAEP_SHA_1') =>
        under.data.asymmetricEncrypt(permitFor('AsymmetricEncrypt', of), of, algorithm, PLAINTEXT);
      const opened = (ciphertext: Uint8Array, of = opens, algorithm: EncryptionAlgorithm = 'RSAES_OAEP_SHA_1') =>
        under.data.asymmetricDecrypt(permitFor('AsymmetricDecrypt', of), of, algorithm, ciphertext);
      beforeAll(async () => {
        [signs, opens] = [await made('SIGN_VERIFY'), await made('ENCRYPT_DECRYPT')];
      });

      it.each([
        ['RSASSA_PSS_SHA_256', 'sha256', PSS],
        ['RSASSA_PSS_SHA_384', 'sha384', PSS],
        ['RSASSA_PSS_SHA_512', 'sha512', PSS],
        ['RSASSA_PKCS1_V1_5_SHA_256', 'sha256', {}],
        ['RSASSA_PKCS1_V1_5_SHA_384', 'sha384', {}],
        ['RSASSA_PKCS1_V1_5_SHA_512', 'sha512', {}],
      ] as const)('signs by %s, and knows it by that algorithm only', async (algorithm, hash, padding) => {
        const digest = createHash(hash).update(PLAINTEXT).digest();
        const signature = await under.data.sign(permitFor('Sign', signs), signs, algorithm, digest);
        const key = createPublicKey({ key: Buffer.from(signs.publicKey!), format: 'der', type: 'spki' });
        expect(verify(hash, PLAINTEXT, { key, ...padding }, signature)).toBe(true);
        const valid = SIGNS_WITH.RSA_2048!.filter((other) => signsDigests(other) && HASHED_BY[other].bytes === digest.length).map(
          async (other) => ({
            other,
            valid: await under.data.verify(permitFor('Verify', signs), signs, other, digest, signature),
          }),
        );
        expect((await Promise.all(valid)).filter((one) => one.valid)).toEqual([{ other: algorithm, valid: true }]);
      });

      it('opens what anybody encrypts to its public key, and what custody does', async () => {
        const key = createPublicKey({ key: Buffer.from(opens.publicKey!), format: 'der', type: 'spki' });
        const outside = publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1' }, PLAINTEXT);
        expect(Buffer.from(await opened(outside))).toEqual(PLAINTEXT);
        const inside = await sealed();
        expect([inside.length, Buffer.from(await opened(inside))]).toEqual([256, PLAINTEXT]);
      });

      it('opens nothing else, and goes on working', async () => {
        const inside = Buffer.from(await sealed());
        const changed = Buffer.from(inside);
        changed[200]! ^= 1;
        const key = createPublicKey({ key: Buffer.from(opens.publicKey!), format: 'der', type: 'spki' });
        const pkcs1 = publicEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, PLAINTEXT);
        for (const wrong of [changed, Buffer.alloc(256), Buffer.alloc(256, 0xff), inside.subarray(1), pkcs1])
          await expect(opened(wrong)).rejects.toThrow(DecryptFailed);
        await expect(opened(inside)).resolves.toBeDefined();
      });

      it('is for what it was made for', async () => {
        const digest = Buffer.alloc(32);
        const sign = (of: WrappedKeyVersion) => under.data.sign(permitFor('Sign', of), of, 'RSASSA_PSS_SHA_256', digest);
        await expect(sign(opens)).rejects.toMatchObject(MALFORMED);
        await expect(sealed(signs)).rejects.toMatchObject(MALFORMED);
        await expect(opened(Buffer.alloc(256), signs)).rejects.toMatchObject(MALFORMED);
        await expect(seal(opens)).rejects.toThrow();
        await expect(sealed(version)).rejects.toMatchObject(MALFORMED);
      });

      it('does by OAEP with SHA-256 what its capabilities say', async () => {
        const { algorithms } = await under.key.capabilities();
        if (algorithms.RSAES_OAEP_SHA_256 === undefined) {
          const inside = await sealed(opens, 'RSAES_OAEP_SHA_256');
          expect(Buffer.from(await opened(inside, opens, 'RSAES_OAEP_SHA_256'))).toEqual(PLAINTEXT);
          return;
        }
        const refused = { code: 'invalid-request', fields: [{ field: 'algorithm', message: expect.stringContaining('cannot do it') }] };
        await expect(sealed(opens, 'RSAES_OAEP_SHA_256')).rejects.toMatchObject(refused);
        await expect(opened(Buffer.alloc(256), opens, 'RSAES_OAEP_SHA_256')).rejects.toMatchObject(refused);
      });

      it('takes a permit for its own version and operation only, once', async () => {
        const permit = permitFor('AsymmetricEncrypt', opens);
        await under.data.asymmetricEncrypt(permit, opens, 'RSAES_OAEP_SHA_1', PLAINTEXT);
        await expect(under.data.asymmetricEncrypt(permit, opens, 'RSAES_OAEP_SHA_1', PLAINTEXT)).rejects.toThrow(PermitMisused);
        await expect(
          under.data.asymmetricEncrypt(permitFor('AsymmetricEncrypt', signs), opens, 'RSAES_OAEP_SHA_1', PLAINTEXT),
        ).rejects.toThrow(PermitMisused);
      });
    });

    describe('random bytes', () => {
      const permit = () => new Permit<'GenerateRandom'>({ operation: 'GenerateRandom', tenant: ACME });

      it.each([1, 32, 1024])('are %i, others each time', async (length) => {
        const [one, other] = [await under.data.generateRandom(permit(), length), await under.data.generateRandom(permit(), length)];
        expect([one.length, other.length]).toEqual([length, length]);
        if (length > 1) expect(Buffer.from(one)).not.toEqual(Buffer.from(other));
      });

      it.each([0, 1025, 1.5])('are not %d', async (length) => {
        await expect(under.data.generateRandom(permit(), length)).rejects.toMatchObject(MALFORMED);
      });

      it('need a permit of their own, once', async () => {
        const spent = permit();
        await under.data.generateRandom(spent, 8);
        await expect(under.data.generateRandom(spent, 8)).rejects.toThrow(PermitMisused);
        const other = new Permit<OperationName>({ operation: 'Encrypt', tenant: ACME }) as Permit<'GenerateRandom'>;
        await expect(under.data.generateRandom(other, 8)).rejects.toThrow(PermitMisused);
      });
    });

    it('makes a version under a permit for a new one', async () => {
      const draft = aDraft();
      const permit = new Permit<'CreateKeyVersion'>({ operation: 'CreateKeyVersion', tenant: ACME, versionId: draft.versionId });
      await expect(under.key.createKeyVersion(permit, draft, 0)).resolves.toMatchObject(draft);
      await expect(under.key.createKeyVersion(permit, draft, 0)).rejects.toThrow(PermitMisused);
    });

    it('opens what it sealed', async () => {
      const opened = await under.data.decrypt(permitFor('Decrypt', version), version, await seal());
      expect(Buffer.from(opened)).toEqual(PLAINTEXT);
    });

    it('opens and seals for re-encryption, each under its own permit', async () => {
      const opened = await under.data.decrypt(permitFor('ReEncryptFrom', version), version, await seal());
      const sealed = await under.data.encrypt(permitFor('ReEncryptTo', version), version, opened);
      expect(Buffer.from(await under.data.decrypt(permitFor('Decrypt', version), version, sealed))).toEqual(PLAINTEXT);
      const swapped = permitFor<OperationName>('ReEncryptTo', version) as Permit<'ReEncryptFrom'>;
      await expect(under.data.decrypt(swapped, version, sealed)).rejects.toThrow(PermitMisused);
    });

    it('seals with a 12-byte IV that is new each time, and a 16-byte tag', async () => {
      const [one, other] = [await seal(), await seal()];
      expect([one.iv.length, one.ciphertext.length]).toEqual([12, PLAINTEXT.length + 16]);
      expect(Buffer.from(one.iv)).not.toEqual(Buffer.from(other.iv));
    });

    it.each([1, 6144])('seals %i bytes', async (length) => {
      const sealed = await under.data.encrypt(permitFor('Encrypt', version), version, Buffer.alloc(length, 7));
      const opened = await under.data.decrypt(permitFor('Decrypt', version), version, sealed);
      expect(Buffer.from(opened)).toEqual(Buffer.alloc(length, 7));
    });

    it.each([0, 6145])('does not seal %i bytes', async (length) => {
      await expect(under.data.encrypt(permitFor('Encrypt', version), version, Buffer.alloc(length))).rejects.toThrow();
      await expect(seal()).resolves.toBeDefined();
    });

    it('does not open under another AAD', async () => {
      const sealed = await seal();
      const attempt = under.data.decrypt(permitFor('Decrypt', version, Buffer.from('purpose=marketing')), version, sealed);
      await expect(attempt).rejects.toThrow(DecryptFailed);
    });

    it.each(['first byte', 'tag', 'iv'])('does not open with a changed %s, and goes on working', async (where) => {
      const { iv, ciphertext } = await seal();
      const changed = { iv: Buffer.from(iv), ciphertext: Buffer.from(ciphertext) };
      const part = where === 'iv' ? changed.iv : changed.ciphertext;
      part.writeUInt8(part.readUInt8(where === 'tag' ? part.length - 1 : 0) ^ 1, where === 'tag' ? part.length - 1 : 0);
      await expect(under.data.decrypt(permitFor('Decrypt', version), version, changed)).rejects.toThrow(DecryptFailed);
      await expect(under.data.decrypt(permitFor('Decrypt', version), version, { iv, ciphertext })).resolves.toBeDefined();
    });

    it.each([1, 16, 32, 1024])('generates a data key of %i bytes that its EDK opens to', async (length) => {
      const { plaintext, iv, ciphertext } = await under.data.generateDataKey(permitFor('GenerateDataKey', version), version, length);
      const opened = await under.data.decrypt(permitFor('Decrypt', version), version, { iv, ciphertext });
      expect(plaintext.length).toBe(length);
      expect(Buffer.from(opened)).toEqual(Buffer.from(plaintext));
      expect(length > 1 && plaintext.every((byte) => byte === 0)).toBe(false);
    });

    it('generates a data key that nobody sees yet', async () => {
      const permit = permitFor('GenerateDataKeyWithoutPlaintext', version);
      const sealed = await under.data.generateDataKeyWithoutPlaintext(permit, version, 32);
      expect(Object.keys(sealed).sort()).toEqual(['ciphertext', 'iv']);
      const opened = await under.data.decrypt(permitFor('Decrypt', version), version, sealed);
      expect(opened.length).toBe(32);
      expect(opened.every((byte) => byte === 0)).toBe(false);
    });

    it.each([0, 1025, 1.5, Number.NaN])('does not generate a data key of %d bytes', async (length) => {
      await expect(under.data.generateDataKey(permitFor('GenerateDataKey', version), version, length)).rejects.toThrow();
    });

    describe('a rule', () => {
      const row = { kind: 'policy' as const, id: '7', digest: Buffer.alloc(32, 1) };
      const bind = (permit: Permit<RuleOperation> = new Permit({ operation: 'PutPolicy', tenant: ACME })) =>
        under.key.bindRule(permit, row);
      const bound = async (edit: Partial<BoundRow> = {}): Promise<BoundRow> => ({ ...row, tenant: ACME, mac: await bind(), ...edit });

      it('is bound by a MAC of 32 bytes, which both planes can check', async () => {
        const rows = [await bound()];
        expect(rows[0]!.mac).toHaveLength(32);
        await expect(under.key.checkBindings(rows)).resolves.toEqual([true]);
        await expect(under.data.checkBindings(rows)).resolves.toEqual([true]);
      });

      const edits: Record<string, Partial<BoundRow>> = {
        tenant: { tenant: GLOBEX },
        kind: { kind: 'stop' },
        id: { id: '8' },
        digest: { digest: Buffer.alloc(32, 2) },
        mac: { mac: Buffer.alloc(32) },
      };
      it.each(Object.entries(edits))('is not bound any more with another %s', async (_field, edit) => {
        await expect(under.data.checkBindings([await bound(edit), await bound()])).resolves.toEqual([false, true]);
      });

      it('is not bound by the MAC of a key version', async () => {
        await expect(under.data.checkBindings([await bound({ mac: version.mac })])).resolves.toEqual([false]);
      });

      it('does not bind a key version by its MAC', async () => {
        const forged = { ...version, mac: await bind() };
        await expect(seal(forged)).rejects.toThrow(KeyBindingBroken);
      });

      it("is bound in the permit's tenant, whatever the row says", async () => {
        const named = { ...row, tenant: GLOBEX };
        const mac = await under.key.bindRule(new Permit({ operation: 'PutPolicy', tenant: ACME }), named);
        await expect(
          under.key.checkBindings([
            { ...row, tenant: ACME, mac },
            { ...named, mac },
          ]),
        ).resolves.toEqual([true, false]);
      });

      it('is bound once a permit', async () => {
        const permit = new Permit<'PutPolicy'>({ operation: 'PutPolicy', tenant: ACME });
        await bind(permit);
        await expect(bind(permit)).rejects.toThrow(PermitMisused);
      });

      it.each(['Encrypt', 'DisableKey', 'RevokeCredential'] as const)('is not bound by a permit to %s', async (operation) => {
        const permit = new Permit({ operation, tenant: ACME }) as Permit as Permit<RuleOperation>;
        await expect(bind(permit)).rejects.toThrow(PermitMisused);
      });

      it('is not bound by a permit for a key version', async () => {
        const { versionId } = version;
        await expect(bind(new Permit({ operation: 'PutPolicy', tenant: ACME, versionId }))).rejects.toThrow(PermitMisused);
      });

      it('can be checked 64 at a time', async () => {
        const one = await bound();
        const truths = await under.data.checkBindings(Array.from({ length: 64 }, (_, index) => (index === 63 ? { ...one, id: '9' } : one)));
        expect([truths.length, truths.indexOf(false)]).toEqual([64, 63]);
      });

      it('fits a frame, 64 at a time, with the longest names', async () => {
        const longest = { kind: 'identity-provider' as const, id: '~'.repeat(128), digest: Buffer.alloc(32, 0xff) };
        const tenant = 'a'.repeat(31) as TenantId;
        const mac = await under.key.bindRule(new Permit({ operation: 'PutIdentityProvider', tenant }), longest);
        const truths = await under.data.checkBindings(Array.from({ length: 64 }, () => ({ ...longest, tenant, mac })));
        expect(truths).toEqual(Array.from({ length: 64 }, () => true));
      });

      it.each([0, 65])('is not checked %i at a time', async (length) => {
        const one = await bound();
        await expect(under.data.checkBindings(Array.from({ length }, () => one))).rejects.toMatchObject(MALFORMED);
        await expect(under.data.checkBindings([one])).resolves.toEqual([true]);
      });

      const malformed: Record<string, Partial<RuleRow>> = {
        'an unknown kind': { kind: 'key-version' as BoundKind },
        'a kind with more behind it': { kind: 'policy\n' as BoundKind },
        'no id': { id: '' },
        'an id of 129 characters': { id: 'x'.repeat(129) },
        'an id with a space': { id: 'a b' },
        'an id beyond ASCII': { id: 'é' },
        'a line break after the id': { id: '7\n' },
        'a digest of 31 bytes': { digest: Buffer.alloc(31) },
        'a digest of 33 bytes': { digest: Buffer.alloc(33) },
      };
      it.each(Object.entries(malformed))('is neither bound nor checked with %s', async (_what, edit) => {
        const permit = new Permit<'PutPolicy'>({ operation: 'PutPolicy', tenant: ACME });
        await expect(under.key.bindRule(permit, { ...row, ...edit })).rejects.toMatchObject(MALFORMED);
        await expect(under.data.checkBindings([await bound(edit)])).rejects.toMatchObject(MALFORMED);
      });

      it.each([0, 31, 33])('is not checked against a MAC of %i bytes', async (length) => {
        await expect(under.data.checkBindings([await bound({ mac: Buffer.alloc(length) })])).rejects.toMatchObject(MALFORMED);
      });

      it('is not bound in, nor checked of, what cannot be a tenant', async () => {
        const tenant = 'Not a tenant' as TenantId;
        await expect(bind(new Permit({ operation: 'PutPolicy', tenant }))).rejects.toMatchObject(MALFORMED);
        await expect(under.data.checkBindings([await bound({ tenant })])).rejects.toMatchObject(MALFORMED);
      });
    });

    describe.each([
      ['before its key is in use', false],
      ['while its key is in use', true],
    ])('an edited row, %s', (_when, used) => {
      const edits: Record<string, (row: WrappedKeyVersion) => Partial<WrappedKeyVersion>> = {
        tenant: () => ({ tenant: GLOBEX }),
        keyId: () => ({ keyId: newKeyId(1) }),
        versionId: () => ({ versionId: newKeyVersionId(1) }),
        // What only SQL can write: no value of these types.
        spec: () => ({ spec: 'SM4' }),
        usage: () => ({ usage: 'SIGN_VERIFY' }),
        origin: () => ({ origin: 'EXTERNAL' }),
        protectionLevel: (row) => ({ protectionLevel: row.protectionLevel === 'HSM' ? 'SOFTWARE_TOKEN' : 'HSM' }),
        logId: () => ({ logId: newLogId(1) }),
        blob: (row) => ({ blob: row.blob.map((byte, at) => (at === 0 ? byte ^ 1 : byte)) }),
        'the length of blob': (row) => ({ blob: row.blob.subarray(8) }),
        mac: (row) => ({ mac: row.mac.map((byte, at) => (at === 31 ? byte ^ 1 : byte)) }),
      };

      it.each(Object.entries(edits))('is refused: %s', async (_field, edit) => {
        await aVersion(under.key, GLOBEX);
        const fresh = await aVersion(under.key);
        if (used) await seal(fresh);
        await expect(seal({ ...fresh, ...edit(fresh) })).rejects.toThrow(KeyBindingBroken);
      });
    });

    it("does not open a tenant's key with another tenant's blob", async () => {
      const foreign = await aVersion(under.key, GLOBEX);
      await expect(seal({ ...version, blob: foreign.blob })).rejects.toThrow(KeyBindingBroken);
    });

    it('makes no key for a tenant without a root', async () => {
      const draft = aDraft('nobody' as TenantId);
      const permit = new Permit({ operation: 'CreateKey', tenant: draft.tenant, versionId: draft.versionId });
      await expect(under.key.createKeyVersion(permit, draft, 0)).rejects.toThrow(CustodyUnavailable);
    });

    it('keeps the root when it is asked for again', async () => {
      const sealed = await seal();
      await under.key.createTenantRoot(new Permit({ operation: 'OnboardTenant', tenant: ACME }), 0);
      const again = await aVersion(under.key);
      await expect(seal(again)).resolves.toBeDefined();
      await expect(under.data.decrypt(permitFor('Decrypt', version), version, sealed)).resolves.toBeDefined();
    });

    it('takes a permit once', async () => {
      const permit = permitFor('Encrypt', version);
      await under.data.encrypt(permit, version, PLAINTEXT);
      await expect(under.data.encrypt(permit, version, PLAINTEXT)).rejects.toThrow(PermitMisused);
    });

    it('takes a permit only for its own key version', async () => {
      const other = await aVersion(under.key);
      await expect(under.data.encrypt(permitFor('Encrypt', other), version, PLAINTEXT)).rejects.toThrow(PermitMisused);
    });

    it('makes a key version under a permit that names it or none, not another', async () => {
      const draft = aDraft();
      const make = (versionId?: KeyVersionDraft['versionId']) =>
        under.key.createKeyVersion(new Permit({ operation: 'CreateKey', tenant: ACME, versionId }), draft, 0);
      await expect(make(newKeyVersionId(1))).rejects.toThrow(PermitMisused);
      await expect(make()).resolves.toMatchObject(draft);
      await expect(make(draft.versionId)).resolves.toMatchObject(draft);
    });

    it('takes no permit without AAD', async () => {
      await expect(under.data.encrypt(permitFor('Encrypt', version, new Uint8Array()), version, PLAINTEXT)).rejects.toThrow(PermitMisused);
    });

    it('tells its protection level in the row and in its capabilities', async () => {
      const { protectionLevel, specs, unavailable, token } = await under.key.capabilities();
      expect([token.serial.length > 0, token.serial.length <= 32, /^\d+\.\d+$/.test(token.firmware)]).toEqual([true, true, true]);
      expect(version.protectionLevel).toBe(protectionLevel);
      expect([specs, unavailable]).toEqual([KEY_SPECS.filter((spec) => !isMissing(spec)), lacking]);
    });

    it('answers a ping', async () => {
      await expect(under.key.ping()).resolves.toBeUndefined();
      await expect(under.data.ping()).resolves.toBeUndefined();
    });

    if (!isMissing('RSA_4096')) importsContract(() => under);
    rotationContract(() => under);
    movesContract(() => under);
    secretKeysContract(
      () => under,
      () => ({ version, macs: aVersion(under.key, ACME, 'HMAC_256') }),
    );
    secretClaimsContract(() => under);

    describe('checkpoints', () => {
      const aLog = async (tenant = ACME) => {
        const logId = newLogId(Date.now());
        const { publicKey } = await under.key.createLogKey(new Permit({ operation: 'OnboardTenant', tenant }), 1);
        return { log: { logId, origin: `keyward.example/${logId}`, keys: [1] }, publicKey };
      };

      it('answers the same key at each attempt to onboard a tenant, and another to another tenant', async () => {
        const [first, again, other] = [await aLog(), await aLog(), await aLog('globex' as TenantId)];
        expect(Buffer.from(again.publicKey)).toEqual(Buffer.from(first.publicKey));
        expect(Buffer.from(other.publicKey)).not.toEqual(Buffer.from(first.publicKey));
        expect([32, SPKI_P256_BYTES]).toContain(first.publicKey.length);
      });

      it('signs the log of the attempt that succeeded', async () => {
        await aLog();
        const { log } = await aLog();
        await expect(under.signer.signCheckpoint(ACME, log, aTree(1))).resolves.toContain('\n1\n');
      });

      it("refuses another log under this one's name, which the same key would sign", async () => {
        const [{ log }, other] = [await aLog(), await aLog()];
        await under.signer.signCheckpoint(ACME, log, aTree(5));
        const attempt = under.signer.signCheckpoint(ACME, { ...other.log, origin: log.origin }, aTree(5, 0, 1));
        await expect(attempt).rejects.toMatchObject({ reason: expect.stringContaining('checkpoint-refused') });
      });

      it('does not remember what it could not sign for want of a key', async () => {
        const tenant = 'late-comer' as TenantId;
        const log = { logId: newLogId(Date.now()), origin: 'keyward.example/late-comer', keys: [1] };
        await expect(under.signer.signCheckpoint(tenant, log, aTree(9))).rejects.toThrow(CustodyUnavailable);
        await aLog(tenant);
        await expect(under.signer.signCheckpoint(tenant, log, aTree(1))).resolves.toContain('\n1\n');
      });

      it("signs a checkpoint that verifies under the log's key", async () => {
        const { log, publicKey } = await aLog();
        const note = await under.signer.signCheckpoint(ACME, log, aTree(5));
        const { body, name, signature } = takeApart(note);
        expect(body).toBe(`${log.origin}\n5\n${Buffer.from(aTree(5).root).toString('base64')}\n`);
        expect(name).toBe(log.origin);
        expect(isSignedBy(publicKey, body, signature)).toBe(true);
      });

      it('signs a grown tree, and the same one again', async () => {
        const { log } = await aLog();
        expect(await under.signer.signedSize(ACME, log.logId)).toBe(0n);
        await under.signer.signCheckpoint(ACME, log, aTree(5));
        expect(await under.signer.signedSize(ACME, log.logId)).toBe(5n);
        await expect(under.signer.signCheckpoint(ACME, log, aTree(5, 5))).resolves.toContain('\n5\n');
        await expect(under.signer.signCheckpoint(ACME, log, aTree(6, 5))).resolves.toContain('\n6\n');
      });

      it.each([
        ['a smaller tree', aTree(4), undefined],
        ['another root at the same size', aTree(5, 5, 1), undefined],
        ['another origin', aTree(6, 5), 'keyward.example/globex'],
        ['a larger tree with another beginning', aTree(6, 5, 1), undefined],
        ['a larger tree without a proof', { ...aTree(6, 5), proof: [] }, undefined],
      ])('refuses %s', async (_what, tree, origin) => {
        const { log } = await aLog();
        await under.signer.signCheckpoint(ACME, log, aTree(5));
        const attempt = under.signer.signCheckpoint(ACME, { ...log, origin: origin ?? log.origin }, tree);
        await expect(attempt).rejects.toMatchObject({ code: 'internal', reason: expect.stringContaining('checkpoint-refused') });
      });

      const nextKey = (number: number) => under.key.createLogKey(new Permit({ operation: 'RotateLogKey', tenant: ACME }), number);

      it('signs with two keys while one takes over from the other, then with the new one alone', async () => {
        const { log, publicKey } = await aLog();
        const next = await nextKey(2);
        expect(Buffer.from((await nextKey(2)).publicKey)).toEqual(Buffer.from(next.publicKey));
        const lines = async (keys: readonly number[]) => {
          const [body = '', text = ''] = (await under.signer.signCheckpoint(ACME, { ...log, keys }, aTree(5, 5))).split('\n\n');
          const signatures = text.trimEnd().split('\n');
          return signatures.map((line) =>
            [publicKey, next.publicKey].map((key) =>
              isSignedBy(key, `${body}\n`, Buffer.from(line.split(' ')[2] ?? '', 'base64').subarray(4)),
            ),
          );
        };
        await under.signer.signCheckpoint(ACME, log, aTree(5));
        expect(await lines([1, 2])).toEqual([
          [true, false],
          [false, true],
        ]);
        await under.signer.destroyLogKey(ACME, 1);
        await under.signer.destroyLogKey(ACME, 1);
        expect(await lines([2])).toEqual([[false, true]]);
        await expect(lines([1, 2])).rejects.toThrow(CustodyUnavailable);
        await expect(under.signer.destroyLogKey(ACME, 2)).rejects.toThrow(CustodyUnavailable);
        expect(await lines([2])).toEqual([[false, true]]);
        await expect(under.signer.signCheckpoint(ACME, { ...log, keys: [1, 2, 3] }, aTree(5, 5))).rejects.toThrow();
      });

      it('refuses an origin that would add lines to the note', async () => {
        const { log } = await aLog();
        await expect(under.signer.signCheckpoint(ACME, { ...log, origin: 'a\n9\n' }, aTree(1))).rejects.toThrow();
      });
    });
  });
}

/** Over PLAINTEXT, by somebody else's code: of SM2, over a digest without identity, as the callers here make it. */
function isSignature(spec: KeySpec, hash: string, spki: Buffer, signature: Uint8Array, padding: Partial<typeof PSS>): boolean {
  if (spec !== 'EC_SM2')
    return verify(hash, PLAINTEXT, { key: createPublicKey({ key: spki, format: 'der', type: 'spki' }), ...padding }, signature);
  const point = { x: spki.toString('base64url', 27, 59), y: spki.toString('base64url', 59, 91) };
  return verifyDigest(spec, point, createHash(hash).update(PLAINTEXT).digest(), rawOf(signature, 32)!);
}

function takeApart(note: string): { readonly body: string; readonly name: string; readonly signature: Uint8Array } {
  const [body = '', signatures = ''] = note.split('\n\n');
  const [dash, name = '', base64 = ''] = signatures.trimEnd().split(' ');
  expect(dash).toBe('—');
  return { body: `${body}\n`, name, signature: Buffer.from(base64, 'base64').subarray(4) };
}

const SPKI_ED25519 = Buffer.from('302a300506032b6570032100', 'hex');
const SPKI_P256_BYTES = 91;

/** By a log's key: Ed25519's 32 bytes, or a SubjectPublicKeyInfo on P-256, with SHA-256. */
function isSignedBy(publicKey: Uint8Array, body: string, signature: Uint8Array): boolean {
  const isEd25519 = publicKey.length === 32;
  const key = isEd25519 ? Buffer.concat([SPKI_ED25519, publicKey]) : Buffer.from(publicKey);
  return verify(isEd25519 ? null : 'sha256', Buffer.from(body), createPublicKey({ key, format: 'der', type: 'spki' }), signature);
}
