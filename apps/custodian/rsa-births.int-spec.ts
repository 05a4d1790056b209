import { renameSync } from 'node:fs';
import type { TenantId } from '#contract';
import { CustodyUnavailable, Permit } from '#core';
import type { SocketCustody } from '#custody/socket';
import { aDraft, aVersion, permitFor } from '../../libs/testing/custody-contract.js';
import { eventually, TestCustodian, TestToken } from './test-bed.js';

const ACME = 'acme' as TenantId;
const GLOBEX = 'globex' as TenantId;

describe('RSA keys in the making', () => {
  let token: TestToken;
  let custodian: TestCustodian;
  let key: SocketCustody;
  let data: SocketCustody;
  const make = (tenant: TenantId = ACME) => {
    const draft = { ...aDraft(tenant, 'RSA_4096'), usage: 'SIGN_VERIFY' as const };
    return key.createKeyVersion(new Permit({ operation: 'CreateKey', tenant, versionId: draft.versionId }), draft, 0);
  };
  const outcome = (work: Promise<unknown>) =>
    work.then(
      () => 'made',
      (error: Error) => error,
    );

  beforeAll(async () => {
    token = new TestToken();
    custodian = await TestCustodian.started(token);
    [key, data] = [await custodian.connect('key', 5000), await custodian.connect('data', 5000)];
    await aVersion(key, GLOBEX);
  });
  afterAll(async () => {
    await custodian?.stop();
    token?.remove();
  });

  it('hold up no other call', async () => {
    const version = await aVersion(key);
    let done = false;
    const making = make().finally(() => {
      done = true;
    });
    let served = 0;
    for (; !done; served++) await data.encrypt(permitFor('Encrypt', version), version, Buffer.from('x'));
    const { publicKey, blob } = await making;
    expect(publicKey).toHaveLength(550);
    expect(blob.length).toBeGreaterThan(2300);
    expect(served).toBeGreaterThan(10);
  });

  it('stand in a short line, of which no tenant has more than its part', async () => {
    const [first, second, third] = [outcome(make()), outcome(make()), outcome(make())];
    const other = outcome(make(GLOBEX));
    expect(await third).toMatchObject({ code: 'too-many-requests', retryAfterSeconds: 5 });
    expect(await Promise.all([first, second, other])).toEqual(['made', 'made', 'made']);
    expect(await outcome(make())).toBe('made');
  });

  it('are waited for before the module is finalised: the child lives on', async () => {
    const child = custodian.childPid;
    for (let round = 0; round < 3; round++) {
      const making = outcome(make());
      renameSync(token.path('tokens'), token.path('gone'));
      await eventually(async () => (await data.ping().catch((error: unknown) => error)) instanceof CustodyUnavailable);
      await making;
      renameSync(token.path('gone'), token.path('tokens'));
      await eventually(async () => (await data.ping().catch(() => 'gone')) === undefined);
    }
    expect(custodian.childPid).toBe(child);
    expect(await outcome(make())).toBe('made');
  });
});
