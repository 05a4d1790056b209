import { createHash } from 'node:crypto';
import fc from 'fast-check';
import type { KeyId, ProblemCode } from '#contract';
import { destroyKeys, signReceipts } from '../../apps/worker/destructions.js';
import { rotateRoots } from '../../apps/worker/root-rotations.js';
import type { FakeCustody } from '../../libs/testing/fake-custody.js';
import { dyingAfter } from './dying.js';
import { wrappedFor } from './importing.js';
import { aModel, type CommandName, COMMANDS, type KeyModel, visible } from './key-model.js';
import { KeyWorld, refusal } from './key-world.js';
import { round } from './round.js';

/** `steps`: after how many of its calls the worker is killed; `away`: the custodian is gone while the command runs. */
type Command = readonly [name: CommandName, word: string, steps: number, away: boolean];
const END_WAIT = `UPDATE keyward.cmk SET deletion_at = now() - interval '1 second' WHERE key_id = $1 AND state = 'PendingDeletion'`;
const RUNS = 20;

describe('the life of a key', () => {
  let world: KeyWorld;
  beforeAll(async () => {
    world = await KeyWorld.start();
  });
  afterAll(() => world?.stop());

  const calls = (keyId: KeyId, aliasOf: (word: string) => never): Record<CommandName, (word: string) => Promise<unknown>> => ({
    enable: () => world.admin('EnableKey', { keyId }),
    disable: () => world.admin('DisableKey', { keyId }),
    schedule: () => world.admin('ScheduleKeyDeletion', { keyId, pendingDays: 7 }),
    cancel: () => world.admin('CancelKeyDeletion', { keyId }),
    protect: () => world.admin('SetDeletionProtection', { keyId, enabled: true }),
    unprotect: () => world.admin('SetDeletionProtection', { keyId, enabled: false }),
    describe: (word) => world.admin('UpdateKeyDescription', { keyId, description: word }),
    tag: (word) => world.admin('TagKey', { keyId, tags: { [word]: word } }),
    untag: (word) => world.admin('UntagKey', { keyId, names: [word] }),
    alias: (word) => world.admin('CreateAlias', { keyId, alias: aliasOf(word) }),
    unalias: (word) => world.admin('DeleteAlias', { alias: aliasOf(word) }),
    rotate: () => world.admin('CreateKeyVersion', { keyId }),
    use: () => world.service('GenerateDataKeyWithoutPlaintext', { keyId }),
    import: async (word) => {
      const material = createHash('sha256').update(word).digest();
      return await world.admin('ImportKeyMaterial', { keyId, ...(await wrappedFor(world, keyId, material)) });
    },
    deleteMaterial: () => world.admin('DeleteImportedKeyMaterial', { keyId }),
    end: () => Promise.resolve(),
    root: () => Promise.resolve(),
  });

  /** Workers, each killed after so many steps, and then one that lives. */
  async function work(keyId: KeyId, what: 'end' | 'root', steps: number): Promise<void> {
    const { endings, roots } = world.worker;
    const custody: FakeCustody = world.custody;
    const look = async (parts: { endings: typeof endings; roots: typeof roots; custody: FakeCustody }) => {
      const kinds = what === 'end' ? [destroyKeys({ ...parts, seenDueForMs: 0 }), signReceipts(parts)] : [rotateRoots(parts)];
      await round(kinds, () => undefined);
    };
    if (what === 'end') await world.database.as('superuser', (client) => client.query(END_WAIT, [keyId]));
    else await world.admin('RotateRoot', undefined);
    for (let left = steps; left >= 0; left -= 3) await look(dyingAfter(left, { endings, roots, custody })).catch(() => undefined);
    const isOpen = async () =>
      what === 'end'
        ? (await world.admin('DescribeKey', { keyId })).state === 'PendingDeletion'
        : (await world.admin('DescribeRoot', undefined)).rotating;
    do await look({ endings, roots, custody });
    while (await isOpen());
  }

  async function seen(keyId: KeyId, aliasOf: (word: string) => string) {
    const { state, deletionProtection, description, tags, aliases } = await world.admin('DescribeKey', { keyId });
    const { items } = await world.admin('ListKeyVersions', { keyId, limit: 100, cursor: undefined });
    const words = ['a', 'b', 'c'].filter((word) => aliases.some((name) => name === aliasOf(word)));
    return { state, protected: deletionProtection, description, tags, aliases: words, versions: items.length };
  }

  it('never parts from its model, whatever is asked in whatever order', async () => {
    const word = fc.constantFrom('a', 'b', 'c');
    const command: fc.Arbitrary<Command> = fc.tuple(
      fc.constantFrom(...(Object.keys(COMMANDS) as CommandName[]), 'schedule' as const, 'end' as const),
      word,
      fc.nat({ max: 12 }),
      fc.boolean(),
    );
    const seenTo = { work: 0, refuse: 0, end: 0, stay: 0 };
    let named = 0;
    const life = async (origin: KeyModel['origin'], commands: readonly Command[]) => {
      const name = `alias/life-${++named}-`;
      const aliasOf = (alias: string) => `${name}${alias}` as never;
      const { keyId } = await world.create({ origin });
      let model = aModel(origin);
      for (const [index, [what, about, steps, away]] of commands.entries()) {
        const next = structuredClone(model);
        const expected = COMMANDS[what](next, about);
        const isWork = what === 'end' || what === 'root';
        world.custody.down = away && !isWork;
        const told = await codeOf(isWork ? work(keyId, what, steps) : calls(keyId, aliasOf)[what](about));
        world.custody.down = false;
        // Without custody it is done, or refused, as always, or not at all.
        if (away && told === 'unavailable') seenTo.stay += 1;
        else {
          expect([index, what, told]).toEqual([index, what, expected]);
          seenTo[expected === undefined ? 'work' : 'refuse'] += 1;
          if (model.state !== 'Destroyed' && next.state === 'Destroyed') seenTo.end += 1;
          model = next;
        }
        expect(await seen(keyId, aliasOf)).toEqual(visible(model));
      }
    };
    const origin = fc.constantFrom('KEYWARD' as const, 'EXTERNAL' as const);
    const lives = fc.asyncProperty(origin, fc.array(command, { minLength: 5, maxLength: 25 }), life);
    await fc.assert(lives, { numRuns: RUNS, endOnFailure: true });
    // All of this was seen, or the property proves little.
    for (const times of Object.values(seenTo)) expect(times).toBeGreaterThan(0);
  }, 240_000);
});

/** How it was refused; undefined when it was not. */
async function codeOf(work: Promise<unknown>): Promise<ProblemCode | undefined> {
  const outcome = await Promise.allSettled([work]);
  return outcome[0].status === 'fulfilled' ? undefined : (await refusal(work)).code;
}
