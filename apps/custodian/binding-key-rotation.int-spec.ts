import { PLATFORM, type TenantId } from '#contract';
import { bindingKeyRow, KeyBindingBroken, Permit, PermitMisused, type RuleRow } from '#core';
import type { SocketCustody } from '#custody/socket';
import { aVersion, permitFor } from '../../libs/testing/custody-contract.js';
import { eventually, TestCustodian, TestToken } from './test-bed.js';

const ACME = 'acme' as TenantId;
const RULE: RuleRow = { tenant: ACME, kind: 'policy', id: '1', digest: Buffer.alloc(32, 7) };

describe('binding keys on a token', () => {
  let token: TestToken;
  /** Two on one token, as on two hosts. */
  let [custodian, other] = [] as unknown as [TestCustodian, TestCustodian];
  let [key, data, worker, elsewhere] = [] as unknown as [SocketCustody, SocketCustody, SocketCustody, SocketCustody];
  const connect = async () => {
    [key, data, worker] = [await custodian.connect('key'), await custodian.connect('data'), await custodian.connect('worker')];
    elsewhere = await other.connect('data');
  };
  beforeAll(async () => {
    token = new TestToken();
    custodian = await TestCustodian.started(token);
    other = await TestCustodian.started(token.elsewhere());
    await connect();
  });
  afterAll(async () => {
    await Promise.all([custodian?.stop(), other?.stop()]);
    token?.remove();
  });

  const bind = async (row: RuleRow) => ({
    ...row,
    mac: await key.bindRule(new Permit({ operation: 'RetireBindingKey', tenant: row.tenant }), row),
  });
  const create = (number: number) => key.createBindingKey(new Permit({ operation: 'RotateBindingKey', tenant: PLATFORM }), number);

  it('are two for a while, both known everywhere; then the older one is gone, when the newer one bound the word for it', async () => {
    const version = await aVersion(key);
    const sealed = await data.encrypt(permitFor('Encrypt', version), version, Buffer.from('text'));
    const before = await bind(RULE);
    await create(1);
    await create(1);
    await expect(create(3)).rejects.toThrow();
    const after = await bind(RULE);
    expect(Buffer.from(after.mac).equals(before.mac)).toBe(false);
    // Also by a custodian that did not make it, at once.
    for (const custody of [data, elsewhere]) {
      expect(await custody.checkBindings([before, after, { ...after, id: '2' }])).toEqual([true, true, false]);
    }

    expect(await worker.rebind({ what: 'rule', row: before })).toEqual(Uint8Array.from(after.mac));
    expect(await worker.rebind({ what: 'rule', row: after })).toEqual(Uint8Array.from(after.mac));
    expect(await worker.rebind({ what: 'rule', row: { ...before, id: '2' } })).toBeUndefined();
    const anew = { ...version, mac: (await worker.rebind({ what: 'key-version', row: version }))! };
    expect(await worker.rebind({ what: 'key-version', row: { ...version, spec: 'AES_128' } })).toBeUndefined();
    const { tombstoneMac: mac } = await worker.makeTombstone(version);
    expect(await worker.rebind({ what: 'tombstone', row: { ...version, mac } })).toEqual(Uint8Array.from(mac));

    const word = await bind(bindingKeyRow(1));
    for (const [number, wrong] of [
      [1, before.mac],
      [2, word.mac],
      [1, (await bind(bindingKeyRow(2))).mac],
    ] as const) {
      await expect(worker.destroyOlderBindingKeys(number, wrong)).rejects.toThrow(KeyBindingBroken);
    }
    await expect(data.destroyOlderBindingKeys(1, word.mac)).rejects.toThrow(PermitMisused);
    await worker.destroyOlderBindingKeys(1, word.mac);
    await worker.destroyOlderBindingKeys(1, word.mac);
    for (const custody of [data, elsewhere]) expect(await custody.checkBindings([before, after])).toEqual([false, true]);
    expect(Buffer.from(await elsewhere.decrypt(permitFor('Decrypt', anew), anew, sealed)).toString()).toBe('text');
    await expect(elsewhere.decrypt(permitFor('Decrypt', version), version, sealed)).rejects.toThrow();
  });

  it('stay what they are over a restart: no first one is made beside the one that is there', async () => {
    const bound = await bind(RULE);
    process.kill(custodian.childPid, 'SIGKILL');
    const works = async () => (await data.checkBindings([bound]))[0] === true;
    await eventually(() => works().catch(() => false));
    await create(2);
    expect(await worker.rebind({ what: 'rule', row: bound })).not.toEqual(Uint8Array.from(bound.mac));
  });
});
