import type { KeyId, KeyVersionId, LongOperationId, RewrapItem, ServiceName } from '#contract';
import { FakeCustody } from '../../libs/testing/fake-custody.js';
import { ACME, GLOBEX, KeyWorld, refusal } from './key-world.js';

const BILLING = 'billing' as ServiceName;

describe('the end of one version of a key', () => {
  let world: KeyWorld;
  let keyId: KeyId;
  let from: KeyVersionId;
  let to: KeyVersionId;
  let item: RewrapItem;

  beforeAll(async () => {
    world = await KeyWorld.start();
  });
  afterAll(() => world?.stop());
  beforeEach(async () => {
    ({ keyId, primaryVersion: from } = await world.create());
    const made = await world.service('GenerateDataKeyWithoutPlaintext', { keyId });
    item = { itemId: 'row-1', ciphertext: Buffer.from('ciphertext' in made ? made.ciphertext : []) };
    ({ primaryVersion: to } = await world.admin('CreateKeyVersion', { keyId }));
  });

  const start = async () =>
    (await world.admin('StartRewrap', { keyId, fromVersionId: from, service: BILLING, itemsPerSecond: 1000 })).operationId;
  const run = async (operationId: LongOperationId, items: readonly RewrapItem[] = [item]) => {
    const page = { cursor: '', items: items.map((data) => ({ success: true as const, data })) };
    const answer = await world.rewrapPage(operationId, page);
    await world.finishRewrap(operationId, answer.page);
    return answer.items.flatMap((result) => (result.status === 'moved' ? [Buffer.from(result.ciphertext, 'base64')] : []));
  };
  const references = async (keyVersionId = from) => (await world.admin('ListVersionReferences', { keyId, keyVersionId })).references;
  const retire = (confirm = from, keyVersionId = from) => world.admin('RetireKeyVersion', { keyId, keyVersionId, confirm });

  it('comes when all that used it was moved: then it opens nothing, and the rest opens as before', async () => {
    const [moved] = await run(await start());
    expect(await references()).toEqual([]);
    const blobs = async () => JSON.stringify(await world.rowsOf(keyId)).match(/"blob":"\\\\x"/g)?.length ?? 0;
    expect(await blobs()).toBe(0);
    await retire();
    expect(await blobs()).toBe(1);
    expect(await refusal(world.service('Decrypt', { ciphertext: item.ciphertext }))).toMatchObject({
      code: 'key-destroyed',
      reason: 'version-destroyed',
    });
    expect(await world.service('Decrypt', { ciphertext: moved! })).toMatchObject({ keyVersionId: to });
    expect(world.records.find(({ op }) => op === 'RetireKeyVersion')).toMatchObject({
      key: { versionId: from },
      change: { retired: from },
    });
    const { items } = await world.admin('ListKeyVersions', { keyId, limit: 10 });
    expect(items.map(({ keyVersionId, retired }) => [keyVersionId, retired])).toEqual([
      [from, true],
      [to, undefined],
    ]);
    // Once more: it is gone. And nothing is moved from what is gone.
    expect(await refusal(retire())).toMatchObject({ code: 'not-found' });
    expect(await refusal(start())).toMatchObject({ code: 'invalid-request' });
    expect(await refusal(world.service('ReEncryptFrom', { ciphertext: item.ciphertext }))).toMatchObject({ code: 'key-destroyed' });
  });

  it('does not keep the key from its own end', async () => {
    await run(await start());
    await retire();
    await world.admin('ScheduleKeyDeletion', { keyId, pendingDays: 7 });
    await world.endWait(keyId);
    const worker = world.destructions();
    await worker.round();
    await worker.round();
    expect(await world.admin('DescribeKey', { keyId })).toMatchObject({ state: 'Destroyed' });
  });

  it.each<[string, () => Promise<unknown>, object]>([
    ['a service used it and moved nothing', () => Promise.resolve(), { kind: 'not-moved', service: 'billing' }],
    ['a re-wrap is open', () => start(), { kind: 'open-operation', service: 'billing' }],
    [
      'a re-wrap was cancelled',
      async () => world.admin('CancelOperation', { operationId: await start() }),
      { kind: 'not-moved', service: 'billing' },
    ],
    ['a re-wrap showed nothing', async () => run(await start(), []), { kind: 'not-moved', service: 'billing' }],
    [
      'an item failed',
      async () => run(await start(), [item, { ...item, encryptionContext: { other: 'x' } }]),
      { kind: 'failed-items', service: 'billing', count: 1 },
    ],
    [
      'it was used after the re-wrap',
      async () => {
        await run(await start());
        await world.service('ReEncryptFrom', { ciphertext: item.ciphertext });
      },
      { kind: 'used-since', service: 'billing' },
    ],
    [
      'a service that moved nothing used it',
      async () => {
        await run(await start());
        await world.service('ReEncryptFrom', { ciphertext: item.ciphertext }, 'search');
      },
      { kind: 'not-moved', service: 'search' },
    ],
    [
      'what was opened may still be held',
      async () => {
        await world.service('Decrypt', { ciphertext: item.ciphertext });
        await run(await start());
      },
      { kind: 'leases', service: 'billing' },
    ],
  ])('does not come while %s', async (_what, work, reference) => {
    await work();
    expect(await references()).toMatchObject([reference]);
    expect(await refusal(retire())).toMatchObject({ code: 'state-unchangeable', reason: expect.stringContaining('version-referenced') });
    expect(await world.service('ReEncryptFrom', { ciphertext: item.ciphertext })).toMatchObject({ keyVersionId: from });
  });

  it.each<[string, () => Promise<unknown>, { readonly kind: string; readonly service: string }]>([
    ['it is used', () => world.service('ReEncryptFrom', { ciphertext: item.ciphertext }), { kind: 'used-since', service: 'billing' }],
    ['a re-wrap begins', () => start(), { kind: 'open-operation', service: 'billing' }],
  ])('does not come when %s after it was looked for', async (_what, work, reference) => {
    await run(await start());
    const { emptyKeyVersion } = FakeCustody.prototype;
    const emptying = jest.spyOn(world.custody, 'emptyKeyVersion').mockImplementationOnce(async (...args) => {
      await work();
      return await emptyKeyVersion.apply(world.custody, args);
    });
    try {
      expect(await refusal(retire())).toMatchObject({ code: 'state-unchangeable', reason: `version-referenced: ${reference.kind}` });
      expect(emptying).toHaveBeenCalledTimes(1);
    } finally {
      emptying.mockRestore();
    }
    expect(await references()).toMatchObject([reference]);
    expect(await world.service('ReEncryptFrom', { ciphertext: item.ciphertext })).toMatchObject({ keyVersionId: from });
  });

  it('does not come when it was used between the last acknowledged page and the end of the re-wrap', async () => {
    const operationId = await start();
    const { page } = await world.rewrapPage(operationId, { cursor: '', items: [{ success: true, data: item }] });
    // Acknowledged; what was to come after it in the same call is lost on the way.
    await world.database.as('superuser', (client) =>
      client.query(`SELECT keyward.take_rewrap_page('acme', $1, 'billing', $2, NULL, NULL, true)`, [operationId, page]),
    );
    await world.service('ReEncryptFrom', { ciphertext: item.ciphertext });
    await world.service('FinishRewrap', { operationId });
    expect(await references()).toMatchObject([{ kind: 'used-since', service: 'billing' }]);
  });

  it('does not come while more of the log is uncounted than is looked at', async () => {
    await run(await start());
    const far = (text: string) =>
      world.database.as('superuser', (client) => client.query(`SET session_replication_role = replica; ${text}`));
    await far(`INSERT INTO keyward.trail_record (tenant_id, seq, bytes, leaf_hash, recorded_at, op, outcome, calls)
      VALUES ('acme', 1000000, '{}', '', now(), 'ListKeys', 'succeeded', 1)`);
    try {
      expect(await references()).toEqual([{ kind: 'not-counted' }, { kind: 'leases' }]);
      expect(await refusal(retire())).toMatchObject({ reason: 'version-referenced: not-counted' });
    } finally {
      await far(`DELETE FROM keyward.trail_record WHERE tenant_id = 'acme' AND seq = 1000000`);
    }
    expect(await references()).toEqual([]);
  });

  it('is of the last re-wrap of a service that was not cancelled', async () => {
    await run(await start(), [item, { ...item, encryptionContext: { other: 'x' } }]);
    await run(await start());
    await world.admin('CancelOperation', { operationId: await start() });
    expect(await references()).toEqual([]);
    const rewraps = await world.store.operations.lastRewraps(ACME, keyId, from);
    expect(rewraps).toMatchObject([{ state: 'succeeded', service: 'billing' }]);
    expect(rewraps[0]).not.toHaveProperty('failures');
  });

  it('does not come under deletion protection', async () => {
    await run(await start());
    await world.admin('SetDeletionProtection', { keyId, enabled: true });
    expect(await refusal(retire())).toMatchObject({ code: 'state-unchangeable', reason: 'deletion-protected' });
    await world.admin('SetDeletionProtection', { keyId, enabled: false });
    await retire();
  });

  it('comes for a key that is kept for a service only when that service is named', async () => {
    const service = BILLING;
    ({ keyId, primaryVersion: from } = await world.create({ service, deletionProtection: false }));
    ({ primaryVersion: to } = await world.admin('CreateKeyVersion', { keyId }));
    const meant = (named?: ServiceName) =>
      world.admin('RetireKeyVersion', { keyId, keyVersionId: from, confirm: from, ...(named && { service: named }) });
    expect(await refusal(meant())).toMatchObject({ code: 'state-unchangeable', reason: `managed-key: ${service}` });
    expect(await refusal(meant('search' as ServiceName))).toMatchObject({ code: 'invalid-request' });
    await meant(service);
  });

  it('never comes for the primary version', async () => {
    expect(await references(to)).toMatchObject([{ kind: 'primary' }]);
    expect(await refusal(retire(to, to))).toMatchObject({ code: 'state-unchangeable' });
  });

  it.each([
    ['without the confirmation', () => retire(to), 'invalid-request'],
    ['of another tenant', () => world.admin('RetireKeyVersion', { keyId, keyVersionId: from, confirm: from }, GLOBEX), 'not-found'],
    ['that there is not', () => retire(NONE, NONE), 'not-found'],
  ])('is refused %s', async (_what, work, code) => {
    await run(await start());
    expect(await refusal(work())).toMatchObject({ code });
  });
});

const NONE = `kver_${'0'.repeat(26)}` as KeyVersionId;
