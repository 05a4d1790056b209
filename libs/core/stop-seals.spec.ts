import type { StopId, TenantId } from '#contract';
import { StopSeals } from '#core';

const ACME = 'acme' as TenantId;
const STOP = 'stop_1' as StopId;
const MAC = new Uint8Array(32).fill(1);

describe('the binding of a stop', () => {
  it('is part of the stop when custody is there', async () => {
    expect(await new StopSeals({ sealStop: async () => undefined }).inTime(async () => MAC)).toBe(MAC);
  });

  it.each([
    ['is gone', () => Promise.reject(new Error('no custody'))],
    ['hangs', () => new Promise<Uint8Array>(() => undefined)],
  ])('does not keep the stop waiting when custody %s', async (_, bind) => {
    expect(await new StopSeals({ sealStop: async () => undefined }).inTime(bind)).toBeUndefined();
  });

  it('follows as soon as custody and database are both back', async () => {
    jest.useFakeTimers({ doNotFake: ['queueMicrotask', 'nextTick'] });
    try {
      const sealed: unknown[] = [];
      const retries: unknown[] = [];
      const answers = [() => Promise.reject(new Error('no custody')), async () => MAC, async () => MAC];
      let writes = 0;
      const store = {
        sealStop: async (...seal: unknown[]) => {
          if (writes++ === 0) throw new Error('no database');
          sealed.push(seal);
        },
      };
      const seals = new StopSeals(store, (error) => retries.push(error));
      seals.follow(ACME, STOP, () => answers.shift()!());
      for (let second = 0; second < 3; second++) await jest.advanceTimersByTimeAsync(1000);
      expect(sealed).toEqual([[ACME, STOP, MAC]]);
      expect(retries).toHaveLength(2);
    } finally {
      jest.useRealTimers();
    }
  });
});
