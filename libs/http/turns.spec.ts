import { MAX_AT_ONCE, MAX_WAITING, Turns } from './turns.js';

const ANNA = 'crd_anna';
/** What is settled once everything that can go on has gone on. */
const settled = async <Answer>(turn: Promise<Answer>): Promise<'waits' | 'goes'> => {
  const later = new Promise<'waits'>((resolve) => setImmediate(() => resolve('waits')));
  return await Promise.race([turn.then(() => 'goes' as const), later]);
};
const take = (turns: Turns, count: number, who = ANNA) => Array.from({ length: count }, () => turns.take(who));

describe('the turns of one credential', () => {
  it('are so many at once; the next waits until one ends, in order', async () => {
    const turns = new Turns();
    const [first] = await Promise.all(take(turns, MAX_AT_ONCE));
    const [next, last] = take(turns, 2);
    expect([await settled(next!), await settled(last!)]).toEqual(['waits', 'waits']);
    first!();
    expect([await settled(next!), await settled(last!)]).toEqual(['goes', 'waits']);
  });

  it('are fewer of what weighs more, in order, and never none', async () => {
    const turns = new Turns({ atOnce: 8 });
    const [half, other] = await Promise.all([turns.take(ANNA, 4), turns.take(ANNA, 4)]);
    const [heavy, light] = [turns.take(ANNA, 20), turns.take(ANNA)];
    half();
    expect([await settled(heavy), await settled(light)]).toEqual(['waits', 'waits']);
    other();
    expect([await settled(heavy), await settled(light)]).toEqual(['goes', 'waits']);
    (await heavy)();
    expect(await settled(light)).toBe('goes');
  });

  it('take nothing from another credential', async () => {
    const turns = new Turns();
    await Promise.all(take(turns, MAX_AT_ONCE));
    expect(await settled(turns.take('crd_ben'))).toBe('goes');
  });

  it('end in `unavailable` when too many wait, and start anew when all have ended', async () => {
    const turns = new Turns();
    const busy = await Promise.all(take(turns, MAX_AT_ONCE));
    const waiting = take(turns, MAX_WAITING);
    await expect(turns.take(ANNA)).rejects.toMatchObject({ code: 'unavailable' });
    for (const end of busy) end();
    for (const turn of waiting) (await turn)();
    const again = take(turns, MAX_AT_ONCE);
    for (const turn of again) expect(await settled(turn)).toBe('goes');
  });

  describe('while others are about', () => {
    afterEach(() => jest.useRealTimers());
    const counted = async (turns: Promise<unknown>[]) => (await Promise.all(turns.map(settled))).filter((state) => state === 'goes').length;
    const crowd = () => new Turns({ atOnce: 100, beside: 3 });

    it('are a few more than all of these have under way, and more as they have more', async () => {
      const turns = crowd();
      const [ben] = await Promise.all(take(turns, 2, 'crd_ben'));
      const anna = take(turns, 20);
      expect(await counted(anna)).toBe(5);
      const more = take(turns, 4, 'crd_ben');
      expect(await counted(more)).toBe(4);
      ben!();
      expect(await counted(anna)).toBe(8);
    });

    it('grow with each other: two who ask for much both have much', async () => {
      const turns = crowd();
      const [ben, anna] = [take(turns, 40, 'crd_ben'), take(turns, 40)];
      const ends = new Set<() => void>();
      for (let round = 0; round < 30; round++) {
        for (const turn of [...ben, ...anna]) if ((await settled(turn)) === 'goes') ends.add(await turn);
        const [oldest] = ends;
        oldest!();
        ends.delete(oldest!);
      }
      expect(await counted([...ben, ...anna])).toBe(80);
    });

    it('are those of one alone again, soon after the others have gone', async () => {
      jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
      const turns = crowd();
      const [ben] = await Promise.all(take(turns, 1, 'crd_ben'));
      ben!();
      const anna = take(turns, 20);
      expect(await counted(anna)).toBe(3);
      jest.advanceTimersByTime(2500);
      const late = turns.take(ANNA);
      (await anna[0]!)();
      expect(await counted([...anna, late])).toBe(21);
    });

    it('are never none, however much one call weighs', async () => {
      const turns = crowd();
      await turns.take('crd_ben');
      const [heavy, next] = [turns.take(ANNA, 50), turns.take(ANNA)];
      expect([await settled(heavy), await settled(next)]).toEqual(['goes', 'waits']);
    });
  });
});
