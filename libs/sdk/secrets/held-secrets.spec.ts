import { errorOf } from '../errors.js';
import { cacheOf, HeldSecrets } from './held-secrets.js';

const TIMES = { ttlMs: 1000, refreshAfterMs: 700 };
const unavailable = errorOf('away', { code: 'unavailable', retryable: true });
const stopped = errorOf('stopped', { code: 'stopped' });

/** What Keyward would answer, and how often it was asked. */
function source(initial = 'one') {
  const state = { value: initial, error: undefined as Error | undefined, asked: 0 };
  const load = (): Promise<{ value: Uint8Array }> => {
    state.asked++;
    return state.error === undefined ? Promise.resolve({ value: Buffer.from(state.value) }) : Promise.reject(state.error);
  };
  return { state, load };
}
const text = ({ value }: { value: Uint8Array }) => Buffer.from(value).toString();

describe('values of secrets in memory', () => {
  beforeEach(() => jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask'] }));
  afterEach(() => jest.useRealTimers());

  function held(more: Partial<Parameters<typeof cacheOf>[0]> = {}) {
    const { state, load } = source();
    const secrets = new HeldSecrets(cacheOf({ ...TIMES, ...more }));
    return { state, secrets, get: async (name = 'a', tenant = 'acme') => text(await secrets.get(name, tenant, load)) };
  }

  it('are asked for once in their time, by however many at once', async () => {
    const { state, get } = held();
    expect(await Promise.all([get(), get(), get()])).toEqual(['one', 'one', 'one']);
    jest.advanceTimersByTime(600);
    expect(await get()).toBe('one');
    expect(state.asked).toBe(1);
  });

  it('are fetched anew in the background before their time is over, and nobody waits for it', async () => {
    const { state, get } = held();
    await get();
    state.value = 'two';
    jest.advanceTimersByTime(800);
    expect(await get()).toBe('one');
    await Promise.resolve();
    expect(await get()).toBe('two');
    expect(state.asked).toBe(2);
  });

  it('are asked for again when their time is over', async () => {
    const { state, get } = held();
    await get();
    state.value = 'two';
    jest.advanceTimersByTime(1001);
    expect(await get()).toBe('two');
  });

  it('are copies: who wipes one takes it from nobody', async () => {
    const { secrets, state } = held();
    const load = () => Promise.resolve({ value: Buffer.from(state.value) });
    (await secrets.get('a', 'acme', load)).value.fill(0);
    expect(text(await secrets.get('a', 'acme', load))).toBe('one');
  });

  it.each([
    ['not beyond their time unless that was chosen', 0, 1500, undefined],
    ['while Keyward is away, if that was chosen', 5000, 1500, 'one'],
    ['and no longer than that', 5000, 6500, undefined],
  ])('are served %s', async (_, staleWhileUnavailableMs, afterMs, expected) => {
    const { state, get } = held({ staleWhileUnavailableMs });
    await get();
    state.error = unavailable;
    jest.advanceTimersByTime(afterMs);
    await (expected === undefined ? expect(get()).rejects.toBe(unavailable) : expect(get()).resolves.toBe(expected));
  });

  it('are gone with the first refusal, also one in the background, however long they may be stale', async () => {
    const { state, get } = held({ staleWhileUnavailableMs: 60_000 });
    await get();
    state.error = stopped;
    jest.advanceTimersByTime(800);
    expect(await get()).toBe('one');
    await Promise.resolve();
    await expect(get()).rejects.toBe(stopped);
    state.error = unavailable;
    await expect(get()).rejects.toBe(unavailable);
  });

  it('are wiped for one tenant, with what was asked for before and comes later', async () => {
    const { secrets, state, get } = held();
    await get('a', 'acme');
    await get('b', 'globex');
    let answer: (value: { value: Uint8Array }) => void = () => undefined;
    const late = secrets.get('c', 'acme', () => new Promise((done) => (answer = done)));
    secrets.wipe('acme');
    answer({ value: Buffer.from('late') });
    expect(text(await late)).toBe('late');
    state.value = 'two';
    expect([await get('a', 'acme'), await get('b', 'globex'), await get('c', 'acme')]).toEqual(['two', 'one', 'two']);
  });

  it('leave this process when their time is over, asked for or not, and when they are too many', async () => {
    const kept: Uint8Array[] = [];
    const from = Uint8Array.from.bind(Uint8Array);
    const spy = jest.spyOn(Uint8Array, 'from').mockImplementation(((...values: Parameters<typeof from>) => {
      const made = from(...values);
      kept.push(made);
      return made;
    }) as typeof Uint8Array.from);
    const { get } = held({ maxEntries: 2 });
    await get('a');
    await get('b');
    await get('c');
    // The first copy of each is the one that is held.
    expect([kept[0], kept[2], kept[4]].map((one) => one?.every((byte) => byte === 0))).toEqual([true, false, false]);
    jest.advanceTimersByTime(1001);
    expect([kept[2], kept[4]].map((one) => one?.every((byte) => byte === 0))).toEqual([true, true]);
    spy.mockRestore();
  });

  it('are not held at all with a time of none', async () => {
    const { state, get } = held({ ttlMs: 0 });
    await get();
    await get();
    expect(state.asked).toBe(2);
  });

  it.each([[{ ttlMs: -1 }], [{ ttlMs: Number.NaN }], [{ maxEntries: -1 }], [{ staleWhileUnavailableMs: Number.POSITIVE_INFINITY }]])(
    'take no %j',
    (given) => expect(() => cacheOf(given)).toThrow(/must be a number that is not negative/),
  );
});
