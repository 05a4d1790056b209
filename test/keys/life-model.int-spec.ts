import fc from 'fast-check';
import type { KeyId, KeyState, ProblemCode } from '#contract';
import { KeyWorld, refusal } from './key-world.js';

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

type Command = readonly [name: keyof typeof COMMANDS, word: string];
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

const COMMANDS = {
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

const RUNS = 15;

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
  });

  async function seen(keyId: KeyId, aliasOf: (word: string) => string) {
    const { state, deletionProtection, description, tags, aliases } = await world.admin('DescribeKey', { keyId });
    const { items } = await world.admin('ListKeyVersions', { keyId, limit: 100, cursor: undefined });
    const words = ['a', 'b', 'c'].filter((word) => aliases.some((name) => name === aliasOf(word)));
    return { state, protected: deletionProtection, description, tags, aliases: words, versions: items.length };
  }

  it('never parts from its model, whatever is asked in whatever order', async () => {
    const word = fc.constantFrom('a', 'b', 'c');
    const command: fc.Arbitrary<Command> = fc.tuple(fc.constantFrom(...(Object.keys(COMMANDS) as (keyof typeof COMMANDS)[])), word);
    let [told, lives] = [0, 0];
    const life = async (commands: readonly Command[]) => {
      const name = `alias/life-${++lives}-`;
      const aliasOf = (alias: string) => `${name}${alias}` as never;
      const { keyId } = await world.create();
      const model: Model = {
        ...{ state: 'Enabled', before: 'Enabled', protected: false, description: '', versions: 1 },
        ...{ tags: {}, aliases: new Set() },
      };
      for (const [index, [what, about]] of commands.entries()) {
        const rule: Rule = COMMANDS[what];
        const expected = rule(model, about);
        const call = calls(keyId, aliasOf)[what](about);
        if (expected === undefined) await call;
        else expect([index, what, (await refusal(call)).code]).toEqual([index, what, expected]);
        told += expected === undefined ? 0 : 1;
        const { before: _, aliases, ...rest } = model;
        expect(await seen(keyId, aliasOf)).toEqual({ ...rest, aliases: [...aliases].sort() });
      }
    };
    await fc.assert(fc.asyncProperty(fc.array(command, { minLength: 5, maxLength: 25 }), life), { numRuns: RUNS });
    // Both what is done and what is refused were seen, or the property proves little.
    expect(told).toBeGreaterThan(RUNS);
  });
});
