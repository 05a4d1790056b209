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
    const turns = new Turns(8);
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
});
