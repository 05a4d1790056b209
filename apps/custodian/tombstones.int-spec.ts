import { appendFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import type { TenantId } from '#contract';
import { KeyBindingBroken, KeyDestroyed, Permit, type Tombstone, type WrappedKeyVersion } from '#core';
import type { SocketCustody } from '#custody/socket';
import { NoteRefused, parseVkey, ReceiptRefused, verifyReceipt, vkey } from '#trail';
import { aDraft, aVersion, permitFor } from '../../libs/testing/custody-contract.js';
import { aTree } from '../../libs/testing/claimed-tree.js';
import { eventually, TestCustodian, TestToken } from './test-bed.js';

const ACME = 'acme' as TenantId;
const ORIGIN = 'keyward.local/audit/log_01m85261sbeczshm68xjhpjemj';

describe('a key that is no more', () => {
  let token: TestToken;
  let custodian: TestCustodian;
  let key: SocketCustody;
  let data: SocketCustody;
  let worker: SocketCustody;
  const start = async () => {
    custodian = await TestCustodian.started(token);
    [key, data, worker] = [await custodian.connect('key'), await custodian.connect('data'), await custodian.connect('worker')];
  };
  beforeAll(async () => {
    token = new TestToken({ KEYWARD_BACKUP_DAYS_WAL: '7', KEYWARD_BACKUP_DAYS_DATABASE: '30', KEYWARD_BACKUP_DAYS_TOKEN: '0' });
    await start();
  });
  afterAll(async () => {
    await custodian?.stop();
    token?.remove();
  });

  const use = (version: WrappedKeyVersion) => data.encrypt(permitFor('Encrypt', version), version, Buffer.from('text'));
  const tombstoneOf = async (version: WrappedKeyVersion): Promise<Tombstone> => {
    const { tombstoneMac: mac } = await worker.makeTombstone(version);
    return { tenant: version.tenant, keyId: version.keyId, versionIds: [version.versionId], destroyedAt: '2026-03-01T12:00:00.000Z', mac };
  };
  const file = () => token.path('state/tombstones.jsonl');

  it('is used until its tombstone is kept, and never after: not by a handle, not by its row, not after a restart', async () => {
    const [version, other] = [await aVersion(key), await aVersion(key)];
    const tombstone = await tombstoneOf(version);
    await use(version);
    await data.keepTombstone(tombstone);
    await expect(use(version)).rejects.toThrow(KeyDestroyed);
    await expect(use(other)).resolves.toBeDefined();
    const killed = custodian.childPid;
    process.kill(killed, 'SIGKILL');
    await eventually(() =>
      use(other).then(
        () => true,
        () => false,
      ),
    );
    await expect(use(version)).rejects.toThrow(KeyDestroyed);
  });

  it('is evicted: a tombstone alone, without its file, would not stop a handle that is held', async () => {
    // The control of the test above: a version whose key has no tombstone goes on being used by the handle that is held.
    const version = await aVersion(key);
    await use(version);
    await data.keepTombstone(await tombstoneOf(await aVersion(key)));
    await expect(use(version)).resolves.toBeDefined();
  });

  it('cannot be made by whoever has the data plane or the key plane, and not for another key', async () => {
    const [version, other] = [await aVersion(key), await aVersion(key)];
    await expect(data.makeTombstone(version)).rejects.toMatchObject({ code: 'internal' });
    await expect(key.makeTombstone(version)).rejects.toMatchObject({ code: 'internal' });
    const tombstone = await tombstoneOf(version);
    await expect(data.keepTombstone({ ...tombstone, keyId: other.keyId })).rejects.toThrow(KeyBindingBroken);
    await expect(data.keepTombstone({ ...tombstone, tenant: 'globex' as TenantId })).rejects.toThrow(KeyBindingBroken);
    await expect(use(other)).resolves.toBeDefined();
  });

  it('still proves its public key by the row that stays', async () => {
    const version = await aVersion(key, ACME, 'EC_P256');
    const { mac } = await worker.makeTombstone(version);
    const ended = { ...version, blob: new Uint8Array(0), mac };
    await expect(key.publicKey(permitFor('DescribePublicKey', ended), ended)).resolves.toEqual(Buffer.from(version.publicKey!));
    await expect(data.sign(permitFor('Sign', ended), ended, 'ECDSA_SHA_256', Buffer.alloc(32))).rejects.toThrow(KeyDestroyed);
    const forged = { ...ended, publicKey: Buffer.alloc(91) };
    await expect(key.publicKey(permitFor('DescribePublicKey', forged), forged)).rejects.toThrow(KeyBindingBroken);
  });

  it('has a receipt, signed by the key of the log, that is no checkpoint', async () => {
    const { publicKey } = await key.createLogKey(new Permit({ operation: 'OnboardTenant', tenant: ACME }), 1);
    const known = [parseVkey(vkey(ORIGIN, publicKey))];
    const version = await aVersion(key);
    const asked = { origin: ORIGIN, keyId: version.keyId, seq: 41n, logKey: 1, rootEndedAt: undefined };
    await expect(worker.shreddingReceipt(ACME, asked)).rejects.toMatchObject({ code: 'internal' });
    await worker.keepTombstone(await tombstoneOf(version));
    const receipt = await worker.shreddingReceipt(ACME, asked);
    expect(await verifyReceipt(receipt, known)).toEqual({
      ...{ tenant: ACME, keyId: version.keyId, versionIds: [version.versionId], destroyedAt: '2026-03-01T12:00:00.000Z', record: 41 },
      ...{ copiesKept: { wal: 7, database: 30, token: 0 }, rootDestroyedAt: undefined, finalAt: '2026-03-31T12:00:00.000Z' },
    });
    await expect(verifyReceipt(receipt.replace('2026-03-31', '2026-03-02'), known)).rejects.toThrow(NoteRefused);
    const checkpoint = await worker.signCheckpoint(ACME, { logId: 'log_1', origin: ORIGIN, keys: [1] }, aTree(1));
    await expect(verifyReceipt(checkpoint, known)).rejects.toThrow(ReceiptRefused);
  });

  it('is final once the root that had wrapped it is gone from the token, and not because somebody says so', async () => {
    const { publicKey } = await key.createLogKey(new Permit({ operation: 'OnboardTenant', tenant: ACME }), 1);
    const version = await aVersion(key);
    await worker.keepTombstone(await tombstoneOf(version));
    const asked = { origin: ORIGIN, keyId: version.keyId, seq: 41n, logKey: 1, rootEndedAt: '2026-03-02T12:00:00.000Z' };
    const told = async () =>
      (await verifyReceipt(await worker.shreddingReceipt(ACME, asked), [parseVkey(vkey(ORIGIN, publicKey))])).rootDestroyedAt;
    expect(await told()).toBeUndefined();
    await key.createTenantRoot(new Permit({ operation: 'RotateRoot', tenant: ACME }), 1);
    expect(await told()).toBeUndefined();
    await worker.destroyOlderRoots(ACME, 1);
    expect(await told()).toBe(asked.rootEndedAt);
  });

  it('stays in a file for its owner alone, whose half-written last line counts for nothing', async () => {
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    const before = readFileSync(file(), 'utf8');
    await custodian.stop();
    appendFileSync(file(), before.slice(0, 40));
    await start();
    const draft = aDraft();
    const version = await key.createKeyVersion(new Permit({ operation: 'CreateKey', tenant: ACME, versionId: draft.versionId }), draft, 1);
    await worker.keepTombstone(await tombstoneOf(version));
    await worker.keepTombstone(await tombstoneOf(version));
    const lines = readFileSync(file(), 'utf8').slice(before.length).trimEnd().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { keyId: string }).keyId)).toEqual([version.keyId]);
  });

  it.each(['tombstones.jsonl', 'signed-checkpoints.jsonl'])(
    'is not forgotten where %s is corrupt: nothing starts until somebody looked',
    async (name) => {
      const path = token.path(`state/${name}`);
      await custodian.stop();
      const before = readFileSync(path);
      appendFileSync(path, '{"tenant":"acme"}\n');
      const refused = new TestCustodian(token);
      expect(await refused.ended).toBe(78);
      expect(refused.log).toContain(name);
      writeFileSync(path, before);
      await start();
    },
  );
});
