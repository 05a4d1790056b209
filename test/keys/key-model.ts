import type { KeyState, ProblemCode } from '#contract';

/** What a key is, as far as its life goes. The model knows kms-semantics and nothing of the code. */
export interface KeyModel {
  state: KeyState;
  /** What it is again when its deletion is cancelled. */
  before: KeyState;
  /** What it is again when its material is back. */
  behind: KeyState;
  readonly origin: 'KEYWARD' | 'EXTERNAL';
  /** Which the primary version has, or had; none before the first import. */
  material: string | undefined;
  protected: boolean;
  description: string;
  versions: number;
  tags: Record<string, string>;
  aliases: Set<string>;
}

export function aModel(origin: KeyModel['origin']): KeyModel {
  return {
    ...{ state: origin === 'KEYWARD' ? 'Enabled' : 'PendingImport', before: 'Enabled', behind: 'Enabled', origin, material: undefined },
    ...{ protected: false, description: '', versions: 1, tags: {}, aliases: new Set() },
  };
}

/** What a command does to the model, or the refusal that it meets. */
export type Rule = (model: KeyModel, word: string) => ProblemCode | undefined;

const active = ({ state }: KeyModel) => state === 'Enabled' || state === 'Disabled';
const waiting = ({ state }: KeyModel) => state === 'PendingDeletion';
const unlessWaiting =
  (change: (model: KeyModel, word: string) => void): Rule =>
  (model, word) =>
    waiting(model) ? 'key-pending-deletion' : void change(model, word);
const moveTo =
  (state: KeyState): Rule =>
  (model) =>
    active(model) ? void (model.state = state) : 'state-unchangeable';
const unlessEnabled = ({ state }: KeyModel): ProblemCode | undefined =>
  (
    ({
      Enabled: undefined,
      Disabled: 'key-disabled',
      PendingDeletion: 'key-pending-deletion',
      PendingImport: 'key-pending-import',
    }) as const
  )[state as Exclude<KeyState, 'Destroyed'>];
const ofExternal =
  (rule: Rule): Rule =>
  (model, word) =>
    model.origin === 'EXTERNAL' ? rule(model, word) : 'invalid-request';

const LIVING = {
  enable: moveTo('Enabled'),
  disable: moveTo('Disabled'),
  schedule: (model) => {
    if (waiting(model) || model.protected) return 'state-unchangeable';
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
    const refusal = unlessEnabled(model);
    if (refusal === undefined && model.origin === 'EXTERNAL') return 'invalid-request';
    if (refusal === undefined) model.versions++;
    return refusal;
  },
  use: unlessEnabled,
  /** Back to a version that waits, which takes its own only; or as a new one. */
  import: ofExternal((model, word) => {
    if (waiting(model)) return 'state-unchangeable';
    if (active(model)) model.versions++;
    else if (model.material !== undefined && model.material !== word) return 'invalid-request';
    else model.state = model.behind;
    model.material = word;
    return undefined;
  }),
  deleteMaterial: ofExternal((model) => {
    const at = waiting(model) ? 'before' : 'state';
    if (model[at] === 'PendingImport') return undefined;
    model.behind = model[at];
    model[at] = 'PendingImport';
    return undefined;
  }),
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

export type CommandName = keyof typeof LIVING | keyof typeof ALWAYS;
export const COMMANDS: Readonly<Record<CommandName, Rule>> = {
  ...(Object.fromEntries(Object.entries(LIVING).map(([name, rule]) => [name, unlessDestroyed(rule)])) as Record<keyof typeof LIVING, Rule>),
  ...ALWAYS,
};

/** What of the model everybody can see. */
export function visible({ state, protected: isProtected, description, versions, tags, aliases }: KeyModel) {
  return { state, protected: isProtected, description, versions, tags, aliases: [...aliases].sort() };
}
