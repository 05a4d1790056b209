import type { KeyId, KeyVersionId, LongOperationId, RewrapItem, RewrapPageAnswer, ServiceName, StopId } from '#contract';
import { parseCiphertext } from '#core';
import { GLOBEX, KeyWorld, refusal } from './key-world.js';

const BILLING = 'billing' as ServiceName;
const context = { purpose: 'invoice' };
const itemsOf = (items: readonly RewrapItem[]) => items.map((data) => ({ success: true as const, data }));

describe('a re-wrap', () => {
  let world: KeyWorld;
  let keyId: KeyId;
  let from: KeyVersionId;
  let to: KeyVersionId;

  beforeAll(async () => {
    world = await KeyWorld.start();
  });
  afterAll(() => world?.stop());
  beforeEach(async () => {
    world.ruling = () => ({});
    await suspended(false);
    ({ keyId, primaryVersion: from } = await world.create());
  });

  const suspended = (is: boolean) =>
    world.database.as('superuser', (client) => client.query('UPDATE keyward.service SET suspended = $1 WHERE suspended <> $1', [is]));
  const sealed = async (itemId: string, more: object = {}): Promise<RewrapItem> => {
    const made = await world.service('GenerateDataKeyWithoutPlaintext', { keyId, encryptionContext: context, ...more });
    if ('dryRun' in made) throw new Error('a dry run');
    return { itemId, ciphertext: Buffer.from(made.ciphertext), encryptionContext: context };
  };
  const sealedItems = (...ids: string[]) => Promise.all(ids.map((id) => sealed(id)));
  const start = async (more: object = {}) => {
    ({ primaryVersion: to } = await world.admin('CreateKeyVersion', { keyId }));
    const asked = { keyId, fromVersionId: from, service: BILLING, itemsPerSecond: 100_000, ...more };
    return (await world.admin('StartRewrap', asked)).operationId;
  };
  const page = (id: LongOperationId, items: readonly RewrapItem[], at: { cursor?: string; next?: string; acknowledge?: string } = {}) =>
    world.rewrapPage(id, { cursor: '', ...at, items: itemsOf(items) });
  const statuses = ({ items }: RewrapPageAnswer) => items.map((item) => (item.status === 'failed' ? item.code : item.status));
  const progress = async (operationId: LongOperationId) => {
    const {
      state,
      progress: { done, failed },
    } = await world.admin('DescribeOperation', { operationId });
    return { state, done, failed };
  };
  const writtenBack = (items: readonly RewrapItem[], answer: RewrapPageAnswer): RewrapItem[] =>
    items.map((item, index) => {
      const result = answer.items[index]!;
      return result.status === 'moved' ? { ...item, ciphertext: Buffer.from(result.ciphertext, 'base64') } : item;
    });

  it('moves page by page what is under the older version, and counts what was written back', async () => {
    const items = await sealedItems('a', 'b', 'c');
    const operationId = await start();
    expect(await progress(operationId)).toEqual({ state: 'pending', done: 0, failed: 0 });

    const first = await page(operationId, items.slice(0, 2), { next: 'after-b' });
    expect(statuses(first)).toEqual(['moved', 'moved']);
    for (const { ciphertext, encryptionContext } of writtenBack(items.slice(0, 2), first)) {
      expect(parseCiphertext(ciphertext).versionId).toBe(to);
      expect(await world.service('Decrypt', { ciphertext, encryptionContext })).toMatchObject({ keyVersionId: to });
    }
    expect(await progress(operationId)).toEqual({ state: 'running', done: 0, failed: 0 });
    expect(await refusal(world.finishRewrap(operationId))).toMatchObject({ reason: 'not-at-end' });

    const last = await page(operationId, items.slice(2), { cursor: 'after-b', acknowledge: first.page });
    expect(await progress(operationId)).toEqual({ state: 'running', done: 2, failed: 0 });
    world.records.length = 0;
    expect(await world.finishRewrap(operationId, last.page)).toMatchObject({ state: 'succeeded' });
    expect(world.records.at(-1)).toMatchObject({ op: 'FinishRewrap', change: { operationId, moved: 3, kept: 0, failed: 0 } });
    const over = await world.admin('DescribeOperation', { operationId });
    expect(over).toMatchObject({ state: 'succeeded', progress: { population: 3, done: 3, kept: 0, failed: 0 } });
    expect(over.records!.first).toBeLessThan(over.records!.last);
    // Whoever lost the answer asks again.
    expect(await world.finishRewrap(operationId, last.page)).toMatchObject({ state: 'succeeded' });
  });

  it('counts each item once, wherever a crash cut the page off', async () => {
    const items = await sealedItems('a', 'b');
    const operationId = await start();
    await page(operationId, items, { next: 'n' });
    // The answer was lost: the same page again.
    const again = await page(operationId, items, { next: 'n' });
    // It was written back, but never acknowledged: the page is read again, as it is now.
    const stored = writtenBack(items, again);
    const seen = await page(operationId, stored, { next: 'n' });
    expect(statuses(seen)).toEqual(['kept', 'kept']);
    expect(await refusal(page(operationId, [], { cursor: 'n', acknowledge: again.page }))).toMatchObject({ reason: 'another-page' });
    const last = await page(operationId, [], { cursor: 'n', acknowledge: seen.page });
    // The acknowledgement was lost too.
    expect((await page(operationId, [], { cursor: 'n', acknowledge: seen.page })).items).toEqual([]);
    expect(await refusal(world.finishRewrap(operationId, last.page))).toMatchObject({ reason: 'another-page' });
    const newest = await page(operationId, [], { cursor: 'n' });
    await world.finishRewrap(operationId, newest.page);
    expect(await progress(operationId)).toEqual({ state: 'succeeded', done: 2, failed: 0 });
  });

  it('lets items fail alone, and says which', async () => {
    const [good, other] = await sealedItems('good', 'other');
    const foreign = await sealed('foreign', { keyId: (await world.create()).keyId });
    const items = [
      good!,
      { ...other!, encryptionContext: { purpose: 'other' } },
      { ...other!, itemId: 'short', ciphertext: Buffer.alloc(60) },
      { ...foreign, itemId: 'foreign' },
    ];
    const operationId = await start();
    const answer = await page(operationId, items);
    expect(statuses(answer)).toEqual(['moved', 'decrypt-failed', 'decrypt-failed', 'decrypt-failed']);
    expect(await world.finishRewrap(operationId, answer.page)).toMatchObject({ state: 'failed' });
    expect(await world.admin('DescribeOperation', { operationId })).toMatchObject({
      progress: { population: 4, done: 1, failed: 3 },
      failures: ['other', 'short', 'foreign'].map((itemId) => ({ itemId, code: 'decrypt-failed' })),
    });
  });

  it.each<[string, string, KeyWorld['ruling']]>([
    ['a stop', 'stopped', () => ({ stop: 'stop_1' as StopId })],
    ['the end of the grant', 'not-granted', () => ({ grant: undefined })],
    ['the end of half of the grant', 'not-granted', ({ operation }) => (operation === 'ReEncryptTo' ? { grant: undefined } : {})],
  ])('is suspended by %s, and goes on when that is over', async (_what, code, ruling) => {
    const items = await sealedItems('a');
    const operationId = await start();
    world.ruling = ruling;
    expect(await refusal(page(operationId, items))).toMatchObject({ code });
    expect(await world.admin('DescribeOperation', { operationId })).toMatchObject({ state: 'suspended', reason: code });
    world.ruling = () => ({});
    await page(operationId, items);
    expect(await progress(operationId)).toEqual({ state: 'running', done: 0, failed: 0 });
  });

  const ENDED: [string, string, () => unknown][] = [
    ['a stop', 'stopped', () => (world.ruling = () => ({ stop: 'stop_1' as StopId }))],
    ['a guardrail', 'not-granted', () => (world.ruling = () => ({ guardrail: 'no' }))],
    ['the end of the grant', 'not-granted', () => (world.ruling = () => ({ grant: undefined }))],
    ['the suspension of the service', 'not-granted', () => suspended(true)],
    ['the end of its key', 'key-disabled', () => world.admin('DisableKey', { keyId })],
  ];
  it.each(ENDED)('takes no empty page after %s, and is suspended', async (_what, code, end) => {
    const operationId = await start();
    await end();
    expect(await refusal(page(operationId, []))).toMatchObject({ code });
    expect(await world.admin('DescribeOperation', { operationId })).toMatchObject({ state: 'suspended', reason: code });
  });

  it.each(ENDED)('neither keeps nor finishes anything after %s', async (_what, code, end) => {
    const [item] = await sealedItems('a');
    const operationId = await start();
    const [kept] = writtenBack([item!], await page(operationId, [item!]));
    const { page: acknowledge } = await page(operationId, [kept!]);
    await end();
    expect(await refusal(page(operationId, [kept!]))).toMatchObject({ code });
    expect(await refusal(world.finishRewrap(operationId, acknowledge))).toMatchObject({ code });
    expect(world.records.at(-1)).toMatchObject({ op: 'SettleRewrapPage', change: { operationId, suspendedBy: code } });
    expect(await progress(operationId)).toEqual({ state: 'suspended', done: 0, failed: 0 });
  });

  it('is decided before its items are known only as far as every one of them would be refused', async () => {
    const [item] = await sealedItems('a');
    const operationId = await start();
    world.ruling = ({ context: labels, justification }) => (labels === undefined && justification === null ? { grant: undefined } : {});
    expect(statuses(await page(operationId, [item!]))).toEqual(['moved']);
  });

  it('keeps what is under its newer version or a later one, moves what is under any older, and tells them apart', async () => {
    const [oldest, retired] = await sealedItems('oldest', 'retired');
    const first = from;
    ({ primaryVersion: from } = await world.admin('CreateKeyVersion', { keyId }));
    const [older] = await sealedItems('older');
    const operationId = await start();
    const [newer] = await sealedItems('newer');
    const { primaryVersion: newest } = await world.admin('CreateKeyVersion', { keyId });
    const [latest] = await sealedItems('latest');
    world.records.length = 0;
    const answer = await page(operationId, [oldest!, older!, newer!, latest!]);
    expect(statuses(answer)).toEqual(['moved', 'moved', 'kept', 'kept']);
    for (const result of answer.items)
      if (result.status === 'moved') expect(parseCiphertext(Buffer.from(result.ciphertext, 'base64')).versionId).toBe(newest);
    const told = world.records.filter(({ op }) => op === 'RewrapPage' || op === 'SettleRewrapPage').map(({ change }) => change);
    expect(told).toEqual([
      { operationId, page: answer.page },
      { operationId, page: answer.page, moved: 2, kept: 2, failed: 0 },
    ]);
    // Of a version without material nothing is there to be kept.
    await world.database.as('superuser', (client) =>
      client.query(`UPDATE keyward.key_version SET blob = '' WHERE version_id = $1`, [first]),
    );
    await world.admin('DisableKey', { keyId });
    await world.admin('EnableKey', { keyId });
    const again = await page(operationId, [retired!, newer!]);
    expect(statuses(again)).toEqual(['decrypt-failed', 'kept']);
    expect(await world.finishRewrap(operationId, again.page)).toMatchObject({
      state: 'failed',
      progress: { population: 2, done: 1, kept: 1, failed: 1 },
    });
  });

  it('does not stay at one place', async () => {
    const items = await sealedItems('a', 'b');
    const operationId = await start();
    const first = await page(operationId, items.slice(0, 1), { next: 'n' });
    expect(await refusal(page(operationId, items.slice(1), { cursor: 'n', next: 'n', acknowledge: first.page }))).toMatchObject({
      code: 'invalid-request',
      fields: [{ field: 'next' }],
    });
    expect(await progress(operationId)).toEqual({ state: 'running', done: 0, failed: 0 });
  });

  it.each<[string, (id: LongOperationId, acknowledge: string, items: readonly RewrapItem[]) => Promise<unknown>]>([
    ['page', (id, acknowledge, items) => page(id, items, { cursor: 'n', acknowledge })],
    ['end', (id, acknowledge) => world.finishRewrap(id, acknowledge)],
  ])('changes nothing by a %s that was not recorded', async (what, work) => {
    const items = await sealedItems('a');
    const operationId = await start();
    const { page: acknowledge } = await page(operationId, items, what === 'end' ? {} : { next: 'n' });
    world.fencedOff = true;
    expect(await refusal(work(operationId, acknowledge, items))).toMatchObject({ code: 'unavailable' });
    world.fencedOff = false;
    expect(await progress(operationId)).toEqual({ state: 'running', done: 0, failed: 0 });
    await work(operationId, acknowledge, items);
    expect(await progress(operationId)).toMatchObject({ done: 1 });
  });

  it('is suspended while its key is disabled', async () => {
    const items = await sealedItems('a');
    const operationId = await start();
    await world.admin('DisableKey', { keyId });
    expect(await refusal(page(operationId, items))).toMatchObject({ code: 'key-disabled' });
    expect(await progress(operationId)).toMatchObject({ state: 'suspended' });
  });

  it('fails one item that is beyond the grant by its label, as long as others are within', async () => {
    const [within, beyond] = await Promise.all([sealed('within'), sealed('beyond', { encryptionContext: { purpose: 'hr' } })]);
    const operationId = await start();
    world.ruling = ({ context: labels }) => (JSON.stringify(labels ?? {}).includes('hr') ? { grant: undefined } : {});
    expect(statuses(await page(operationId, [within, { ...beyond, encryptionContext: { purpose: 'hr' } }]))).toEqual([
      'moved',
      'not-granted',
    ]);
  });

  it.each([
    ['another service', 'search', undefined],
    ['another tenant', 'billing', GLOBEX],
  ])('is none to %s, in every respect', async (_who, name, tenant) => {
    const items = await sealedItems('a');
    const operationId = await start();
    const refused = { code: 'not-granted', reason: 'unknown-rewrap' };
    const body = { cursor: '', items: itemsOf(items) };
    expect(await refusal(world.service('DescribeRewrap', { operationId }, name, tenant))).toMatchObject(refused);
    expect(await refusal(world.rewrapPage(operationId, body, name, tenant))).toMatchObject(refused);
    expect(await refusal(world.finishRewrap(operationId, undefined, name, tenant))).toMatchObject(refused);
    expect(await progress(operationId)).toEqual({ state: 'pending', done: 0, failed: 0 });
  });

  it("shows an admin no other tenant's, nor lets it be cancelled", async () => {
    const operationId = await start();
    for (const operation of ['DescribeOperation', 'CancelOperation', 'WatchOperation'] as const)
      expect(await refusal(world.admin(operation, { operationId }, GLOBEX))).toMatchObject({ code: 'not-found' });
    expect((await world.admin('ListOperations', { limit: 100 }, GLOBEX)).items).toEqual([]);
    expect((await world.admin('ListOperations', { limit: 100 })).items.map((one) => one.operationId)).toContain(operationId);
  });

  it('ends where it is when it is cancelled, and another may begin', async () => {
    const items = await sealedItems('a', 'b');
    const operationId = await start();
    expect(await refusal(world.admin('StartRewrap', { keyId, fromVersionId: from, service: BILLING, itemsPerSecond: 1 }))).toMatchObject({
      code: 'already-exists',
    });
    const first = await page(operationId, items.slice(0, 1), { next: 'n' });
    expect(await world.admin('CancelOperation', { operationId })).toMatchObject({ state: 'cancelled' });
    expect(await refusal(page(operationId, items.slice(1), { cursor: 'n', acknowledge: first.page }))).toMatchObject({
      reason: 'rewrap-ended',
    });
    expect(await refusal(world.admin('CancelOperation', { operationId }))).toMatchObject({ reason: 'operation-over' });
    expect(await progress(operationId)).toEqual({ state: 'cancelled', done: 0, failed: 0 });
    await world.admin('StartRewrap', { keyId, fromVersionId: from, service: BILLING, itemsPerSecond: 1 });
  });

  it('waits when it is faster than it may be', async () => {
    const item = await sealed('a');
    const items = Array.from({ length: 400 }, () => item);
    const operationId = await start({ itemsPerSecond: 1 });
    const first = await page(operationId, items, { next: 'n' });
    const early = await refusal(page(operationId, items, { cursor: 'n', acknowledge: first.page }));
    expect(early).toMatchObject({ code: 'too-many-requests', retryAfterSeconds: expect.any(Number) });
    // What it acknowledged counts once its page is taken.
    expect(await progress(operationId)).toMatchObject({ done: 0 });
  });

  it.each([
    ['the primary version', () => ({ fromVersionId: to }), 'fromVersionId'],
    ['a version of another key', async () => ({ fromVersionId: (await world.create()).primaryVersion }), 'fromVersionId'],
    ['a service that there is not', () => ({ service: 'nobody' as ServiceName }), 'service'],
  ])('is not begun for %s', async (_what, more, field) => {
    ({ primaryVersion: to } = await world.admin('CreateKeyVersion', { keyId }));
    const asked = { keyId, fromVersionId: from, service: BILLING, itemsPerSecond: 1, ...(await more()) };
    expect(await refusal(world.admin('StartRewrap', asked))).toMatchObject({ code: 'invalid-request', fields: [{ field }] });
  });

  it('is told no more to who was revoked meanwhile', async () => {
    const operationId = await start();
    const revoked = (at: string) =>
      world.database.as('superuser', (client) =>
        client.query(`UPDATE keyward.credential SET revoked_at = ${at} WHERE tenant_id = 'acme' AND role = 'admin'`),
      );
    const events = (await world.admin('WatchOperation', { operationId }))[Symbol.asyncIterator]();
    expect((await events.next()).done).toBe(false);
    await revoked('now()');
    const next = await events.next();
    await revoked('NULL');
    expect(next.done).toBe(true);
  });

  it('is told as events until it is over', async () => {
    const items = await sealedItems('a');
    const operationId = await start();
    const answer = await page(operationId, items);
    const events = (await world.admin('WatchOperation', { operationId }))[Symbol.asyncIterator]();
    const told = async () => Buffer.from((await events.next()).value ?? '').toString();
    expect(await told()).toMatch(/^event: progress\ndata: {.*"state":"running".*}\n\n$/);
    await world.finishRewrap(operationId, answer.page);
    let line = await told();
    while (line === ': alive\n\n') line = await told();
    expect(line).toContain('"state":"succeeded"');
    expect((await events.next()).done).toBe(true);
  });
});
