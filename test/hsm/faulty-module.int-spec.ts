import { createHash, createPublicKey, verify as verifySignature } from 'node:crypto';
import type { KeySpec, KeyUsage, TenantId } from '#contract';
import { CustodyUnavailable, Permit, type WrappedKeyVersion } from '#core';
import type { SocketCustody } from '#custody/socket';
import { SOFTHSM_LACKS, eventually, softhsmModule, TestCustodian, TestToken } from '../../apps/custodian/test-bed.js';
import { aDraft, aVersion, custodyContract, permitFor } from '../../libs/testing/custody-contract.js';
import { seeded } from '../faults/random.js';
import { CKR, type Ckr, FaultyModule } from './faulty-module.js';

const ACME = 'acme' as TenantId;
const TEXT = Buffer.from('IBAN DE02 1203 0000 0000 2020 51');
const DIGEST = createHash('sha256').update(TEXT).digest();
const SEED = Number(process.env['KEYWARD_TEST_SEED'] ?? Date.now() % 1_000_000);
const CODES = Object.keys(CKR) as Ckr[];

custodyContract(
  'the custodian on SoftHSM behind a module that could fail',
  async () => {
    const { custodian, token, faulty } = await onFaultyModule();
    const [key, data, signer] = [await custodian.connect('key'), await custodian.connect('data'), await custodian.connect('worker')];
    const stop = async () => {
      await custodian.stop();
      token.remove();
      faulty.remove();
    };
    return { key, data, signer, stop };
  },
  SOFTHSM_LACKS,
);

async function onFaultyModule() {
  const faulty = new FaultyModule(softhsmModule());
  const token = new TestToken({ ...faulty.env, KEYWARD_CUSTODIAN_HANG_MS: '1500' });
  return { faulty, token, custodian: await TestCustodian.started(token) };
}

