import { chmodSync, existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type TenantId, TRIED_ALGORITHMS } from '#contract';
import { CustodyUnavailable, DecryptFailed, Permit, PermitMisused } from '#core';
import type { WrappedKeyVersion } from '#core';
import type { SocketCustody } from '#custody/socket';
import { aVersion, custodyContract, permitFor } from '../../libs/testing/custody-contract.js';
import { NEVER_RESTART } from './exit-codes.js';
import { HEARTBEAT_MS } from './ipc.js';
import { aTree } from '../../libs/testing/claimed-tree.js';
import { SOFTHSM_LACKS, eventually, MECHANISMS, TestCustodian, TestToken } from './test-bed.js';

custodyContract(
  'the custodian on SoftHSM, over its sockets',
  async () => {
    const token = new TestToken();
    const custodian = await TestCustodian.started(token);
    const [key, data, signer] = [await custodian.connect('key'), await custodian.connect('data'), await custodian.connect('worker')];
    const stop = async () => {
      await custodian.stop();
      token.remove();
    };
    return { key, data, signer, stop };
  },
  SOFTHSM_LACKS,
);

const PLAINTEXT = Buffer.from('a field');
const seal = (data: SocketCustody, version: WrappedKeyVersion) => data.encrypt(permitFor('Encrypt', version), version, PLAINTEXT);

