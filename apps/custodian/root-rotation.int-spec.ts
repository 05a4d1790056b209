import { createPublicKey, publicEncrypt, randomBytes } from 'node:crypto';
import { KEY_SPECS, type TenantId } from '#contract';
import { CustodyUnavailable, KeyBindingBroken, newImportToken, Permit, type WrappedKeyVersion } from '#core';
import type { SocketCustody } from '#custody/socket';
import { parseVkey, verifyImportStatement, vkey } from '#trail';
import { aDraft, aVersion, permitFor } from '../../libs/testing/custody-contract.js';
import { eventually, TestCustodian, TestToken } from './test-bed.js';

const ACME = 'acme' as TenantId;
const ORIGIN = 'keyward.local/audit/log_01m85261sbeczshm68xjhpjemj';

describe('roots on a token', () => {
  let token: TestToken;
  let custodian: TestCustodian;
  let key: SocketCustody;
  let data: SocketCustody;
  let worker: SocketCustody;
  beforeAll(async () => {
    token = new TestToken();
    custodian = await TestCustodian.started(token);
    [key, data, worker] = [await custodian.connect('key'), await custodian.connect('data'), await custodian.connect('worker')];
  });
  afterAll(async () => {
    await custodian?.stop();
    token?.remove();
  });

  const seal = (version: WrappedKeyVersion) => data.encrypt(permitFor('Encrypt', version), version, Buffer.from('text'));
  const open = async (version: WrappedKeyVersion, sealed: Awaited<ReturnType<typeof seal>>) =>
    Buffer.from(await data.decrypt(permitFor('Decrypt', version), version, sealed)).toString();
  const makeRoot = (number: number) => key.createTenantRoot(new Permit({ operation: 'RotateRoot', tenant: ACME }), number);
  const make = (root: number, tenant = ACME) => {
    const draft = aDraft(tenant);
    return key.createKeyVersion(new Permit({ operation: 'CreateKey', tenant, versionId: draft.versionId }), draft, root);
  };
  const restarted = async () => {
    const sealable = await aVersion(key, 'globex' as TenantId);
    process.kill(custodian.childPid, 'SIGKILL');
    await eventually(() =>
      Promise.all([seal(sealable), key.ping(), worker.ping()]).then(
        () => true,
        () => false,
      ),
    );
  };

  it('take a key over from one to the next, of every spec that the HSM makes: the same key, another blob', async () => {
    const { specs } = await key.capabilities();
    const old: WrappedKeyVersion[] = [];
    // Larger RSA keys take seconds, and the same way.
    for (const spec of specs) if (!/^RSA_[34]/.test(spec)) old.push(await aVersion(key, ACME, spec));
    expect(old.length).toBeGreaterThan(KEY_SPECS.length / 2);
    const cipher = old.find(({ spec }) => spec === 'AES_256')!;
    const sealed = await seal(cipher);
    await makeRoot(1);
    const anew = await Promise.all(old.map((version) => worker.rewrap(version, 1)));
    anew.forEach(({ blob, mac, ...rest }, at) => {
      const { blob: oldBlob, mac: oldMac, ...oldRest } = old[at]!;
      expect(rest).toEqual(oldRest);
      expect([Buffer.from(blob).equals(oldBlob), Buffer.from(mac).equals(oldMac)]).toEqual([false, false]);
    });
    await restarted();
    // Both roots are there: both rows open, also in a custodian that has not seen either.
    for (const version of [cipher, anew[old.indexOf(cipher)]!]) expect(await open(version, sealed)).toBe('text');
    await worker.destroyOlderRoots(ACME, 1);
    await worker.destroyOlderRoots(ACME, 1);
    await restarted();
    expect(await open(anew[old.indexOf(cipher)]!, sealed)).toBe('text');
    await expect(open(cipher, sealed)).rejects.toThrow(CustodyUnavailable);
    for (const version of anew) await expect(worker.rewrap(version, 1)).resolves.toMatchObject({ versionId: version.versionId });
  });

  it('take over the wrapping key of an import that is under way', async () => {
    const { keyId, versionId, logId } = aDraft();
    const may = <Operation extends 'GetImportParameters' | 'ImportKeyMaterial'>(operation: Operation) =>
      new Permit({ operation, tenant: ACME, versionId });
    const { publicKey } = await key.createLogKey(new Permit({ operation: 'OnboardTenant', tenant: ACME }), 1);
    const named = { tenant: ACME, importToken: newImportToken(Date.now()), keyId, versionId, logId, expiresAt: Date.now() + 60_000 };
    const parameters = { ...named, spec: 'AES_256', usage: 'ENCRYPT_DECRYPT', algorithm: 'RSAES_OAEP_SHA_1' } as const;
    const { bound, statement } = await key.createImport(may('GetImportParameters'), parameters, { origin: ORIGIN, keys: [1] }, 1);
    await makeRoot(2);
    const anew = await worker.rewrapImport(bound, 2);
    await worker.destroyOlderRoots(ACME, 2);
    const { wrappingKey } = await verifyImportStatement(statement, [parseVkey(vkey(ORIGIN, publicKey))]);
    const to = createPublicKey({ key: Buffer.from(wrappingKey, 'base64'), format: 'der', type: 'spki' });
    const encrypted = publicEncrypt({ key: to, oaepHash: 'sha1' }, randomBytes(32));
    const material = { encrypted, publicKey: undefined, validTo: 0, before: undefined, root: 2 };
    await expect(key.importKeyMaterial(may('ImportKeyMaterial'), bound, material)).rejects.toThrow();
    const version = await key.importKeyMaterial(may('ImportKeyMaterial'), anew, material);
    await expect(seal(version)).resolves.toBeDefined();
    await expect(worker.rewrapImport({ ...anew, keyId: aDraft().keyId }, 2)).rejects.toThrow(KeyBindingBroken);
  });

  it('wrap by their number, or not at all', async () => {
    await expect(make(0)).rejects.toThrow(CustodyUnavailable);
    await expect(make(1)).rejects.toThrow(CustodyUnavailable);
    await expect(make(2)).resolves.toBeDefined();
  });

  it('are seen by another custodian of the same token, which holds handles of the older ones', async () => {
    const beside: TestToken = Object.assign(Object.create(token) as TestToken, {
      env: { ...token.env, KEYWARD_SOCKET_DIR: token.path('s2'), KEYWARD_CUSTODIAN_STATE_DIR: token.path('state2') },
      socket: (plane: string) => token.path(`s2/${plane}/${plane}.sock`),
    });
    const second = await TestCustodian.started(beside);
    try {
      const [secondKey, secondData] = [await second.connect('key'), await second.connect('data')];
      const version = await make(2);
      const sealed = await seal(version);
      const openThere = async (row: WrappedKeyVersion) =>
        Buffer.from(await secondData.decrypt(permitFor('Decrypt', row), row, sealed)).toString();
      expect(await openThere(version)).toBe('text');
      await makeRoot(3);
      const anew = await worker.rewrap(version, 3);
      expect(await openThere(anew)).toBe('text');
      await worker.destroyOlderRoots(ACME, 3);
      const third = await worker.rewrap(await make(3), 3);
      await expect(secondData.encrypt(permitFor('Encrypt', third), third, Buffer.from('x'))).resolves.toBeDefined();
      const draft = aDraft();
      await expect(
        secondKey.createKeyVersion(new Permit({ operation: 'CreateKey', tenant: ACME, versionId: draft.versionId }), draft, 2),
      ).rejects.toThrow(CustodyUnavailable);
    } finally {
      await second.stop();
    }
  });

  it('are not destroyed for one that is not there, nor by a plane', async () => {
    await expect(worker.destroyOlderRoots(ACME, 9)).rejects.toThrow(CustodyUnavailable);
    await expect(key.destroyOlderRoots(ACME, 3)).rejects.toMatchObject({ code: 'internal' });
    await expect(data.rewrap(await make(3), 3)).rejects.toMatchObject({ code: 'internal' });
    await expect(make(3)).resolves.toBeDefined();
  });

  it('take no row over that somebody edited', async () => {
    const version = await make(3);
    await expect(worker.rewrap({ ...version, usage: 'SIGN_VERIFY' }, 3)).rejects.toThrow(KeyBindingBroken);
  });
});
