import type { KeyObject } from 'node:crypto';
import type { KeyDescription, KeyState, PolicyAnswer, StopAnswer } from '#contract';
import { KeywardError } from '../errors.js';
import { newKeyId, newKeyVersionId, newStopId } from '../identifiers.js';
import { OPERATIONS } from '../operation-table.js';
import type { Handlers, Step } from '../pipeline.js';
import { policyDigest } from '../policy-digest.js';
import type { Custody } from '../ports/custody.js';
import type { Reads } from '../ports/reads.js';
import type { StoredKey } from '../ports/rules.js';
import type { Writes } from '../ports/writes.js';
import type { SnapshotKey } from '../snapshot.js';
import { issueCredential } from './issue-credential.js';

const ADMIN_DAYS = 366;
/** Every decision looks at every stop, and at every alias of its key: without an end, one tenant could slow all others. */
const MAX_STOPS = 100;
const MAX_ALIASES = 50;

type AdminOperation =
  | 'Enrol'
  | 'IssueCredential'
  | 'ListCredentials'
  | 'RevokeCredential'
  | 'CreateKey'
  | 'DescribeKey'
  | 'ListKeys'
  | 'EnableKey'
  | 'DisableKey'
  | 'CreateAlias'
  | 'PutPolicy'
  | 'GetPolicy'
  | 'Stop'
  | 'Lift'
  | 'ListStops';

export interface AdminParts {
  readonly custody: Custody;
  readonly reads: Reads;
  readonly pepper: KeyObject;
}

/** What a tenant's admins do with what is theirs. */
export function adminHandlers({ custody, reads, pepper }: AdminParts): Handlers<AdminOperation> {
  return {
    /** Record 0 of the tenant's log: it names the first admin and the key that will sign the log. The code is spent in the same transaction. */
    Enrol: async ({ input, call, principal, snapshot, now }) => {
      const { vkey } = snapshot.rules.log;
      const { answer, row } = issueCredential(
        pepper,
        { tenant: call.tenant, principal: input.admin, role: 'admin', days: ADMIN_DAYS },
        now,
      );
      return {
        answer: {
          tenant: call.tenant,
          principal: input.admin,
          credentialId: row.credentialId,
          apiKey: answer.apiKey,
          expiresAt: answer.expiresAt,
          vkey,
        },
        details: { change: { admin: input.admin, credentialId: row.credentialId, vkey } },
        apply: async (writes) => {
          await writes.revokeCredential(principal.credentialId, new Date(now));
          await writes.activateTenant();
          await writes.insertCredential(row);
        },
      };
    },

    IssueCredential: async ({ input, call, now }) => {
      const { principal, role, expiresInDays: days } = input;
      const { answer, row } = issueCredential(pepper, { tenant: call.tenant, principal, role, days }, now);
      return {
        answer,
        details: { change: { principal, role, credentialId: row.credentialId } },
        apply: (writes) => writes.insertCredential(row),
      };
    },

    ListCredentials: async ({ input, call }) => ({ answer: await reads.credentials(call.tenant, input), details: {} }),

    RevokeCredential: async ({ input, now }) => ({
      answer: undefined,
      details: { change: { credentialId: input.credentialId } },
      apply: (writes) => writes.revokeCredential(input.credentialId, new Date(now)),
    }),

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
      const key: StoredKey = {
        keyId,
        state: 'Enabled',
        description: input.description,
        createdAt: new Date(now),
        aliases: input.alias === undefined ? [] : [input.alias],
        tags: {},
        primaryVersion: version.versionId,
        versions: [version],
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
      return {
        answer: { alias, keyId: key.keyId },
        details: { key: { id: key.keyId, state: key.state }, change: { alias } },
        apply: (writes) => writes.insertAlias(alias, key.keyId),
      };
    },

    PutPolicy: async ({ input, principal, snapshot, now }) => {
      const present = snapshot.rules.policy?.version ?? 0;
      if (input.replaces !== present) throw new KeywardError('precondition-failed', `The published version is ${present}.`);
      const { document } = input;
      const policy: PolicyAnswer = {
        version: present + 1,
        digest: policyDigest(document),
        author: principal.name,
        publishedAt: new Date(now).toISOString(),
        document,
      };
      return {
        answer: policy,
        details: { change: { policyVersion: policy.version, policyDigest: policy.digest } },
        apply: (writes) => writes.insertPolicy(policy),
      };
    },

    GetPolicy: async ({ snapshot }) => {
      const { policy } = snapshot.rules;
      if (policy === undefined) throw new KeywardError('not-found', 'No policy has been published.');
      return { answer: policy, details: {} };
    },

    Stop: async ({ input, principal, snapshot, now }) => {
      if (snapshot.rules.stops.length >= MAX_STOPS)
        throw new KeywardError('state-unchangeable', `At most ${MAX_STOPS} stops; stop everything instead.`);
      const stop: StopAnswer = { stopId: newStopId(now), ...input, stoppedBy: principal.name, stoppedAt: new Date(now).toISOString() };
      return {
        answer: stop,
        details: { change: { stopId: stop.stopId, ...stop.target } },
        apply: (writes) => writes.insertStop(stop),
      };
    },

    Lift: async ({ input, principal, now }) => ({
      answer: undefined,
      details: { change: { stopId: input.stopId } },
      apply: (writes) => writes.liftStop(input.stopId, principal.name, new Date(now)),
    }),

    ListStops: async ({ input, call }) => ({ answer: await reads.stops(call.tenant, input), details: {} }),
  };
}

async function ownKey({ snapshot }: Pick<Step<'DescribeKey'>, 'snapshot'>, reference: string): Promise<SnapshotKey> {
  const key = await snapshot.key({ reference });
  if (key === undefined) throw new KeywardError('not-found', 'There is no such key.', { reason: 'unknown-key' });
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
