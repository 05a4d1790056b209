import type { KeyDescription, KeyState } from '#contract';
import { keyNamesRow } from '../bound-rows.js';
import { KeywardError } from '../errors.js';
import { newKeyId, newKeyVersionId } from '../identifiers.js';
import { OPERATIONS } from '../operation-table.js';
import type { Handlers, Step } from '../pipeline.js';
import type { Custody, RuleBindings } from '../ports/custody.js';
import type { Reads } from '../ports/reads.js';
import type { StoredKey } from '../ports/rules.js';
import type { Writes } from '../ports/writes.js';
import { type Snapshot, type SnapshotKey, UNCHECKED } from '../snapshot.js';

/** Every decision looks at every alias of its key: without an end, one tenant could slow all others. */
const MAX_ALIASES = 50;

type KeyLifeOperation = 'CreateKey' | 'DescribeKey' | 'ListKeys' | 'EnableKey' | 'DisableKey' | 'CreateAlias';

export interface KeyLifeParts {
  readonly custody: Custody & Pick<RuleBindings, 'bindRule'>;
  readonly reads: Reads;
}

/** A tenant's keys and their names. */
export function keyLifeHandlers({ custody, reads }: KeyLifeParts): Handlers<KeyLifeOperation> {
  return {
    CreateKey: async ({ input, call, snapshot, now, permit }) => {
      const keyId = newKeyId(now);
      const draft = {
        tenant: call.tenant,
        keyId,
        versionId: newKeyVersionId(now),
        spec: input.keySpec,
        usage: input.keyUsage,
        origin: 'KEYWARD' as const,
        logId: snapshot.rules.log.logId,
      };
      const version = await custody.createKeyVersion(permit({ versionId: draft.versionId }), draft);
      const names = { keyId, aliases: input.alias === undefined ? [] : [input.alias], tags: {}, primaryVersion: version.versionId };
      const key: StoredKey = {
        ...names,
        state: 'Enabled',
        description: input.description,
        createdAt: new Date(now),
        versions: [version],
        namesMac: await custody.bindRule(permit(), keyNamesRow(call.tenant, names)),
      };
      return {
        answer: describe(key, [version]),
        details: {
          key: { id: keyId, versionId: version.versionId, state: 'Enabled' },
          change: { spec: version.spec, ...(input.alias && { alias: input.alias }) },
        },
        apply: (writes) => writes.insertKey(key),
      };
    },

    DescribeKey: async (step) => {
      const key = await ownKey(step, step.input.keyId);
      return { answer: describe(key, [...key.versions.values()]), details: { key: { id: key.keyId, state: key.state } } };
    },

    ListKeys: async ({ input, call }) => ({ answer: await reads.keys(call.tenant, input), details: {} }),

    EnableKey: (step) => moveKey(step, 'Enabled'),
    DisableKey: (step) => moveKey(step, 'Disabled'),

    CreateAlias: async (step) => {
      const { alias, keyId } = step.input;
      const key = await ownKey(step, keyId);
      mustAllow(step.operation, key);
      if (key.aliases.length >= MAX_ALIASES) throw new KeywardError('state-unchangeable', `A key has at most ${MAX_ALIASES} aliases.`);
      const names = keyNamesRow(step.call.tenant, { ...key, aliases: [...key.aliases, alias] });
      const namesMac = await custody.bindRule(step.permit(), names);
      return {
        answer: { alias, keyId: key.keyId },
        details: { key: { id: key.keyId, state: key.state }, change: { alias } },
        apply: (writes) => writes.insertAlias(alias, key.keyId, namesMac),
      };
    },
  };
}

export async function ownKey(
  { operation, snapshot }: { readonly operation: KeyLifeOperation; readonly snapshot: Snapshot },
  reference: string,
): Promise<SnapshotKey> {
  const key = await snapshot.key({ reference });
  if (key === undefined) throw new KeywardError('not-found', 'There is no such key.', { reason: 'unknown-key' });
  // Its names could be forged, and a change would bind them anew; disabling takes away whatever it is called.
  if (key.unproven === true && operation !== 'DisableKey') throw new KeywardError('unavailable', '', { reason: UNCHECKED });
  return key;
}

function mustAllow(operation: 'EnableKey' | 'DisableKey' | 'CreateAlias', key: SnapshotKey): void {
  const states: readonly KeyState[] = OPERATIONS[operation].keyStates;
  if (!states.includes(key.state)) throw new KeywardError('state-unchangeable', `The key is ${key.state}.`);
}

async function moveKey(step: Step<'EnableKey'> | Step<'DisableKey'>, state: KeyState) {
  const key = await ownKey(step, step.input.keyId);
  mustAllow(step.operation, key);
  return {
    answer: describe({ ...key, state }, [...key.versions.values()]),
    details: { key: { id: key.keyId, state }, change: { before: key.state, after: state } },
    apply: (writes: Writes) => writes.setKeyState(key.keyId, state),
  };
}

function describe(key: Omit<StoredKey, 'versions'>, versions: StoredKey['versions']): KeyDescription {
  const primary = versions.find(({ versionId }) => versionId === key.primaryVersion) ?? versions[0];
  if (primary === undefined) throw new KeywardError('internal', '', { reason: 'key-without-version' });
  const { keyId, state, description, aliases, primaryVersion } = key;
  const { spec: keySpec, usage: keyUsage, origin, protectionLevel } = primary;
  return {
    keyId,
    state,
    keySpec,
    keyUsage,
    origin,
    protectionLevel,
    description,
    aliases: [...aliases],
    primaryVersion,
    createdAt: key.createdAt.toISOString(),
  };
}
