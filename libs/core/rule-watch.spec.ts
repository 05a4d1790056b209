import type { TenantId } from '#contract';
import { KeywardError } from './errors.js';
import { RuleWatch } from './rule-watch.js';

const ACME = 'acme' as TenantId;
const SINCE = { tenant: 'e1', platform: 'p1' };

/** Epochs that the test moves, and a stream that is read as it comes. */
function aWorld() {
  const epochs = new Map([
    ['acme', 'e1'],
    ['platform', 'p1'],
  ]);
  let down = false;
  const reads = { epochs: async () => (down ? Promise.reject(new KeywardError('unavailable')) : new Map(epochs)) };
  const watch = new RuleWatch(reads, 5);
  const listen = (named = true, mayHear = async () => named, since = SINCE) => {
    const heard: string[] = [];
    const ended = (async () => {
      for await (const line of watch.events(ACME, since, named, mayHear)) heard.push(Buffer.from(line).toString().trim().split('\n')[0]!);
    })();
    return { heard, ended };
  };
  return { watch, listen, epochs, fall: () => (down = true), rise: () => (down = false) };
}
const looks = () => new Promise((resolve) => setTimeout(resolve, 40));

describe('a stream of rule changes', () => {
  it('says that it lives, and each change of the tenant, without a word more', async () => {
    const { watch, listen, epochs } = aWorld();
    const { heard, ended } = listen();
    await looks();
    expect(heard).toEqual([': alive']);
    epochs.set('acme', 'e2');
    await looks();
    epochs.set('acme', 'e3');
    await looks();
    expect(heard).toEqual([': alive', 'event: changed', 'event: changed']);
    watch.close();
    await ended;
  });

  it('begins with what changed between the decision and the first look', async () => {
    const { watch, listen } = aWorld();
    const { heard, ended } = listen(true, undefined, { ...SINCE, tenant: 'e0' });
    await looks();
    expect(heard).toContain('event: changed');
    watch.close();
    await ended;
  });

  it("ends when the ISV's rules change: the listener's own credential may be among them", async () => {
    const { listen, epochs } = aWorld();
    const { ended } = listen();
    await looks();
    epochs.set('platform', 'p2');
    await expect(ended).resolves.toBeUndefined();
  });

  it('tells nothing to whom the tenant names neither before nor after, and everything to whom it stops naming', async () => {
    const { watch, listen, epochs } = aWorld();
    const stranger = listen(false);
    const dropped = listen(true, async () => false);
    const found = listen(false, async () => true);
    await looks();
    epochs.set('acme', 'e2');
    await looks();
    expect([stranger, dropped, found].map(({ heard }) => heard.includes('event: changed'))).toEqual([false, true, true]);
    watch.close();
    await Promise.all([stranger.ended, dropped.ended, found.ended]);
  });

  it('looks the same for a tenant that does not exist', async () => {
    const { watch, listen, epochs } = aWorld();
    epochs.delete('acme');
    const { heard, ended } = listen(false, async () => false, { tenant: '', platform: '' });
    await looks();
    expect(heard).toEqual([': alive']);
    watch.close();
    await ended;
  });

  it('says nothing while nobody knows, and what happened meanwhile as soon as somebody does', async () => {
    const { watch, listen, epochs, fall, rise } = aWorld();
    const { heard, ended } = listen();
    await looks();
    fall();
    epochs.set('acme', 'e2');
    await looks();
    expect(heard).toEqual([': alive']);
    rise();
    await looks();
    expect(heard).toEqual([': alive', 'event: changed']);
    watch.close();
    await ended;
  });
});
