import { KEY_SPECS, type TenantId } from '#contract';
import { CustodyUnavailable, KeyBindingBroken, Permit, type WrappedKeyVersion } from '#core';
import type { SocketCustody } from '#custody/socket';
import { aDraft, aVersion, permitFor } from '../../libs/testing/custody-contract.js';
import { eventually, TestCustodian, TestToken } from './test-bed.js';

const ACME = 'acme' as TenantId;

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
      seal(sealable).then(
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

  it('wrap by their number, or not at all', async () => {
    await expect(make(0)).rejects.toThrow(CustodyUnavailable);
    await expect(make(2)).rejects.toThrow(CustodyUnavailable);
    await expect(make(1)).resolves.toBeDefined();
  });

  it('are seen by another custodian of the same token, which holds handles of the older ones', async () => {
    const beside: TestToken = Object.assign(Object.create(token) as TestToken, {
      env: { ...token.env, KEYWARD_SOCKET_DIR: token.path('s2'), KEYWARD_CUSTODIAN_STATE_DIR: token.path('state2') },
      socket: (plane: string) => token.path(`s2/${plane}/${plane}.sock`),
    });
    const second = await TestCustodian.started(beside);
    try {
      const [secondKey, secondData] = [await second.connect('key'), await second.connect('data')];
      const version = await make(1);
      const sealed = await seal(version);
      const openThere = async (row: WrappedKeyVersion) =>
        Buffer.from(await secondData.decrypt(permitFor('Decrypt', row), row, sealed)).toString();
      expect(await openThere(version)).toBe('text');
      await makeRoot(2);
      const anew = await worker.rewrap(version, 2);
      expect(await openThere(anew)).toBe('text');
      await worker.destroyOlderRoots(ACME, 2);
      const third = await worker.rewrap(await make(2), 2);
      await expect(secondData.encrypt(permitFor('Encrypt', third), third, Buffer.from('x'))).resolves.toBeDefined();
      const draft = aDraft();
      await expect(
        secondKey.createKeyVersion(new Permit({ operation: 'CreateKey', tenant: ACME, versionId: draft.versionId }), draft, 1),
      ).rejects.toThrow(CustodyUnavailable);
    } finally {
      await second.stop();
    }
  });

  it('are not destroyed for one that is not there, nor by a plane', async () => {
    await expect(worker.destroyOlderRoots(ACME, 9)).rejects.toThrow(CustodyUnavailable);
    await expect(key.destroyOlderRoots(ACME, 2)).rejects.toMatchObject({ code: 'internal' });
    await expect(data.rewrap(await make(2), 2)).rejects.toMatchObject({ code: 'internal' });
    await expect(make(2)).resolves.toBeDefined();
  });

  it('take no row over that somebody edited', async () => {
    const version = await make(2);
    await expect(worker.rewrap({ ...version, usage: 'SIGN_VERIFY' }, 2)).rejects.toThrow(KeyBindingBroken);
  });
});