describe('the custodian', () => {
  let token: TestToken;
  let custodian: TestCustodian;
  let key: SocketCustody;
  let data: SocketCustody;
  let version: WrappedKeyVersion;
  const works = () =>
    seal(data, version).then(
      () => true,
      () => false,
    );

  beforeAll(async () => {
    token = new TestToken({ KEYWARD_CUSTODIAN_HANG_MS: '1500' });
    custodian = await TestCustodian.started(token);
    key = await custodian.connect('key');
    data = await custodian.connect('data', 1000);
    version = await aVersion(key);
  });
  afterAll(async () => {
    await custodian?.stop();
    token?.remove();
  });

  it('keeps each socket in a directory that only its user may enter', () => {
    for (const plane of ['key', 'data', 'worker']) expect(statSync(token.path(`s/${plane}`)).mode & 0o777).toBe(0o700);
  });

  it('writes PINs to files that only its user may read', () => {
    for (const name of ['pin', 'so-pin']) expect(statSync(token.path(name)).mode & 0o777).toBe(0o600);
  });

  it('makes the token once', () => {
    expect(token.initialise()).toContain('token present');
  });

  it("refuses another plane's operations", async () => {
    const worker = await custodian.connect('worker');
    await expect(seal(key, version)).rejects.toThrow(PermitMisused);
    await expect(seal(worker, version)).rejects.toThrow(PermitMisused);
    await expect(aVersion(data)).rejects.toThrow(PermitMisused);
    const rule = { kind: 'policy' as const, id: '1', digest: Buffer.alloc(32) };
    const mayPublish = () => new Permit<'PutPolicy'>({ operation: 'PutPolicy', tenant: 'acme' as TenantId });
    await expect(data.bindRule(mayPublish(), rule)).rejects.toThrow(PermitMisused);
    await expect(worker.bindRule(mayPublish(), rule)).rejects.toThrow(PermitMisused);
    await expect(data.signCheckpoint('acme' as TenantId, { logId: 'log_1', origin: 'o', keys: [1] }, aTree(1))).rejects.toThrow(
      PermitMisused,
    );
    await expect(worker.ping()).resolves.toBeUndefined();
  });

  it('closes a connection that sends anything but frames, and serves the others', async () => {
    for (const garbage of [Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.from('00000003c0c0c0', 'hex'), Buffer.alloc(100_000)]) {
      const socket = connect(token.socket('data'));
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.on('error', () => undefined).write(garbage);
      await closed;
    }
    await expect(works()).resolves.toBe(true);
  });

  it('serves a thousand calls at once, each its own answer', async () => {
    const keys = await Promise.all(
      Array.from({ length: 1000 }, () => data.generateDataKey(permitFor('GenerateDataKey', version), version, 32)),
    );
    expect(new Set(keys.map(({ plaintext }) => Buffer.from(plaintext).toString('hex'))).size).toBe(1000);
    const opened = await Promise.all(keys.map((sealed) => data.decrypt(permitFor('Decrypt', version), version, sealed)));
    opened.forEach((plaintext, at) => expect(Buffer.from(plaintext)).toEqual(Buffer.from(keys[at]?.plaintext ?? [])));
  });

  it('logs no secret', async () => {
    await seal(data, version);
    const secrets = [
      readFileSync(token.path('pin'), 'utf8').trim(),
      readFileSync(token.path('so-pin'), 'utf8').trim(),
      PLAINTEXT.toString(),
    ];
    for (const secret of secrets) expect(custodian.log).not.toContain(secret);
  });

  it('recovers by itself when the child is killed', async () => {
    const [sealed, killed] = [await seal(data, version), custodian.childPid];
    process.kill(killed, 'SIGKILL');
    await eventually(works);
    expect(custodian.childPid).not.toBe(killed);
    await expect(data.decrypt(permitFor('Decrypt', version), version, sealed)).resolves.toEqual(PLAINTEXT);
  });

  it('answers every call that was in flight when the child is killed, rightly or with CustodyUnavailable', async () => {
    const calls = Array.from({ length: 200 }, () => seal(data, version));
    setImmediate(() => process.kill(custodian.childPid, 'SIGKILL'));
    const outcomes = await Promise.allSettled(calls);
    const failures = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => reason);
    for (const failure of failures) expect(failure).toBeInstanceOf(CustodyUnavailable);
    await eventually(works);
  });

  it('times out while the child hangs, and gets another one', async () => {
    const stopped = custodian.childPid;
    process.kill(stopped, 'SIGSTOP');
    await expect(seal(data, version)).rejects.toThrow(CustodyUnavailable);
    await eventually(works);
    expect(custodian.childPid).not.toBe(stopped);
    await custodian.logs((line) => line.msg === 'the child hangs');
  });

  it('refuses calls while the token is gone, even with keys in use, and serves again when it is back', async () => {
    const child = custodian.childPid;
    await seal(data, version);
    renameSync(token.path('tokens'), token.path('away'));
    await eventually(async () => !(await works()));
    await expect(seal(data, version)).rejects.toThrow(CustodyUnavailable);
    await expect(data.ping()).rejects.toThrow(CustodyUnavailable);
    renameSync(token.path('away'), token.path('tokens'));
    await eventually(works);
    expect(custodian.childPid).toBe(child);
  });

  it('knows after a restart what it signed before', async () => {
    const worker = await custodian.connect('worker');
    const log = { logId: 'log_restart', origin: 'keyward.example/acme', keys: [1] };
    await key.createLogKey(new Permit({ operation: 'OnboardTenant', tenant: version.tenant }), 1);
    await worker.signCheckpoint(version.tenant, log, aTree(7));
    process.kill(custodian.childPid, 'SIGKILL');
    await eventually(() =>
      worker.ping().then(
        () => true,
        () => false,
      ),
    );
    await expect(worker.signCheckpoint(version.tenant, log, aTree(6))).rejects.toThrow(expect.objectContaining({ code: 'internal' }));
  });

  it('tells a bad ciphertext from a bad HSM', async () => {
    const { iv, ciphertext } = await seal(data, version);
    for (let i = 0; i < 100; i++) {
      const attempt = data.decrypt(permitFor('Decrypt', version), version, { iv, ciphertext: Buffer.from(ciphertext).fill(i) });
      await expect(attempt).rejects.toThrow(DecryptFailed);
    }
    await expect(works()).resolves.toBe(true);
  });

  it('cannot be started twice on the same sockets, and a second one leaves the files alone', async () => {
    // Opened, it is written anew: the first would go on writing to a file without a name.
    const inode = () => statSync(token.path('state/signed-checkpoints.jsonl')).ino;
    const before = inode();
    const second = new TestCustodian(token);
    await second.logs((line) => String(line.cause).includes('Another custodian serves'));
    await second.stop();
    expect(inode()).toBe(before);
    await expect(works()).resolves.toBe(true);
  });
});

describe('a custodian whose child is worn out', () => {
  it('is not worn by pings', async () => {
    const token = new TestToken({ KEYWARD_CUSTODIAN_RECYCLE_AT: '100' });
    const custodian = await TestCustodian.started(token);
    const [key, child] = [await custodian.connect('key'), custodian.childPid];
    for (let i = 0; i < 100; i++) await key.ping();
    await sleep(2 * HEARTBEAT_MS);
    expect(custodian.childPid).toBe(child);
    await custodian.stop();
    token.remove();
  });

  it('replaces it, without a pause', async () => {
    const token = new TestToken({ KEYWARD_CUSTODIAN_RECYCLE_AT: '70' });
    const custodian = await TestCustodian.started(token);
    const [key, worn] = [await custodian.connect('key'), custodian.childPid];
    for (let i = 0; i < 25; i++) await aVersion(key);
    await custodian.logs((line) => line.recycled === true);
    await eventually(() =>
      aVersion(key).then(
        () => true,
        () => false,
      ),
    );
    expect(custodian.childPid).not.toBe(worn);
    await custodian.stop();
    token.remove();
  });
});