describe('a custodian whose HSM fails', () => {
  let faulty: FaultyModule;
  let token: TestToken;
  let custodian: TestCustodian;
  let key: SocketCustody;
  let data: SocketCustody;
  let cipher: WrappedKeyVersion;
  let mac: WrappedKeyVersion;
  let pair: WrappedKeyVersion;

  beforeAll(async () => {
    ({ faulty, token, custodian } = await onFaultyModule());
    [key, data] = [await custodian.connect('key'), await custodian.connect('data', 1000)];
    cipher = await aVersion(key);
    [mac, pair] = [await made('HMAC_256', 'GENERATE_VERIFY_MAC'), await made('EC_P256', 'SIGN_VERIFY')];
  });
  afterEach(async () => {
    faulty.heal();
    await eventually(works);
  });
  afterAll(async () => {
    await custodian?.stop();
    token?.remove();
    faulty?.remove();
  });

  const made = (spec: KeySpec, usage: KeyUsage) => {
    const draft = { ...aDraft(ACME, spec), usage };
    return key.createKeyVersion(new Permit({ operation: 'CreateKey', tenant: ACME, versionId: draft.versionId }), draft, 0);
  };
  const seal = () => data.encrypt(permitFor('Encrypt', cipher), cipher, TEXT);
  const open = (sealed: Parameters<SocketCustody['decrypt']>[2], by = cipher) => data.decrypt(permitFor('Decrypt', by), by, sealed);
  const works = () =>
    seal().then(
      () => true,
      () => false,
    );

  /** Everything that a plane asks for. Each answers what shows, once the HSM is well again, whether its result was right. */
  const calls: Record<string, () => Promise<() => Promise<boolean>>> = {
    encrypt: async () => {
      const sealed = await seal();
      return async () => TEXT.equals(await open(sealed));
    },
    generateDataKey: async () => {
      const { plaintext, ...sealed } = await data.generateDataKey(permitFor('GenerateDataKey', cipher), cipher, 32);
      return async () => Buffer.from(plaintext).equals(await open(sealed));
    },
    generateMac: async () => {
      const answered = await data.generateMac(permitFor('GenerateMac', mac), mac, TEXT);
      return () => data.verifyMac(permitFor('VerifyMac', mac), mac, TEXT, answered);
    },
    sign: async () => {
      const signature = await data.sign(permitFor('Sign', pair), pair, 'ECDSA_SHA_256', DIGEST);
      const spki = createPublicKey({ key: Buffer.from(pair.publicKey!), format: 'der', type: 'spki' });
      return async () => verifySignature('sha256', TEXT, spki, signature);
    },
    createKeyVersion: async () => {
      const version = await made('AES_256', 'ENCRYPT_DECRYPT');
      return async () => {
        const sealed = await data.encrypt(permitFor('Encrypt', version), version, TEXT);
        return TEXT.equals(await open(sealed, version));
      };
    },
  };
  /** Those whose right answer is known before. */
  const known: Record<string, () => Promise<boolean>> = {};
  beforeAll(async () => {
    const sealed = await seal();
    const authentic = await data.generateMac(permitFor('GenerateMac', mac), mac, TEXT);
    const signature = await data.sign(permitFor('Sign', pair), pair, 'ECDSA_SHA_256', DIGEST);
    const other = createHash('sha256').update('other').digest();
    const isValid = (digest: Buffer) => data.verify(permitFor('Verify', pair), pair, 'ECDSA_SHA_256', digest, signature);
    known['decrypt'] = async () => TEXT.equals(await open(sealed));
    known['verifyMac'] = () => data.verifyMac(permitFor('VerifyMac', mac), mac, TEXT, authentic);
    known['verify'] = () => isValid(DIGEST);
    known['verify of another digest'] = async () => !(await isValid(other));
  });

  /** What came of a call: a right answer, or none. Anything else is thrown. */
  async function outcomeOf(name: string): Promise<'right' | 'none'> {
    try {
      const answered = known[name] !== undefined ? await known[name]() : await calls[name]!();
      faulty.heal();
      const isRight = typeof answered === 'boolean' ? answered : await eventuallyRight(answered);
      if (!isRight) throw new Error(`${name} answered wrongly.`);
      return 'right';
    } catch (error) {
      if (error instanceof CustodyUnavailable) return 'none';
      throw error;
    }
  }

  async function eventuallyRight(isRight: () => Promise<boolean>): Promise<boolean> {
    await eventually(works);
    return await isRight();
  }

  it.each(CODES)('answers nothing while every call ends with CKR_%s, and works again after it', async (code) => {
    const child = custodian.childPid;
    faulty.inject(['*'], { fail: code });
    const names = [...Object.keys(calls), ...Object.keys(known)];
    for (const name of names) expect(await Promise.race([outcomeWhileIll(name)])).toBe('none');
    faulty.heal();
    await eventually(works);
    expect(custodian.childPid).toBe(child);
  });

  const outcomeWhileIll = (name: string) =>
    (known[name] ?? calls[name]!)().then(
      () => 'an answer',
      (error: unknown) => (error instanceof CustodyUnavailable ? 'none' : error),
    );

  it('never takes a fault that passes for a bad ciphertext', async () => {
    faulty.inject(['C_Decrypt'], { fail: 'GENERAL_ERROR' }, 'once');
    expect(await outcomeOf('decrypt')).toBe('right');
    expect(faulty.calls('C_Decrypt')).toBeGreaterThan(2);
  });

  it.each(['C_CreateObject', 'C_VerifyInit', 'C_Verify'])(
    'has no answer, and no complaint of the caller, where %s fails at a first use',
    async (name) => {
      const fresh = await made('EC_P256', 'SIGN_VERIFY');
      const signature = await data.sign(permitFor('Sign', fresh), fresh, 'ECDSA_SHA_256', DIGEST);
      faulty.inject([name], { fail: 'DEVICE_MEMORY' }, 'once');
      await expect(data.verify(permitFor('Verify', fresh), fresh, 'ECDSA_SHA_256', DIGEST, signature)).rejects.toThrow(CustodyUnavailable);
      expect(faulty.healed).toBe(true);
    },
  );

  it('answers rightly or not at all, whichever call fails once, before or after it was done', async () => {
    const random = seeded(SEED);
    const one = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)]!;
    const functions = [
      ...['C_OpenSession', 'C_CloseSession', 'C_CreateObject', 'C_DestroyObject', 'C_EncryptInit', 'C_Encrypt', 'C_DecryptInit'],
      ...['C_Decrypt', 'C_SignInit', 'C_Sign', 'C_VerifyInit', 'C_Verify', 'C_GenerateKey', 'C_WrapKey', 'C_UnwrapKey', 'C_GenerateRandom'],
    ];
    const names = [...Object.keys(calls), ...Object.keys(known)];
    const seen = { right: 0, none: 0 };
    for (let round = 0; round < 200; round++) {
      const [name, code] = [one(names), one(CODES)];
      faulty.inject([one(functions)], random() < 0.5 ? { fail: code } : { late: code }, 'once');
      try {
        seen[await outcomeOf(name)] += 1;
      } catch (error) {
        throw new Error(`seed ${SEED}, round ${round}, ${name}, ${code}`, { cause: error });
      }
      faulty.heal();
      await eventually(works);
    }
    expect(seen).toEqual({ right: expect.any(Number), none: expect.any(Number) });
    expect(Math.min(seen.right, seen.none)).toBeGreaterThan(10);
  }, 120_000);

  it('makes a key once, whatever it is told of it', async () => {
    const before = faulty.calls('C_GenerateKey');
    faulty.inject(['C_GenerateKey'], { late: 'DEVICE_ERROR' }, 'once');
    await expect(made('AES_256', 'ENCRYPT_DECRYPT')).rejects.toThrow(CustodyUnavailable);
    expect(faulty.healed).toBe(true);
    expect(faulty.calls('C_GenerateKey')).toBe(before + 1);
  });

  it('finds the root that was made, though it was told that it was not', async () => {
    const tenant = 'late-root' as TenantId;
    const onboard = () => key.createTenantRoot(new Permit({ operation: 'OnboardTenant', tenant }), 0);
    const before = faulty.calls('C_GenerateKey');
    faulty.inject(['C_GenerateKey'], { late: 'DEVICE_ERROR' }, 'once');
    await expect(onboard()).rejects.toThrow(CustodyUnavailable);
    await expect(onboard()).resolves.toBeUndefined();
    expect(faulty.calls('C_GenerateKey')).toBe(before + 1);
  });

  it('lets nobody wait for an HSM that hangs: the parent gets another child', async () => {
    const hung = custodian.childPid;
    faulty.inject(['C_Encrypt'], { hang: true }, 'once');
    await expect(seal()).rejects.toThrow(CustodyUnavailable);
    await custodian.logs((line) => line.msg === 'the child hangs');
    await eventually(works);
    expect(custodian.childPid).not.toBe(hung);
  });

  it('is slow with a slow HSM, and right', async () => {
    faulty.inject(['C_Encrypt'], { sleepMs: 20 });
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => outcomeWhileIll('encrypt')));
    expect(new Set(outcomes)).toEqual(new Set(['an answer']));
  });

  it.each(['C_Initialize', 'C_Login', 'C_OpenSession'])('connects again though %s failed when it tried to', async (name) => {
    faulty.inject(['C_GetTokenInfo'], { fail: 'DEVICE_REMOVED' });
    await eventually(async () => !(await works()));
    faulty.inject([name], { late: 'FUNCTION_FAILED' }, 'once');
    await eventually(async () => faulty.healed);
  });

  it('connects again though the lost module would not end', async () => {
    faulty.inject(['C_GetTokenInfo', 'C_Finalize'], { fail: 'DEVICE_REMOVED' });
    await eventually(async () => !(await works()));
  });
});
