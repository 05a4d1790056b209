import type { TenantId } from '#contract';
import { TenantTurns } from './tenant-turns.js';

const ACME = 'acme' as TenantId;
const GLOBEX = 'globex' as TenantId;

describe('long work of tenants', () => {
  it('is done one after the other, in order, also behind what failed', async () => {
    const turns = new TenantTurns();
    const done: string[] = [];
    const work = (name: string, fails = false) =>
      turns.run(ACME, async () => {
        done.push(`${name} begins`);
        await new Promise((resolve) => setTimeout(resolve, 1));
        done.push(`${name} ends`);
        if (fails) throw new Error(name);
      });
    const all = await Promise.allSettled([work('one', true), work('two')]);
    expect(all.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
    expect(done).toEqual(['one begins', 'one ends', 'two begins', 'two ends']);
  });

  it('of others goes on meanwhile, and so does everything else between two turns', async () => {
    const turns = new TenantTurns();
    const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
    const waiting = turns.run(ACME, () => held);
    expect(await turns.run(GLOBEX, async () => 'answered')).toBe('answered');
    letGo();
    let between = 0;
    const others = setInterval(() => between++, 0);
    await waiting;
    await Promise.all(
      Array.from({ length: 10 }, () =>
        turns.run(ACME, async () => {
          const until = performance.now() + 5;
          while (performance.now() < until);
        }),
      ),
    );
    clearInterval(others);
    expect(between).toBeGreaterThan(3);
  });

  it('is turned away when too much of it waits, and taken again afterwards', async () => {
    const turns = new TenantTurns();
    const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
    const taken = Array.from({ length: 256 }, () => turns.run(ACME, () => held));
    await expect(turns.run(ACME, async () => 1)).rejects.toMatchObject({ code: 'too-many-requests', retryAfterSeconds: 1 });
    letGo();
    await Promise.all(taken);
    expect(await turns.run(ACME, async () => 1)).toBe(1);
  });
});
