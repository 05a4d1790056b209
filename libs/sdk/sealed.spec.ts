import { format, inspect } from 'node:util';
import fc from 'fast-check';
import { type ErrorCode, errorOf, InvalidCall, Stopped } from './errors.js';
import { type Sealable, Sealed } from './sealed.js';

const SECRET = 'DE02100100109307118603';
const json = {
  encrypt: async (value: unknown) => Buffer.from(JSON.stringify(value)).map((byte) => byte ^ 0x5a),
  open: async (stored: Uint8Array) => JSON.parse(Buffer.from(stored.map((byte) => byte ^ 0x5a)).toString()),
};
const failing = (code: ErrorCode) => async () => {
  throw errorOf('No.', { code });
};
const jsonValue = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as Sealable);

it('goes around: new, stored, closed, open, and the same bytes again', async () => {
  await fc.assert(
    fc.asyncProperty(jsonValue, async (value) => {
      const fresh = Sealed.of(value);
      expect([fresh.isOpen, fresh.stored]).toEqual([true, undefined]);
      await fresh.seal(json.encrypt);
      const stored = fresh.stored!;
      const loaded = Sealed.stored<Sealable>(stored, json.open);
      expect([loaded.isOpen, loaded.reason, loaded.stored]).toEqual([false, 'unopened', stored]);
      expect(await loaded.open()).toEqual(value);
      expect([loaded.value, loaded.isOpen, loaded.reason, loaded.stored]).toEqual([value, true, undefined, stored]);
    }),
  );
});

it('that cannot be opened keeps its bytes, whatever is tried', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array(), fc.constantFrom<ErrorCode>('stopped', 'unavailable', 'decrypt-failed'), async (bytes, code) => {
      const sealed = Sealed.stored<string>(bytes, failing(code));
      const before = Uint8Array.from(bytes);
      bytes.fill(0);
      await sealed.tryOpen();
      await expect(sealed.open()).rejects.toMatchObject({ code });
      sealed.stored!.fill(0xff);
      expect(sealed.stored).toEqual(before);
      expect(Uint8Array.from(sealed.toPostgres())).toEqual(before);
    }),
  );
});

it.each<[ErrorCode, string]>([
  ['unavailable', 'unavailable'],
  ['too-many-requests', 'unavailable'],
  ['internal', 'unavailable'],
  ['not-granted', 'refused'],
  ['unauthenticated', 'refused'],
  ['stopped', 'stopped'],
  ['key-disabled', 'disabled'],
  ['key-pending-deletion', 'disabled'],
  ['key-destroyed', 'destroyed'],
  ['decrypt-failed', 'corrupt'],
])('says why: %s is %s', async (code, reason) => {
  const sealed = await Sealed.stored(Buffer.from('x'), failing(code)).tryOpen();
  expect([sealed.isOpen, sealed.reason, String(sealed)]).toEqual([false, reason, `[sealed: ${reason}]`]);
  expect(() => sealed.value).toThrow(expect.objectContaining({ code }));
});

it('opens later, when it may be opened again', async () => {
  const fresh = Sealed.of(SECRET);
  await fresh.seal(json.encrypt);
  let stopped = true;
  const sealed = Sealed.stored<string>(fresh.stored!, async (stored) => await (stopped ? failing('stopped')() : json.open(stored)));
  await expect(sealed.open()).rejects.toThrow(Stopped);
  stopped = false;
  expect(await sealed.open()).toBe(SECRET);
});

it('asks once for all who open it at the same time, and no more once it is open', async () => {
  const opener = jest.fn(async () => SECRET);
  const sealed = Sealed.stored(Buffer.from('x'), opener);
  await Promise.all([sealed.open(), sealed.open(), sealed.tryOpen()]);
  await sealed.open();
  expect(opener).toHaveBeenCalledTimes(1);
});

it('keeps what it has when encrypting fails', async () => {
  const fresh = Sealed.of(SECRET);
  await expect(fresh.seal(failing('stopped'))).rejects.toThrow(Stopped);
  expect([fresh.value, fresh.stored]).toEqual([SECRET, undefined]);
  expect(() => fresh.toPostgres()).toThrow(InvalidCall);
});

it('turns an error of a stranger into one of ours, with its cause', async () => {
  const cause = new TypeError('bug');
  const sealed = await Sealed.stored(Buffer.from('x'), () => Promise.reject(cause)).tryOpen();
  expect(() => sealed.value).toThrow(expect.objectContaining({ code: 'unavailable', cause }));
});

describe('shows its value to nobody who has not asked for it:', () => {
  const ways: [string, (sealed: Sealed<string>) => string][] = [
    ['JSON', (sealed) => JSON.stringify({ iban: sealed, list: [sealed] })],
    ['a template', (sealed) => `The IBAN is ${sealed as unknown as string}.`],
    ['concatenation', (sealed) => 'IBAN ' + (sealed as unknown as string)],
    ['inspect, hidden things too', (sealed) => inspect({ iban: sealed }, { showHidden: true, depth: 9, getters: true })],
    ['format', (sealed) => format('%s %j %o %O %d', sealed, sealed, sealed, sealed, sealed)],
    ['its own names and values', (sealed) => JSON.stringify([Object.entries(sealed), { ...sealed }])],
    ['an error', (sealed) => inspect(new Error('No.', { cause: sealed }))],
  ];
  it.each(ways)('%s', async (_, way) => {
    const fresh = Sealed.of(SECRET);
    expect(way(fresh)).not.toContain('DE02');
    await fresh.seal(json.encrypt);
    expect(way(fresh)).not.toContain('DE02');
    expect(fresh.value).toContain('DE02'); // it was there
  });
});

it('is frozen once opened, so that a change inside it is not lost silently', async () => {
  const fresh = Sealed.of({ street: 'Ring 1', floors: [1] });
  await fresh.seal(json.encrypt);
  const { floors } = await Sealed.stored<{ floors: number[] }>(fresh.stored!, json.open).open();
  expect(() => floors.push(2)).toThrow(TypeError);
});
