import { createHash } from 'node:crypto';
import { type Alias, type KeyDescription, type KeyState, managedAlias, type ServiceName, USAGES_OF } from '#contract';
import { keyNamesRow } from '../bound-rows.js';
import { InvalidRequest, KeywardError } from '../errors.js';
import { newKeyId, newKeyVersionId } from '../identifiers.js';
import { describeRotation } from '../key-rotation.js';
import { mustAllow } from '../key-states.js';
import type { Handlers, Prepared, Step } from '../pipeline.js';
import type { Custody, RuleBindings } from '../ports/custody.js';
import type { GrantPolicy } from '../ports/grants.js';
import type { Reads, UseReads } from '../ports/reads.js';
import type { StoredKey } from '../ports/rules.js';
import type { KeyChange } from '../ports/writes.js';
import { type RecordDetails, recordedVersion } from '../record.js';
import type { SnapshotKey } from '../snapshot.js';
import { mustBeAble } from './capabilities.js';
import { destroyed } from './destroyed.js';
import { changedFields } from './changed-fields.js';
import { describeKey } from './describe-key.js';
import { mustBeMeant, mustBeUnprotected } from './managed-keys.js';
import { hasMaterial, mustBeProven, ownKey, storedKey } from './own-key.js';
import { tagChange, taggedWith, untagged } from './tags.js';

const DAY_MS = 86_400_000;

type ChangeOfOneKey =
  | 'EnableKey'
  | 'DisableKey'
  | 'UpdateKeyDescription'
  | 'TagKey'
  | 'UntagKey'
  | 'SetDeletionProtection'
  | 'ScheduleKeyDeletion'
  | 'CancelKeyDeletion';
type KeyLifeOperation = 'CreateKey' | 'DescribeKey' | 'ListKeys' | 'GetShreddingReceipt' | ChangeOfOneKey;

export interface KeyLifeParts {
  readonly custody: Custody & Pick<RuleBindings, 'bindRule'>;
  readonly reads: Reads;
  readonly uses: Pick<UseReads, 'lastUse'>;
  readonly grants: GrantPolicy;
}