describe('a custodian whose parent is gone', () => {
  it('ends the child when the parent is killed', async () => {
    const token = new TestToken();
    const custodian = await TestCustodian.started(token);
    const child = custodian.childPid;
    custodian.kill();
    await eventually(async () => !existsSync(`/proc/${child}`));
    await custodian.ended;
    token.remove();
  });
});

describe('a custodian that must not start', () => {
  const endOf = async (token: TestToken) => {
    const custodian = new TestCustodian(token);
    const code = await custodian.ended;
    token.remove();
    const tries = custodian.lines().filter((line) => line.name === 'custodian').length;
    return { code, tries, log: custodian.log };
  };

  it('ends once and for all when its PIN is refused, and tries no second time', async () => {
    const token = new TestToken();
    writeFileSync(token.path('pin'), 'not the PIN');
    const { code, tries, log } = await endOf(token);
    expect([code, tries]).toEqual([NEVER_RESTART, 1]);
    expect(log).toContain('CKR_PIN_INCORRECT');
    expect(log).not.toContain('not the PIN');
  });

  it('does not try a PIN that was refused since it last worked', async () => {
    const token = new TestToken();
    const right = token.path('pin.right');
    renameSync(token.path('pin'), right);
    writeFileSync(token.path('pin'), 'wrong', { mode: 0o600 });
    await new TestCustodian(token).ended;
    renameSync(right, token.path('pin'));
    const { code, log } = await endOf(token);
    expect(code).toBe(NEVER_RESTART);
    expect(log).toContain('was refused since it last worked');
  });

  it('refuses a PIN file that others may read', async () => {
    const token = new TestToken();
    chmodSync(token.path('pin'), 0o644);
    const { code, log } = await endOf(token);
    expect(code).toBe(NEVER_RESTART);
    expect(log).toContain('mode 0600');
  });

  it('says that a socket path is too long', async () => {
    const token = new TestToken();
    const custodian = new TestCustodian(Object.assign(token, { env: { ...token.env, KEYWARD_SOCKET_DIR: token.path('x'.repeat(100)) } }));
    await custodian.logs((line) => String(line.cause).includes('longer than 107 bytes'));
    await custodian.stop();
    token.remove();
  });

  it('names a setting that is missing', async () => {
    const token = new TestToken();
    const { code, log } = await endOf(Object.assign(token, { env: { ...token.env, KEYWARD_HSM_TOKEN: undefined } }));
    expect(code).toBe(NEVER_RESTART);
    expect(log).toContain('KEYWARD_HSM_TOKEN');
  });

  it('waits for a token that is not there yet', async () => {
    const token = new TestToken();
    renameSync(token.path('tokens'), token.path('away'));
    const custodian = new TestCustodian(token);
    await custodian.logs((line) => line.msg === 'HSM lost');
    await sleep(100);
    renameSync(token.path('away'), token.path('tokens'));
    await custodian.logs((line) => line.name === 'custodian-parent' && line.msg === 'ready');
    await custodian.stop();
    token.remove();
  });
});

describe('a custodian on a module that cannot do everything', () => {
  it('says so with the reason, and does the rest', async () => {
    const token = new TestToken(
      {},
      MECHANISMS.filter((name) => name !== 'CKM_SHA512_HMAC' && name !== 'CKM_RSA_PKCS'),
    );
    const custodian = await TestCustodian.started(token);
    try {
      const { specs, unavailable, algorithms } = await (await custodian.connect('key')).capabilities();
      expect(specs).toEqual(['AES_256', 'AES_128', 'HMAC_256', 'HMAC_384', 'EC_P256', 'EC_P384', 'EC_P256K', 'SM4', 'HMAC_SM3', 'EC_SM2']);
      const missing = expect.stringContaining('CKR_MECHANISM_INVALID');
      expect(unavailable).toEqual({ ...SOFTHSM_LACKS, HMAC_512: missing, RSA_2048: missing, RSA_3072: missing, RSA_4096: missing });
      expect(Object.keys(algorithms)).toEqual(TRIED_ALGORITHMS);
      expect(Object.values(algorithms)).toEqual(TRIED_ALGORITHMS.map(() => missing));
    } finally {
      await custodian.stop();
      token.remove();
    }
  });
});
