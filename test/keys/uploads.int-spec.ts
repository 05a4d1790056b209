import fc from 'fast-check';
import type { EncryptionContext, KeyId, KeyVersionId, LongOperationId, ServiceName, StopTarget, UploadedItem } from '#contract';
import { parseCiphertext } from '#core';
import { dyingAfter } from './dying.js';
import { ACME, KeyWorld, refusal } from './key-world.js';

const BILLING = 'billing' as ServiceName;
const context = { purpose: 'invoice' };

describe('a re-wrap by upload', () => {
  let world: KeyWorld;
  let keyId: KeyId;
  let from: KeyVersionId;
  let to: KeyVersionId;

  beforeAll(async () => {
    world = await KeyWorld.start();
  });
  afterAll(() => world?.stop());
  beforeEach(async () => {
    // Nothing that another test left is looked at.
    await sql(`UPDATE keyward.rewrap SET state = 'cancelled', ended_at = now() WHERE ended_at IS NULL`);
    ({ keyId, primaryVersion: from } = await world.create());
  });

  const sql = async (text: string, ...values: unknown[]) =>
    (await world.database.as('superuser', (client) => client.query(text, values))).rows;
  const sealed = async (itemId: string, more: { keyId?: KeyId; encryptionContext?: EncryptionContext } = {}): Promise<UploadedItem> => {
    const made = await world.service('GenerateDataKeyWithoutPlaintext', { keyId, encryptionContext: context, ...more });
    if ('dryRun' in made) throw new Error('a dry run');
    return { itemId, ciphertext: Buffer.from(made.ciphertext), encryptionContext: more.encryptionContext ?? context };
  };
  const sealedItems = (...ids: string[]) => Promise.all(ids.map((id) => sealed(id)));
  const start = async (more: object = {}) => {
    ({ primaryVersion: to } = await world.admin('CreateKeyVersion', { keyId }));
    const asked = { keyId, fromVersionId: from, service: BILLING, itemsPerSecond: 100_000, mode: 'upload' as const, ...more };
    return (await world.admin('StartRewrap', asked)).operationId;
  };
  const upload = async (operationId: LongOperationId, items: readonly UploadedItem[]) =>
    (await world.service('UploadRewrapItems', { operationId, items: [...items] })).items;
  const collect = (operationId: LongOperationId, more: { acknowledge?: number; after?: number; limit?: number } = {}) =>
    world.service('CollectRewrapResults', { operationId, limit: 500, ...more });
  const progress = async (operationId: LongOperationId) => {
    const { state, progress: told } = await world.admin('DescribeOperation', { operationId });
    const { uploaded, settled, done, kept, failed } = told;
    return { state, uploaded, settled, done, kept, failed };
  };
  const statuses = async (operationId: LongOperationId) =>
    Object.fromEntries((await collect(operationId)).items.map((item) => [item.itemId, item.status === 'failed' ? item.code : item.status]));
  /** Calls that records of the worker tell of, by what became of them. */
  const recorded = async (operationId: LongOperationId) =>
    (
      await sql(
        `SELECT r.outcome, sum(r.calls)::integer AS calls FROM keyward.trail_record r
          WHERE r.op = 'ReWrap' AND convert_from(r.bytes, 'UTF8')::json -> 'change' ->> 'operationId' = $1 GROUP BY 1 ORDER BY 1`,
        operationId,
      )
    ).map(({ outcome, calls }) => [outcome, calls]);
  const references = async (keyVersionId = from) => (await world.admin('ListVersionReferences', { keyId, keyVersionId })).references;

  it('has the worker move what a service hands over, each under its own context, and counts what is acknowledged', async () => {
    const items = [...(await sealedItems('a', 'b')), await sealed('c', { encryptionContext: { purpose: 'other' } })];
    const operationId = await start();
    expect(await upload(operationId, items)).toEqual(['accepted', 'accepted', 'accepted']);
    expect(await collect(operationId)).toMatchObject({ items: [], uploaded: 3, settled: 0, acknowledged: 0 });
    expect(await refusal(world.finishRewrap(operationId))).toMatchObject({ reason: 'not-at-end' });
    await world.uploads().round();
    expect(await progress(operationId)).toEqual({ state: 'running', uploaded: 3, settled: 3, done: 0, kept: 0, failed: 0 });

    const first = await collect(operationId, { limit: 2 });
    expect(first.items.map(({ itemId }) => itemId)).toEqual(['a', 'b']);
    const rest = await collect(operationId, { after: first.cursor });
    for (const [at, result] of [...first.items, ...rest.items].entries()) {
      if (result.status !== 'moved') throw new Error('not moved');
      const ciphertext = Buffer.from(result.ciphertext, 'base64');
      expect([parseCiphertext(ciphertext).versionId, parseCiphertext(ciphertext).kind]).toEqual([to, 'dataKey']);
      const opened = await world.service('Decrypt', { ciphertext, encryptionContext: items[at]!.encryptionContext });
      const before = await world.service('Decrypt', { ciphertext: items[at]!.ciphertext, encryptionContext: items[at]!.encryptionContext });
      expect('plaintext' in opened && opened.plaintext).toEqual('plaintext' in before && before.plaintext);
    }
    await collect(operationId, { acknowledge: first.cursor });
    // Once more, and an older one: counted already.
    await collect(operationId, { acknowledge: first.cursor });
    await collect(operationId, { acknowledge: 1 });
    expect(await progress(operationId)).toMatchObject({ done: 2 });
    expect(await refusal(world.finishRewrap(operationId))).toMatchObject({ reason: 'not-at-end' });
    await collect(operationId, { acknowledge: rest.cursor });
    expect(await world.finishRewrap(operationId)).toMatchObject({ state: 'succeeded', mode: 'upload' });
    const over = await world.admin('DescribeOperation', { operationId });
    expect(over).toMatchObject({ progress: { population: 3, done: 3, kept: 0, failed: 0, uploaded: 3, settled: 3 } });
    expect(over.records!.first).toBeLessThan(over.records!.last);
    expect(await recorded(operationId)).toEqual([['succeeded', 3]]);
    expect(await refusal(upload(operationId, items))).toMatchObject({ reason: 'rewrap-ended' });
    expect(await world.finishRewrap(operationId)).toMatchObject({ state: 'succeeded' });
    // Nothing of what was moved stays.
    expect(await sql('SELECT FROM keyward.rewrap_item WHERE ciphertext IS NOT NULL OR context IS NOT NULL OR result IS NOT NULL')).toEqual(
      [],
    );
  });

  it('takes an item once, however often it is handed over, and none for another', async () => {
    const [a, b] = await sealedItems('a', 'b');
    const operationId = await start();
    await upload(operationId, [a!, a!]);
    expect(await progress(operationId)).toMatchObject({ uploaded: 1 });
    await world.uploads().round();
    expect(await upload(operationId, [a!, b!])).toEqual(['accepted', 'accepted']);
    expect(await upload(operationId, [{ ...b!, itemId: 'a' }])).toEqual(['different']);
    expect(await upload(operationId, [{ ...a!, encryptionContext: {} }])).toEqual(['different']);
    await world.uploads().round();
    const { cursor } = await collect(operationId);
    await collect(operationId, { acknowledge: cursor });
    expect(await upload(operationId, [a!])).toEqual(['accepted']);
    expect(await progress(operationId)).toMatchObject({ uploaded: 2, settled: 2, done: 2 });
    expect(await refusal(collect(operationId, { acknowledge: cursor + 1 }))).toMatchObject({ code: 'precondition-failed' });
  });

  it('lets items fail alone, says which, and keeps what is there already', async () => {
    const [good, other] = await sealedItems('good', 'other');
    const foreign = await sealed('foreign', { keyId: (await world.create()).keyId });
    const operationId = await start();
    const items = [
      good!,
      { ...other!, encryptionContext: { purpose: 'other' } },
      { ...other!, itemId: 'short', ciphertext: Buffer.alloc(60) },
      foreign,
      await sealed('new'),
    ];
    await upload(operationId, items);
    await world.uploads().round();
    const failed = 'decrypt-failed';
    expect(await statuses(operationId)).toEqual({ good: 'moved', other: failed, short: failed, foreign: failed, new: 'kept' });
    await collect(operationId, { acknowledge: 5 });
    expect(await world.finishRewrap(operationId)).toMatchObject({ state: 'failed' });
    expect(await world.admin('DescribeOperation', { operationId })).toMatchObject({
      progress: { population: 5, done: 2, kept: 1, failed: 3 },
      failures: ['other', 'short', 'foreign'].map((itemId) => ({ itemId, code: failed })),
    });
    expect(await recorded(operationId)).toEqual([
      ['failed', 3],
      ['succeeded', 2],
    ]);
  });

  it.each<[string, () => StopTarget, boolean]>([
    ['everything', () => ({ scope: 'everything' }), true],
    ['the key', () => ({ scope: 'key', keyId }), true],
    ['the service', () => ({ scope: 'service', service: BILLING }), true],
    ['a label of an item', () => ({ scope: 'context', name: 'purpose', value: 'invoice' }), false],
  ])('is suspended by a stop of %s, and goes on when it is lifted', async (_what, target, coversAll) => {
    const items = await sealedItems('a', 'b');
    const operationId = await start();
    await upload(operationId, items.slice(0, 1));
    const stop = await world.stopped(target());
    await world.uploads().round();
    expect(await world.admin('DescribeOperation', { operationId })).toMatchObject({ state: 'suspended', reason: 'stopped' });
    if (coversAll) {
      expect(await refusal(upload(operationId, items))).toMatchObject({ code: 'stopped' });
      expect(await refusal(collect(operationId))).toMatchObject({ code: 'stopped' });
      expect((await world.admin('WhoCan', { keyId, limit: 100 })).items).toEqual([]);
    }
    // It rests, and is told once.
    await sql(`UPDATE keyward.rewrap SET next_at = now() WHERE operation_id = $1`, operationId);
    await world.uploads().round();
    expect(await recorded(operationId)).toEqual([['refused', 1]]);
    await stop.lift();
    await sql(`UPDATE keyward.rewrap SET next_at = now() WHERE operation_id = $1`, operationId);
    await world.uploads().round();
    expect(await progress(operationId)).toMatchObject({ state: 'running', settled: 1 });
  });

  it.each<[string, () => Promise<unknown>, () => Promise<unknown>, string]>([
    [
      'the suspension of the service',
      () => sql('UPDATE keyward.service SET suspended = true'),
      () => sql('UPDATE keyward.service SET suspended = false'),
      'not-granted',
    ],
    ['the state of its key', () => world.admin('DisableKey', { keyId }), () => world.admin('EnableKey', { keyId }), 'key-disabled'],
  ])('is suspended by %s', async (_what, begin, end, code) => {
    const items = await sealedItems('a');
    const operationId = await start();
    await upload(operationId, items);
    await begin();
    await world.uploads().round();
    expect(await world.admin('DescribeOperation', { operationId })).toMatchObject({ state: 'suspended', reason: code });
    expect(await refusal(upload(operationId, items))).toMatchObject({ code });
    await end();
  });

  it('opens nothing under a further older version whose imported material has ended', async () => {
    const [older, oldest] = [from, await sealed('oldest')];
    ({ primaryVersion: from } = await world.admin('CreateKeyVersion', { keyId }));
    const item = await sealed('a');
    const operationId = await start();
    const ended = (columns: string) => sql(`UPDATE keyward.key_version SET ${columns} WHERE version_id = $1`, older);
    await ended(`origin = 'EXTERNAL', import_check = sha256('x'), valid_to = 1, in_memory = false`);
    await upload(operationId, [item, oldest]);
    await world.uploads().round();
    expect(await world.admin('DescribeOperation', { operationId })).toMatchObject({ state: 'suspended', reason: 'key-pending-import' });
    await ended(`origin = 'KEYWARD', import_check = NULL, valid_to = NULL, in_memory = NULL`);
    await sql('UPDATE keyward.rewrap SET next_at = now() WHERE operation_id = $1', operationId);
    await world.uploads().round();
    expect(await statuses(operationId)).toEqual({ a: 'moved', oldest: 'moved' });
  });

  it('is seen in who-can for its key, for as long as it is open', async () => {
    const operationId = await start();
    const rules = async () => (await world.admin('WhoCan', { keyId, limit: 100 })).items;
    const rule = { keyId, subject: 'worker', operations: ['ReWrap'], grant: `rewrap:${operationId}`, conditions: 'what billing uploads' };
    expect(await rules()).toMatchObject([rule]);
    const other = await world.create();
    expect((await world.admin('WhoCan', { keyId: other.keyId, limit: 100 })).items).toEqual([]);
    await world.admin('CancelOperation', { operationId });
    expect(await rules()).toEqual([]);
  });

  it('is no other kind of re-wrap, nor another service', async () => {
    const [item] = await sealedItems('a');
    const operationId = await start();
    const page = { cursor: '', items: [{ success: true as const, data: item! }] };
    expect(await refusal(world.rewrapPage(operationId, page))).toMatchObject({ reason: 'rewrap-by-upload' });
    const foreign = { operationId, items: [item!] };
    expect(await refusal(world.service('UploadRewrapItems', foreign, 'search'))).toMatchObject({ code: 'not-granted' });
    expect(await refusal(world.service('CollectRewrapResults', { operationId, limit: 1 }, 'search'))).toMatchObject({
      code: 'not-granted',
    });
    await world.admin('CancelOperation', { operationId });
    const byPages = await start({ mode: 'pages', fromVersionId: from });
    expect(await refusal(upload(byPages, [item!]))).toMatchObject({ reason: 'rewrap-by-pages' });
    expect(await refusal(collect(byPages))).toMatchObject({ reason: 'rewrap-by-pages' });
  });

  it('settles and records each item once, wherever the worker is killed and however many are at it', async () => {
    const items = await sealedItems(...Array.from({ length: 24 }, (_, at) => `item-${at}`));
    const operationId = await start({ itemsPerSecond: 100_000 });
    await upload(operationId, items);
    const { uploads } = world.worker;
    for (let steps = 0; steps < 12; steps++) {
      const dying = dyingAfter(steps, { custody: world.custody, items: uploads });
      await world
        .uploads({ ...dying, onFailure: () => undefined })
        .round()
        .catch(() => undefined);
    }
    const ignoring = { onFailure: () => undefined };
    await Promise.all([1, 2, 3].map(() => world.uploads(ignoring).round()));
    await world.uploads().round();
    expect(await progress(operationId)).toMatchObject({ uploaded: 24, settled: 24 });
    expect(await recorded(operationId)).toEqual([['succeeded', 24]]);
    const { items: results, cursor } = await collect(operationId);
    expect([results.length, new Set(results.map(({ itemId }) => itemId)).size, cursor]).toEqual([24, 24, 24]);
  });

  it('settles nothing under rules that changed meanwhile, and nothing of what was cancelled', async () => {
    const items = await sealedItems('a');
    const operationId = await start();
    await upload(operationId, items);
    const { custody } = world;
    let stop: { lift(): Promise<void> } | undefined;
    const moveItem: typeof custody.moveItem = async (permit, order) => {
      stop ??= await world.stopped({ scope: 'everything' });
      return await custody.moveItem(permit, order);
    };
    await world.uploads({ custody: { moveItem } }).round();
    expect(await progress(operationId)).toMatchObject({ state: 'suspended', settled: 0 });
    await stop!.lift();
    await sql(`UPDATE keyward.rewrap SET next_at = now() WHERE operation_id = $1`, operationId);
    let cancelled: Promise<unknown> | undefined;
    const cancelling: typeof custody.moveItem = async (permit, order) => {
      await (cancelled ??= world.admin('CancelOperation', { operationId }));
      return await custody.moveItem(permit, order);
    };
    await world.uploads({ custody: { moveItem: cancelling } }).round();
    expect(await progress(operationId)).toMatchObject({ state: 'cancelled', settled: 0 });
    expect(await recorded(operationId)).toEqual([['refused', 1]]);
  });

  it('goes no faster than it may', async () => {
    const items = await sealedItems('a', 'b', 'c', 'd', 'e');
    const operationId = await start({ itemsPerSecond: 1 });
    await upload(operationId, items);
    await world.uploads().round();
    const { settled = 0 } = await progress(operationId);
    // One at a time, and no more than a second ahead; a slow machine may have waited in between.
    expect(settled).toBeGreaterThanOrEqual(1);
    await sql(`UPDATE keyward.rewrap SET next_at = now() + interval '1 minute' WHERE operation_id = $1`, operationId);
    await world.uploads().round();
    expect(await progress(operationId)).toMatchObject({ settled });
  });

  it('gives the worker no authority that SQL made up', async () => {
    const items = await sealedItems('a');
    const operationId = await start();
    await upload(operationId, items);
    const { primaryVersion: newer } = await world.admin('CreateKeyVersion', { keyId });
    await sql('UPDATE keyward.rewrap SET to_version = $2 WHERE operation_id = $1', operationId, newer);
    const failures: unknown[] = [];
    await world.uploads({ onFailure: (error) => failures.push(error) }).round();
    expect(failures).toMatchObject([{ reason: expect.stringContaining('binding') }]);
    expect(await progress(operationId)).toMatchObject({ settled: 0 });
  });

  it('keeps a version from being retired: what it moves to, and what was uploaded and never acknowledged', async () => {
    const items = await sealedItems('a', 'b');
    const operationId = await start();
    await upload(operationId, items);
    await world.uploads().round();
    await world.admin('CreateKeyVersion', { keyId });
    const open = { kind: 'open-operation', service: BILLING, operationId };
    expect(await references()).toContainEqual(open);
    expect(await references(to)).toContainEqual(open);
    await collect(operationId, { acknowledge: 1 });
    await world.admin('CancelOperation', { operationId });
    expect(await references()).toContainEqual({ kind: 'uploaded', service: BILLING, operationId, count: 1 });
    // What the worker put there is there as if the service had used it.
    expect(await references(to)).toMatchObject([{ kind: 'not-moved', service: BILLING }]);

    // A week later the items are gone, and that nobody acknowledged them is known still.
    expect(await world.worker.uploads.drop(10)).toBe(0);
    await sql(`UPDATE keyward.rewrap SET ended_at = ended_at - interval '7 days 1 minute' WHERE operation_id = $1`, operationId);
    expect([await world.worker.uploads.drop(1), await world.worker.uploads.drop(10)]).toEqual([1, 1]);
    expect(await references()).toContainEqual({ kind: 'uploaded', service: BILLING, operationId, count: 1 });

    const { operationId: again } = await world.admin('StartRewrap', {
      ...{ keyId, fromVersionId: from, service: BILLING, itemsPerSecond: 100_000, mode: 'upload' as const },
    });
    await upload(again, items);
    await world.uploads().round();
    await collect(again, { acknowledge: 2 });
    expect(await world.finishRewrap(again)).toMatchObject({ state: 'succeeded' });
    expect(await references()).toEqual([]);
  });

  it('shows what was cancelled until it expires, so that it can be written back', async () => {
    const items = await sealedItems('a', 'b');
    const operationId = await start();
    await upload(operationId, items.slice(0, 1));
    await world.uploads().round();
    await upload(operationId, items.slice(1));
    await world.admin('CancelOperation', { operationId });
    await world.uploads().round();
    expect(await statuses(operationId)).toEqual({ a: 'moved' });
    await collect(operationId, { acknowledge: 1 });
    expect(await progress(operationId)).toMatchObject({ state: 'cancelled', done: 1, settled: 1, uploaded: 2 });
  });

  it('counts what it seals in the budget of the version, and is suspended when that is used up', async () => {
    const items = await sealedItems('a', 'b', 'c', 'd');
    const operationId = await start();
    await upload(operationId, items.slice(0, 3));
    await world.uploads().round();
    const [{ sealed: budget }] = await sql(`SELECT keyward.sealed_under('acme', $1, $2)::integer AS sealed`, keyId, to);
    expect(budget).toBe(3);
    await sql('UPDATE keyward.key_version SET exhausted = true WHERE version_id = $1', to);
    await upload(operationId, items.slice(3));
    await world.uploads().round();
    expect(await world.admin('DescribeOperation', { operationId })).toMatchObject({ state: 'suspended', reason: 'key-exhausted' });
  });

  it('seals no more than is safe under a version that is the primary one no longer', async () => {
    const items = await sealedItems('a', 'b');
    const operationId = await start();
    await world.admin('CreateKeyVersion', { keyId });
    const seals = async (times: number) => {
      await sql(
        `INSERT INTO keyward.key_wear (tenant_id, version_id, key_id, sealed) VALUES ('acme', $1, $2, $3)
           ON CONFLICT (tenant_id, version_id) DO UPDATE SET sealed = excluded.sealed`,
        ...[to, keyId, times],
      );
      await world.uploads().round();
    };
    await upload(operationId, items.slice(0, 1));
    await seals(3 * 2 ** 30 - 1);
    expect(await statuses(operationId)).toEqual({ a: 'moved' });
    await upload(operationId, items.slice(1));
    await seals(3 * 2 ** 30);
    expect(await world.admin('DescribeOperation', { operationId })).toMatchObject({ state: 'suspended', reason: 'key-exhausted' });
    expect(await statuses(operationId)).toEqual({ a: 'moved' });
  });

  it('holds so many bytes for a tenant, of all its open projects together, and says which bound it is', async () => {
    const held = async () => Number((await sql(`SELECT keyward.uploaded_bytes('acme') AS bytes`))[0]!.bytes);
    const [a, b] = await sealedItems('a', 'b');
    const operationId = await start();
    expect(await held()).toBe(0);
    await upload(operationId, [a!]);
    const ofOne = a!.ciphertext.length + JSON.stringify(context).length;
    expect(await held()).toBe(ofOne);
    await upload(operationId, [a!]);
    expect(await held()).toBe(ofOne);
    await world.uploads().round();
    expect(await held()).toBe(a!.ciphertext.length);
    await collect(operationId, { acknowledge: 1 });
    expect(await held()).toBe(0);

    const most = 268_435_456;
    const other = await start({ service: 'search' as ServiceName });
    const otherHolds = (bytes: number) => sql('UPDATE keyward.rewrap SET held_bytes = $2 WHERE operation_id = $1', other, bytes);
    await otherHolds(most - ofOne + 1);
    const message = `that are not acknowledged of all projects of the tenant may have ${most} bytes at most, with their contexts and results`;
    const full = { code: 'too-many-requests', fields: [{ field: 'items', message }] };
    expect(await refusal(upload(operationId, [b!]))).toMatchObject(full);
    // Somebody else's were stored after it was looked.
    const name = { tenant: ACME, operationId, service: BILLING };
    expect(await world.data.rewraps.upload(name, { items: [b!] })).toEqual({ items: ['not-stored'] });
    expect([await progress(operationId), await held()]).toMatchObject([{ uploaded: 1 }, most - ofOne + 1]);
    await otherHolds(most - ofOne);
    expect(await upload(operationId, [b!])).toEqual(['accepted']);
    expect(await held()).toBe(most);
    await world.admin('CancelOperation', { operationId: other });
    expect(await held()).toBe(ofOne);
  });

  it('counts every item once, whatever is handed over, taken and killed in whatever order', async () => {
    const pool = await sealedItems(...Array.from({ length: 12 }, (_, at) => `p${at}`));
    const some = fc.uniqueArray(fc.nat(11), { minLength: 1, maxLength: 6 });
    const step = fc.oneof(
      fc.record({ upload: some }),
      fc.record({ die: fc.nat(9) }),
      fc.constant({ work: true }),
      fc.record({ collect: fc.nat(12), lost: fc.boolean() }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 14 }), async (steps) => {
        const operationId = await start({ fromVersionId: from });
        const uploaded = new Set<string>();
        for (const one of steps) {
          if ('upload' in one) {
            const items = one.upload.map((at) => pool[at]!);
            expect(new Set(await upload(operationId, items))).toEqual(new Set(['accepted']));
            for (const { itemId } of items) uploaded.add(itemId);
          } else if ('die' in one) {
            const dying = dyingAfter(one.die, { custody: world.custody, items: world.worker.uploads });
            const worker = world.uploads({ ...dying, onFailure: () => undefined });
            await worker.round().catch(() => undefined);
          } else if ('work' in one) {
            await world.uploads().round();
          } else {
            const { cursor } = await collect(operationId, { limit: Math.max(1, one.collect) });
            if (!one.lost) await collect(operationId, { acknowledge: cursor });
          }
        }
        await world.uploads().round();
        const { cursor } = await collect(operationId);
        await collect(operationId, { acknowledge: cursor });
        const { done, settled, failed } = await progress(operationId);
        expect({ done, settled, failed }).toEqual({ done: uploaded.size, settled: uploaded.size, failed: 0 });
        expect(await recorded(operationId)).toEqual(uploaded.size === 0 ? [] : [['succeeded', uploaded.size]]);
        expect(await world.finishRewrap(operationId)).toMatchObject({ state: 'succeeded' });
      }),
      { numRuns: 8 },
    );
  });
});