/** A tenant's keys, from their making to the wait for their end. */
export function keyLifeHandlers({ custody, reads, uses, grants }: KeyLifeParts): Handlers<KeyLifeOperation> {
  async function retag(step: Step<'TagKey'> | Step<'UntagKey'>, tagsOf: (key: SnapshotKey) => Readonly<Record<string, string>>) {
    const key = await changeable(step);
    const tags = tagsOf(key);
    const namesMac = await custody.bindRule(step.permit(), keyNamesRow(step.call.tenant, { ...key, tags }));
    return changed(key, { tags, namesMac }, tagChange(key.tags, tags));
  }
  /** The name of a managed key, and its last owner, if that one is no more: then the name goes on. */
  async function managed({ call, snapshot, permit }: Step<'CreateKey'>, service: ServiceName) {
    if ((await reads.service(service)) === undefined)
      throw new InvalidRequest([{ field: 'service', message: 'is no service of this platform' }]);
    const alias = managedAlias(service);
    const owner = await snapshot.key({ reference: alias });
    if (owner === undefined) return { alias, owner };
    mustBeProven(owner);
    if (owner.state !== 'Destroyed') throw new KeywardError('already-exists', `The key of ${service} is ${owner.keyId}.`);
    const aliases = owner.aliases.filter((name) => name !== alias);
    return {
      alias,
      owner: { keyId: owner.keyId, namesMac: await custody.bindRule(permit(), keyNamesRow(call.tenant, { ...owner, aliases })) },
    };
  }
  return {
    CreateKey: async (step) => {
      const { input, call, snapshot, now, permit } = step;
      const keyId = newKeyId(now);
      const { keySpec: spec, origin, alias, service, tags = {}, description, deletionProtection = service !== undefined } = input;
      const kept = service === undefined ? undefined : await managed(step, service);
      const aliases = [kept?.alias, alias].filter((name): name is Alias => name !== undefined);
      const hsm = await mustBeAble({ custody }, spec);
      const made = { tenant: call.tenant, keyId, versionId: newKeyVersionId(now), origin };
      const version = await custody.createKeyVersion(
        permit({ versionId: made.versionId }),
        {
          ...made,
          ...{ spec, usage: input.keyUsage ?? USAGES_OF[spec][0], logId: snapshot.rules.log.logId },
        },
        (await reads.root(call.tenant)).number,
      );
      const state = origin === 'EXTERNAL' ? 'PendingImport' : 'Enabled';
      const names = { keyId, aliases, tags, primaryVersion: version.versionId };
      const key: StoredKey = {
        ...names,
        ...{ state, description, createdAt: new Date(now), deletionProtection, deletion: undefined },
        versions: [version],
        namesMac: await custody.bindRule(permit(), keyNamesRow(call.tenant, names)),
      };
      return {
        answer: describeKey(key, [version]),
        details: {
          hsm,
          key: { id: keyId, ...recordedVersion(version), state },
          change: {
            spec,
            protectionLevel: version.protectionLevel,
            ...(alias && { alias }),
            ...(service && { managedBy: service }),
            ...(input.tags && tagChange({}, tags)),
            ...(deletionProtection && { deletionProtection }),
          },
        },
        apply: async (writes) => {
          if (kept?.owner !== undefined) {
            await writes.deleteAlias(kept.alias);
            await writes.updateKey(kept.owner.keyId, { namesMac: kept.owner.namesMac });
          }
          await writes.insertKey(key);
        },
      };
    },

    DescribeKey: async (step) => {
      const key = await ownKey(step, step.input.keyId);
      const lastUse = await uses.lastUse(step.call.tenant, key.keyId);
      const rotation = key.rotation && describeRotation(grants, step.snapshot.rules, key, step.now);
      const { destroyedAt } = key.state === 'Destroyed' ? await reads.keyPast(step.call.tenant, key.keyId) : {};
      const ended = destroyedAt && { destroyedAt: destroyedAt.toISOString() };
      const answer = { ...describeKey(key, key.versions.values()), ...(lastUse && { lastUse }), ...(rotation && { rotation }), ...ended };
      return { answer, details: { key: { id: key.keyId, state: key.state } } };
    },

    ListKeys: async ({ input, call }) => ({ answer: await reads.keys(call.tenant, input), details: {} }),

    GetShreddingReceipt: async ({ input, call }) => ({
      answer: destroyed(await reads.shreddingReceipt(call.tenant, input.keyId)),
      details: { key: { id: input.keyId, state: 'Destroyed' } },
    }),

    EnableKey: (step) => moveKey(step, 'Enabled'),
    DisableKey: (step) => moveKey(step, 'Disabled', step.input.service),

    UpdateKeyDescription: async (step) => {
      const { description } = step.input;
      const key = await changeable(step);
      return changed(key, { description }, changedFields(digested(key), digested({ description })));
    },

    TagKey: (step) => retag(step, (key) => taggedWith(key.tags, step.input.tags)),
    UntagKey: (step) => retag(step, (key) => untagged(key.tags, step.input.names)),

    SetDeletionProtection: async (step) => {
      const { enabled: deletionProtection, service } = step.input;
      const key = await changeable(step);
      if (!deletionProtection) mustBeMeant(key, service);
      return changed(key, { deletionProtection }, changedFields({ deletionProtection: key.deletionProtection }, { deletionProtection }));
    },

    /** From its return on no replica uses the key; nothing is lost yet. */
    ScheduleKeyDeletion: async (step) => {
      const key = await changeable(step);
      mustBeMeant(key, step.input.service);
      mustBeUnprotected(key);
      const at = new Date(step.now + step.input.pendingDays * DAY_MS);
      const change = changedFields({ state: key.state }, { state: 'PendingDeletion', deletionAt: at.toISOString() });
      const { state: stored } = await storedKey(step.snapshot, key);
      const { stateBefore = stored } = stored === 'PendingImport' ? await reads.keyPast(step.call.tenant, key.keyId) : {};
      return changed(key, { state: 'PendingDeletion', deletion: { at, stateBefore } }, change);
    },

    CancelKeyDeletion: async (step) => {
      const key = await changeable(step);
      const before = key.deletion?.stateBefore ?? 'Disabled';
      const deletionAt = key.deletion?.at.toISOString() ?? null;
      // Material that went meanwhile, or before, is waited for: the state before it is what the key has when it is back.
      const state = hasMaterial(key) ? before : 'PendingImport';
      const stateBefore = state === before ? null : before;
      return changed(key, { state, deletion: undefined, stateBefore }, changedFields({ state: key.state, deletionAt }, { state }));
    },
  };
}

/** The key that a call is about, if its state lets it be changed so. */
async function changeable(step: Step<ChangeOfOneKey>): Promise<SnapshotKey> {
  const key = await ownKey(step, step.input.keyId);
  mustAllow(step.operation, key);
  return key;
}

/** A description is prose of any length. */
const digested = ({ description }: { readonly description: string }) => ({
  descriptionDigest: createHash('sha256').update(description).digest('base64url'),
});

async function moveKey(step: Step<'EnableKey'> | Step<'DisableKey'>, state: KeyState, service?: ServiceName) {
  const key = await changeable(step);
  if (state === 'Disabled') mustBeMeant(key, service);
  return changed(key, { state }, changedFields({ state: key.state }, { state }));
}

function changed(key: SnapshotKey, change: KeyChange, told: NonNullable<RecordDetails['change']>): Prepared<KeyDescription> {
  const after = { ...key, ...change };
  return {
    answer: describeKey(after, key.versions.values()),
    details: { key: { id: key.keyId, state: after.state }, change: told },
    apply: (writes) => writes.updateKey(key.keyId, change),
  };
}
