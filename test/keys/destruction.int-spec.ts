import { destroyKeys } from '../../apps/worker/destructions.js';
import { NotNow } from '../../apps/worker/jobs/job-kind.js';
import { CustodyUnavailable, TombstoneWatch } from '#core';
import { parseNote, parseVkey, verifyReceipt, vkey } from '#trail';
import { ACME, freshAlias, KeyWorld, refusal } from './key-world.js';

describe('the end of a key', () => {
  let world: KeyWorld;
  beforeAll(async () => {
    world = await KeyWorld.start();
  });
  afterAll(() => world?.stop());

  /** A key whose wait is over, and a ciphertext of it. */
  async function dueKey() {
    const alias = freshAlias();
    const { keyId, primaryVersion } = await world.create({ alias, tags: { team: 'a' } });
    const sealed = await world.service('GenerateDataKeyWithoutPlaintext', { keyId });
    if (!('ciphertext' in sealed)) throw new Error('A dry run.');
    const { ciphertext } = sealed;
    await world.admin('ScheduleKeyDeletion', { keyId, pendingDays: 7 });
    await world.endWait(keyId);
    return { keyId, alias, primaryVersion, ciphertext };
  }
  const stateOf = async (keyId: Parameters<KeyWorld['endWait']>[0]) => (await world.admin('DescribeKey', { keyId })).state;
  const recordsOf = (keyId: string) =>
    world.database.as('superuser', async (client) => {
      const { rows } = await client.query<{ body: { change: object; actor: object } }>(
        `SELECT convert_from(bytes, 'UTF8')::json AS body FROM keyward.trail_record WHERE op = 'DestroyKey' AND key_id = $1`,
        [keyId],
      );
      return rows.map(({ body }) => body);
    });

  it('comes when its wait is over: recorded, without its blobs, told as 410', async () => {
    const { keyId, alias, ciphertext } = await dueKey();
    await world.destructions().round();
    const described = await world.admin('DescribeKey', { keyId });
    expect(described).toMatchObject({ state: 'Destroyed', aliases: [alias], tags: { team: 'a' } });
    expect(described).not.toHaveProperty('deletionAt');
    expect(await recordsOf(keyId)).toMatchObject([
      { change: { state: { before: 'PendingDeletion', after: 'Destroyed' }, versions: 1 }, actor: { type: 'worker', principal: 'worker' } },
    ]);
    expect(await world.rowsOf(keyId)).toMatchObject({ versions: [{ blob: '\\x' }] });
    for (const call of [
      world.service('GenerateDataKeyWithoutPlaintext', { keyId }),
      world.service('GenerateDataKeyWithoutPlaintext', { keyId: alias }),
      world.service('Decrypt', { ciphertext: Buffer.from(ciphertext) }),
    ])
      expect((await refusal(call)).code).toBe('key-destroyed');
    // It stays, and so does its id; its name may go to another key.
    expect((await world.admin('ListKeyVersions', { keyId, limit: 10, cursor: undefined })).items).toHaveLength(1);
    const { keyId: other } = await world.create();
    await world.admin('UpdateAlias', { alias, keyId: other });
    await expect(world.service('GenerateDataKeyWithoutPlaintext', { keyId: alias })).resolves.toMatchObject({ keyId: other });
  });

  it('does not come early, nor after a cancellation, however often the worker looks', async () => {
    const { keyId } = await world.create();
    await world.admin('ScheduleKeyDeletion', { keyId, pendingDays: 7 });
    await world.destructions().round();
    expect(await stateOf(keyId)).toBe('PendingDeletion');
    const late = await dueKey();
    const due = await world.worker.endings.dueDeletions();
    await world.admin('CancelKeyDeletion', { keyId: late.keyId });
    // The worker read before the cancellation, and comes after it: also when the key waits again by then.
    await world.destructions({ endings: { ...endingsOf(world), dueDeletions: async () => due } }).round();
    expect(await stateOf(late.keyId)).toBe('Enabled');
    await world.admin('ScheduleKeyDeletion', { keyId: late.keyId, pendingDays: 7 });
    await world.destructions({ endings: { ...endingsOf(world), dueDeletions: async () => due } }).round();
    expect(await stateOf(late.keyId)).toBe('PendingDeletion');
    expect(await recordsOf(late.keyId)).toEqual([]);
  });

  it('waits until its time was seen to be over twice: a clock that jumped may be set back', async () => {
    const { keyId } = await dueKey();
    const patient = world.destructions({ seenDueForMs: 200 });
    await patient.round();
    expect(await stateOf(keyId)).toBe('PendingDeletion');
    await new Promise((resolve) => setTimeout(resolve, 250));
    await patient.round();
    expect(await stateOf(keyId)).toBe('Destroyed');
  });

  it('comes by no job either that this worker did not see due twice: one that stood in the queue, or a try after a failure', async () => {
    const { keyId } = await dueKey();
    const parts = { endings: world.worker.endings, custody: world.custody };
    const of = { tenant: ACME, subject: keyId };
    await expect(destroyKeys({ ...parts, seenDueForMs: 3_600_000 }).run(of, jest.fn())).rejects.toThrow(NotNow);
    expect(await stateOf(keyId)).toBe('PendingDeletion');
    await destroyKeys({ ...parts, seenDueForMs: 0 }).run(of, jest.fn());
    expect(await stateOf(keyId)).toBe('Destroyed');
  });

  it("waits for the worker's clock, too, and fails until then", async () => {
    const { keyId } = await dueKey();
    const failures: unknown[] = [];
    let wrongByMs = -60_000;
    const clock = { now: () => new Date(Date.now() + wrongByMs) };
    const worker = world.destructions({ clock, onFailure: (error) => failures.push(error) });
    await worker.round();
    expect(failures).toMatchObject([{ reason: "clock: the wait is over by the database's, not by the worker's" }]);
    expect(await stateOf(keyId)).toBe('PendingDeletion');
    wrongByMs = 0;
    await worker.round();
    expect(await stateOf(keyId)).toBe('Destroyed');
  });

  it('comes once, whoever looks at the same time', async () => {
    const { keyId } = await dueKey();
    await Promise.all(Array.from({ length: 6 }, () => world.destructions().round()));
    expect(await recordsOf(keyId)).toHaveLength(1);
  });

  it('takes a version along that came in between, or waits', async () => {
    const { keyId, primaryVersion } = await dueKey();
    const [due] = (await world.worker.endings.dueDeletions()).filter((one) => one.keyId === keyId);
    const body = { ...world.records.at(-1)!, op: 'DestroyKey' as const };
    const none = { ...due!, body, tombstoneMac: Buffer.alloc(32), versions: [] };
    await expect(world.worker.endings.destroy(none)).resolves.toBeUndefined();
    expect(await world.rowsOf(keyId)).not.toMatchObject({ versions: [{ version_id: primaryVersion, blob: '\\x' }] });
    expect(await stateOf(keyId)).toBe('PendingDeletion');
  });

  it('comes in spite of a row that somebody edited', async () => {
    const { keyId } = await dueKey();
    await world.database.as('superuser', (client) =>
      client.query(`UPDATE keyward.key_version SET spec = 'AES_128' WHERE key_id = $1`, [keyId]),
    );
    await world.destructions().round();
    expect(await stateOf(keyId)).toBe('Destroyed');
  });

  it('reaches custody as a tombstone, and the tenant as a signed receipt', async () => {
    const { keyId, primaryVersion } = await dueKey();
    expect((await refusal(world.admin('GetShreddingReceipt', { keyId }))).code).toBe('not-found');
    // Custody goes away between the two: what it still owes is tried again.
    const failures: unknown[] = [];
    const keepTombstone = jest.spyOn(world.custody, 'keepTombstone').mockRejectedValue(new CustodyUnavailable('gone'));
    await world.destructions({ onFailure: (error) => failures.push(error) }).round();
    keepTombstone.mockRestore();
    expect([failures.length, await stateOf(keyId)]).toEqual([1, 'Destroyed']);
    expect(await world.admin('GetShreddingReceipt', { keyId })).not.toHaveProperty('receipt');
    await world.destructions().round();
    expect(world.custody.tombstones.get(keyId)).toMatchObject({ tenant: ACME, versionIds: [primaryVersion] });
    const { receipt, destroyedAt } = await world.admin('GetShreddingReceipt', { keyId });
    const known = [parseVkey(vkey(nameIn(receipt ?? ''), world.custody.logKeyOf(ACME)))];
    const [record] = await recordsOf(keyId);
    expect(await verifyReceipt(receipt ?? '', known)).toMatchObject({
      ...{ tenant: ACME, keyId, versionIds: [primaryVersion], destroyedAt, finalAt: undefined },
      record: (record as unknown as { seq: number }).seq,
    });
  });

  it('hands every tombstone over, page by page, and each only once', async () => {
    for (let i = 0; i < 3; i++) await dueKey();
    await world.destructions().round();
    world.custody.calls.length = 0;
    const watch = new TombstoneWatch({ reads: world.store.tombstones, custody: world.custody, onFailure: () => undefined });
    await watch.round();
    await watch.round();
    const handed = world.custody.calls.filter((call) => call === 'keepTombstone').length;
    const { rows } = await world.database.as('superuser', (client) =>
      client.query<{ count: string }>('SELECT count(*) FROM keyward.key_tombstone'),
    );
    expect(handed).toBe(Number(rows[0]!.count));
  });
});

/** A store without its prototype, so that a test may replace one answer. */
function endingsOf({ worker: { endings } }: KeyWorld): typeof endings {
  return {
    dueDeletions: () => endings.dueDeletions(),
    key: (tenant, keyId) => endings.key(tenant, keyId),
    destroy: (destruction) => endings.destroy(destruction),
    receiptsOwed: () => endings.receiptsOwed(),
    saveReceipt: (owed, note) => endings.saveReceipt(owed, note),
  };
}

const nameIn = (note: string): string => parseNote(note).signatures[0]!.name;
