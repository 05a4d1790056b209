import type { Alias } from '#contract';
import { keyNamesRow } from '../bound-rows.js';
import { KeywardError } from '../errors.js';
import { mustAllow } from '../key-states.js';
import type { Handlers, Step } from '../pipeline.js';
import type { RuleBindings } from '../ports/custody.js';
import type { Reads } from '../ports/reads.js';
import type { SnapshotKey } from '../snapshot.js';
import { changedFields } from './changed-fields.js';
import { ownKey } from './own-key.js';

/** Every decision looks at every alias of its key: without an end, one tenant could slow all others. */
const MAX_ALIASES = 50;

type AliasOperation = 'CreateAlias' | 'UpdateAlias' | 'DeleteAlias' | 'ListAliases';
type AliasChange = Exclude<AliasOperation, 'ListAliases'>;

export interface AliasParts {
  readonly custody: Pick<RuleBindings, 'bindRule'>;
  readonly reads: Pick<Reads, 'aliases'>;
}

/** The names of keys. Rules mean keys by them, so each change binds them anew to the key, and moves the epoch. */
export function aliasHandlers({ custody, reads }: AliasParts): Handlers<AliasOperation> {
  const bound = async ({ permit, call }: Pick<Step<AliasChange>, 'permit' | 'call'>, key: SnapshotKey, aliases: readonly Alias[]) =>
    await custody.bindRule(permit(), keyNamesRow(call.tenant, { ...key, aliases }));
  const withAlias = (step: Step<'CreateAlias'> | Step<'UpdateAlias'>, key: SnapshotKey) => {
    if (key.aliases.length >= MAX_ALIASES) throw new KeywardError('state-unchangeable', `A key has at most ${MAX_ALIASES} aliases.`);
    return bound(step, key, [...key.aliases, step.input.alias]);
  };
  const withoutAlias = (step: Step<'UpdateAlias'> | Step<'DeleteAlias'>, key: SnapshotKey) =>
    bound(
      step,
      key,
      key.aliases.filter((name) => name !== step.input.alias),
    );
  return {
    CreateAlias: async (step) => {
      const { alias, keyId } = step.input;
      const key = await ownKey(step, keyId);
      mustAllow(step.operation, key);
      const namesMac = await withAlias(step, key);
      return {
        answer: { alias, keyId: key.keyId },
        details: { key: { id: key.keyId, state: key.state }, change: { alias } },
        apply: async (writes) => {
          await writes.insertAlias(alias, key.keyId);
          await writes.updateKey(key.keyId, { namesMac });
        },
      };
    },

    /** To another key, whatever became of the one that had it. */
    UpdateAlias: async (step) => {
      const { alias, keyId } = step.input;
      const [from, to] = [await ownerOf(step, alias), await ownKey(step, keyId)];
      mustAllow(step.operation, to);
      const answer = { alias, keyId: to.keyId };
      const details = {
        key: { id: to.keyId, state: to.state },
        change: { alias, ...changedFields({ keyId: from.keyId }, { keyId: to.keyId }) },
      };
      if (from.keyId === to.keyId) return { answer, details, apply: () => Promise.resolve() };
      const [given, left] = [await withAlias(step, to), await withoutAlias(step, from)];
      return {
        answer,
        details,
        apply: async (writes) => {
          await writes.moveAlias(alias, to.keyId);
          await writes.updateKey(to.keyId, { namesMac: given });
          await writes.updateKey(from.keyId, { namesMac: left });
        },
      };
    },

    DeleteAlias: async (step) => {
      const { alias } = step.input;
      const key = await ownerOf(step, alias);
      const namesMac = await withoutAlias(step, key);
      return {
        answer: undefined,
        details: { key: { id: key.keyId, state: key.state }, change: { alias } },
        apply: async (writes) => {
          await writes.deleteAlias(alias);
          await writes.updateKey(key.keyId, { namesMac });
        },
      };
    },

    ListAliases: async ({ input, call }) => ({ answer: await reads.aliases(call.tenant, input), details: {} }),
  };
}

async function ownerOf(step: Pick<Step<AliasChange>, 'operation' | 'snapshot' | 'now'>, alias: Alias): Promise<SnapshotKey> {
  if ((await step.snapshot.key({ reference: alias })) === undefined) throw new KeywardError('not-found', 'There is no such alias.');
  return await ownKey(step, alias);
}
