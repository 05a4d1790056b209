import fc from 'fast-check';
import type { KeyId, KeyState, ProblemCode } from '#contract';
import { destroyKeys, signReceipts } from '../../apps/worker/destructions.js';
import { rotateRoots } from '../../apps/worker/root-rotations.js';
import type { FakeCustody } from '../../libs/testing/fake-custody.js';
import { dyingAfter } from './dying.js';
import { KeyWorld, refusal } from './key-world.js';
import { round } from './round.js';

/** What a key is, as far as its life goes. The model knows kms-semantics and nothing of the code. */
interface Model {
  state: KeyState;
  before: KeyState;
  protected: boolean;
  description: string;
  versions: number;
  tags: Record<string, string>;
  aliases: Set<string>;
}

/** `steps`: after how many of its calls the worker is killed; `away`: the custodian is gone while the command runs. */
type Command = readonly [name: keyof typeof COMMANDS, word: string, steps: number, away: boolean];
/** What a command does to the model, or the refusal that it meets. */
type Rule = (model: Model, word: string) => ProblemCode | undefined;

const active = ({ state }: Model) => state === 'Enabled' || state === 'Disabled';
const waiting = ({ state }: Model) => state === 'PendingDeletion';
const unlessWaiting =
  (change: (model: Model, word: string) => void): Rule =>
  (model, word) =>
    waiting(model) ? 'key-pending-deletion' : void change(model, word);
const moveTo =
  (state: KeyState): Rule =>
  (model) =>
    active(model) ? void (model.state = state) : 'state-unchangeable';

const LIVING = {
  enable: moveTo('Enabled'),
  disable: moveTo('Disabled'),
  schedule: (model) => {
    if (!active(model) || model.protected) return 'state-unchangeable';
    model.before = model.state;
    model.state = 'PendingDeletion';
    return undefined;
  },
  cancel: (model) => (waiting(model) ? void (model.state = model.before) : 'state-unchangeable'),
  protect: unlessWaiting((model) => (model.protected = true)),
  unprotect: unlessWaiting((model) => (model.protected = false)),
  describe: unlessWaiting((model, word) => (model.description = word)),
  tag: unlessWaiting((model, word) => (model.tags[word] = word)),
  untag: unlessWaiting((model, word) => (model.tags = Object.fromEntries(Object.entries(model.tags).filter(([name]) => name !== word)))),
  alias: (model, word) => {
    if (waiting(model)) return 'state-unchangeable';
    if (model.aliases.has(word)) return 'already-exists';
    model.aliases.add(word);
    return undefined;
  },
  unalias: (model, word) => (model.aliases.delete(word) ? undefined : 'not-found'),
  rotate: (model) => {
    if (model.state === 'Enabled') return void model.versions++;
    return waiting(model) ? 'key-pending-deletion' : 'key-disabled';
  },
  use: (model) => (model.state === 'Enabled' ? undefined : waiting(model) ? 'key-pending-deletion' : 'key-disabled'),
} as const satisfies Record<string, Rule>;

/** What a key whose end has come still does, and what comes to it by itself. */
const ALWAYS = {
  unalias: LIVING.unalias,
  /** The day has come, and the worker looks. */
  end: (model) => (waiting(model) ? void (model.state = 'Destroyed') : undefined),
  /** The tenant's root is rotated: nobody sees anything of it. */
  root: () => undefined,
} as const satisfies Record<string, Rule>;

const unlessDestroyed =
  (rule: Rule): Rule =>
  (model, word) =>
    model.state === 'Destroyed' ? 'key-destroyed' : rule(model, word);
const COMMANDS: Readonly<Record<keyof typeof LIVING | keyof typeof ALWAYS, Rule>> = {
  ...(Object.fromEntries(Object.entries(LIVING).map(([name, rule]) => [name, unlessDestroyed(rule)])) as Record<keyof typeof LIVING, Rule>),
  ...ALWAYS,
};

const END_WAIT = `UPDATE keyward.cmk SET deletion_at = now() - interval '1 second' WHERE key_id = $1 AND state = 'PendingDeletion'`;
const RUNS = 20;

describe('the life of a key', () => {
  let world: KeyWorld;
  beforeAll(async () => {
    world = await KeyWorld.start();
  });
  afterAll(() => world?.stop());

  const calls = (keyId: KeyId, aliasOf: (word: string) => never): Record<keyof typeof COMMANDS, (word: string) => Promise<unknown>> => ({
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
      fc.constantFrom(...(Object.keys(COMMANDS) as (keyof typeof COMMANDS)[]), 'schedule' as const, 'end' as const),
      word,
      fc.nat({ max: 12 }),
      fc.boolean(),
    );
    const seenTo = { work: 0, refuse: 0, end: 0, stay: 0 };
    let lives = 0;
    const life = async (commands: readonly Command[]) => {
      const name = `alias/life-${++lives}-`;
      const aliasOf = (alias: string) => `${name}${alias}` as never;
      const { keyId } = await world.create();
      let model: Model = {
        ...{ state: 'Enabled', before: 'Enabled', protected: false, description: '', versions: 1 },
        ...{ tags: {}, aliases: new Set() },
      };
      for (const [index, [what, about, steps, away]] of commands.entries()) {
        const next: Model = structuredClone(model);
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
        const { before: _, aliases, ...rest } = model;
        expect(await seen(keyId, aliasOf)).toEqual({ ...rest, aliases: [...aliases].sort() });
      }
    };
    await fc.assert(fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 25 }), life), { numRuns: RUNS, endOnFailure: true });
    // All of this was seen, or the property proves little.
    for (const times of Object.values(seenTo)) expect(times).toBeGreaterThan(0);
  }, 240_000);
});

/** How it was refused; undefined when it was not. */
async function codeOf(work: Promise<unknown>): Promise<ProblemCode | undefined> {
  const outcome = await Promise.allSettled([work]);
  return outcome[0].status === 'fulfilled' ? undefined : (await refusal(work)).code;
}
