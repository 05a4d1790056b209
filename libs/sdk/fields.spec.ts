import { setTimeout as sleep } from 'node:timers/promises';
import { KeywardClient } from './client.js';
import { DecryptFailed, InvalidCall, Stopped } from './errors.js';
import { FieldKey } from './field-key.js';
import { Fields, type FieldsOptions } from './fields.js';
import { FakeDataPlane } from './test/fake-data-plane.js';

const scope = { tenant: 'acme', keyId: 'alias/invoices', context: { purpose: 'invoice' } };
const bytes = (text: string) => Buffer.from(text);
const text = (field: Uint8Array) => Buffer.from(field).toString();

let fake: FakeDataPlane;
let client: KeywardClient;
let fields: Fields;
beforeEach(async () => {
  fake = await FakeDataPlane.start();
  client = new KeywardClient({ apiKey: 'kw_platform_x', url: fake.url, backoffMs: 1 });
  fields = new Fields(client);
});
afterEach(async () => {
  fields.close();
  client.close();
  await fake.close();
});
const freshly = (options: FieldsOptions = {}) => new Fields(client, options);

describe('fields', () => {
  it('are sealed and opened with one call each for many of them', async () => {
    const ibans = fields.of(scope);
    const sealed = await Promise.all(Array.from({ length: 50 }, (_, i) => ibans.encrypt(bytes(`iban ${i}`))));
    const opened = await Promise.all(sealed.map((field) => freshly().of(scope).decrypt(field)));
    expect(opened.map(text)).toEqual(sealed.map((_, i) => `iban ${i}`));
    const other = freshly().of(scope);
    for (const field of sealed) await other.decrypt(field);
    expect([fake.count('data-keys'), fake.count('decrypt')]).toEqual([1, 51]);
  });

  it('with a spare key need a table for it, and share no data key with those that have none', async () => {
    const spareKeyId = 'alias/spare';
    expect(() => fields.of({ ...scope, spareKeyId })).toThrow(InvalidCall);
    const stored: string[] = [];
    const own = freshly({ spareDataKeys: { put: async (name) => void stored.push(name), get: async () => undefined } });
    for (const one of [scope, { ...scope, spareKeyId }, { ...scope, spareKeyId }]) await own.of(one).encrypt(bytes('x'));
    expect([fake.count('data-keys'), fake.count('encrypt'), stored.length]).toEqual([2, 1, 1]);
    expect(fake.asked.find(({ operation }) => operation === 'encrypt')!.body).toMatchObject({
      keyId: spareKeyId,
      encryptionContext: scope.context,
    });
  });

  it('hold JSON', async () => {
    const address = { street: 'Straße 1', floors: [1, 2, null] };
    const sealed = await fields.of(scope).encryptJson(address);
    expect(await freshly().of(scope).decryptJson(sealed)).toEqual(address);
    await expect(fields.of(scope).encryptJson(undefined)).rejects.toThrow(InvalidCall);
    await expect(
      fields
        .of(scope)
        .encrypt(bytes('{'))
        .then((field) => fields.of(scope).decryptJson(field)),
    ).rejects.toThrow(DecryptFailed);
  });

  it('of two tenants with the same context never share a data key', async () => {
    const ours = await fields.of(scope).encrypt(bytes('x'));
    await fields.of({ ...scope, tenant: 'globex' }).encrypt(bytes('x'));
    expect([fake.count('data-keys', 'acme'), fake.count('data-keys', 'globex')]).toEqual([1, 1]);
    await expect(fields.of({ ...scope, tenant: 'globex' }).decrypt(ours)).rejects.toThrow(DecryptFailed);
  });

  it.each([
    ['context', { context: { purpose: 'payroll' } }],
    ['context of other pairs', { context: {} }],
    ['key', { keyId: 'alias/payroll' }],
  ])('have a data key of their own for each %s', async (_, other) => {
    await fields.of(scope).encrypt(bytes('x'));
    await fields.of({ ...scope, ...other }).encrypt(bytes('x'));
    expect(fake.count('data-keys')).toBe(2);
  });

  it('of many rows share a data key, and yet open in their own row only', async () => {
    const ibans = fields.of(scope);
    const sealed = await Promise.all(['1', '2'].map((row) => ibans.encryptJson(`iban of ${row}`, row)));
    expect(fake.count('data-keys')).toBe(1);
    expect(await Promise.all(['1', '2'].map((row, i) => ibans.decryptJson(sealed[i]!, row)))).toEqual(['iban of 1', 'iban of 2']);
    for (const row of ['2', '', undefined]) await expect(ibans.decryptJson(sealed[0]!, row)).rejects.toThrow(DecryptFailed);
    await expect(fields.of({ ...scope, context: { row: '' } }).encryptJson('x', '1')).rejects.toThrow('has a "row" already');
  });

  it('are refused when changed, also while their data key is held', async () => {
    const ibans = fields.of(scope);
    const sealed = await ibans.encrypt(bytes('x'));
    await ibans.decrypt(sealed);
    for (let at = 0; at < sealed.length; at++) {
      const flipped = Uint8Array.from(sealed, (byte, i) => (i === at ? byte ^ 1 : byte));
      await expect(ibans.decrypt(flipped)).rejects.toThrow(DecryptFailed);
    }
    await expect(fields.of({ ...scope, context: {} }).decrypt(sealed)).rejects.toThrow(DecryptFailed);
  });

  it('by reference find their data key where it was stored, before the first of them existed', async () => {
    const table = new Map<string, Uint8Array>();
    const encryptedDataKeys = {
      put: async (name: string, key: Uint8Array) => void table.set(name, key),
      get: async (name: string) => table.get(name),
    };
    const stored = freshly({ encryptedDataKeys });
    const sealed = await stored.of(scope).encrypt(bytes('4711'));
    expect([sealed.length, table.size]).toEqual([84, 1]);
    expect(text(await freshly({ encryptedDataKeys }).of(scope).decrypt(sealed))).toBe('4711');
    table.clear();
    await expect(freshly({ encryptedDataKeys }).of(scope).decrypt(sealed)).rejects.toThrow(DecryptFailed);
    await expect(freshly().of(scope).decrypt(sealed)).rejects.toThrow(DecryptFailed);
  });

  it.each([
    ['fields', { maxFields: 2 }],
    ['bytes', { maxBytes: 20 }],
  ])('take a new data key when one has used up its %s', async (_, cache) => {
    const ibans = freshly({ cache }).of(scope);
    for (let i = 0; i < 4; i++) await ibans.encrypt(bytes('ten bytes!'));
    expect(fake.count('data-keys')).toBe(2);
  });

  it('hold no more data keys than they may', async () => {
    const few = freshly({ cache: { capacity: 1 } });
    const contexts = ['a', 'b', 'a'].map((purpose) => few.of({ ...scope, context: { purpose } }));
    for (const bound of contexts) await bound.encrypt(bytes('x'));
    expect(fake.count('data-keys')).toBe(3);
    await Promise.all(contexts.map((bound) => bound.encrypt(bytes('x'))));
    expect(() => freshly({ cache: { capacity: 0 } })).toThrow(RangeError);
  });

  it('take a new data key when its time is over, and refuse a time that a stop cannot wait for', async () => {
    const ibans = freshly({ cache: { maxAgeMs: 20 } }).of(scope);
    await ibans.encrypt(bytes('x'));
    await sleep(40);
    await ibans.encrypt(bytes('x'));
    expect(fake.count('data-keys')).toBe(2);
    expect(() => freshly({ cache: { maxAgeMs: 300_001 } })).toThrow(RangeError);
  });

  it.each([
    ['uses', { maxAgeSeconds: 60, maxUses: 2 }, [1, 1, 2, 2, 3]],
    ['bytes', { maxAgeSeconds: 60, maxBytes: 7 }, [1, 2, 3, 4, 5]],
    ['nothing but its age', { maxAgeSeconds: 60 }, [1, 1, 1, 1, 1]],
  ])('take a new data key when the lease has no more %s', async (_, lease, asked) => {
    fake.lease = lease;
    const sealed = [];
    const counts = [];
    for (let i = 0; i < 5; i++) {
      sealed.push(await fields.of(scope).encrypt(bytes('four')));
      counts.push(fake.count('data-keys'));
    }
    expect(counts).toEqual(asked);
    // Opening counts the same way.
    const reader = freshly().of(scope);
    for (let i = 0; i < 5; i++) await reader.decrypt(sealed[0]!);
    expect(fake.count('decrypt')).toBe(asked.at(-1));
  });

  it('that are many at once still use no data key more often than its lease says', async () => {
    fake.lease = { maxAgeSeconds: 60, maxUses: 2 };
    await Promise.all(Array.from({ length: 10 }, () => fields.of(scope).encrypt(bytes('x'))));
    expect(fake.count('data-keys')).toBe(5);
  });

  it('wipe a data key when its lease ends, long before the cache would', async () => {
    const wiped = jest.spyOn(FieldKey.prototype, 'wipe');
    fake.lease = { maxAgeSeconds: 1 };
    await fields.of(scope).encrypt(bytes('x'));
    await sleep(1_200);
    expect(wiped).toHaveBeenCalledTimes(1);
    await fields.of(scope).encrypt(bytes('x'));
    expect(fake.count('data-keys')).toBe(2);
    wiped.mockRestore();
  });

  it('ask Keyward again after a wipe, of this tenant alone if one is named', async () => {
    const [ours, theirs] = [fields.of(scope), fields.of({ ...scope, tenant: 'globex' })];
    const both = () => Promise.all([ours.encrypt(bytes('x')), theirs.encrypt(bytes('x'))]);
    const [sealed] = await both();
    fields.wipe('acme');
    await both();
    expect([fake.count('data-keys', 'acme'), fake.count('data-keys', 'globex')]).toEqual([2, 1]);
    fake.script = (_, response) => fake.problem(response, 'stopped', 403);
    fields.wipe();
    await expect(ours.encrypt(bytes('x'))).rejects.toThrow(Stopped);
    await expect(ours.decrypt(sealed)).rejects.toThrow(Stopped);
  });

  it('do not keep a data key that was asked for before a wipe', async () => {
    const ibans = fields.of(scope);
    const sealing = ibans.encrypt(bytes('x'));
    fields.wipe();
    await sealing;
    await ibans.encrypt(bytes('x'));
    expect(fake.count('data-keys')).toBe(2);
  });

  it('keep a data key that is on its way when another tenant is wiped', async () => {
    const ibans = fields.of(scope);
    const sealing = ibans.encrypt(bytes('x'));
    fields.wipe('globex');
    await sealing;
    await ibans.encrypt(bytes('x'));
    expect(fake.count('data-keys')).toBe(1);
  });

  it('leave no data key behind that comes when it is not wanted any more, or that cannot be stored', async () => {
    const wiped = jest.spyOn(FieldKey.prototype, 'wipe');
    const closing = freshly();
    const sealing = closing.of(scope).encrypt(bytes('x'));
    closing.close();
    await expect(sealing).rejects.toThrow(InvalidCall);
    expect(wiped).toHaveBeenCalledTimes(1);
    const full = { put: () => Promise.reject(new Error('full')), get: () => Promise.resolve(undefined) };
    await expect(freshly({ encryptedDataKeys: full }).of(scope).encrypt(bytes('x'))).rejects.toThrow('full');
    expect(wiped).toHaveBeenCalledTimes(2);
    wiped.mockRestore();
  });

  it('are refused once closed, and with a context that cannot be bound', async () => {
    expect(() => fields.of({ ...scope, context: { 'keyward:x': '1' } })).toThrow(InvalidCall);
    const ibans = fields.of(scope);
    const sealing = ibans.encrypt(bytes('x'));
    fields.close();
    await expect(sealing).rejects.toThrow(InvalidCall);
    await expect(ibans.encrypt(bytes('x'))).rejects.toThrow(InvalidCall);
  });
});
