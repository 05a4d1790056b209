import { keyRotationRow } from '../bound-rows.js';
import { KeywardError } from '../errors.js';
import { describeRotation, mustRotateByItself, nextRotation } from '../key-rotation.js';
import { mustAllow } from '../key-states.js';
import type { Handlers } from '../pipeline.js';
import type { RuleBindings } from '../ports/custody.js';
import type { GrantPolicy } from '../ports/grants.js';
import type { Reads } from '../ports/reads.js';
import { changedFields } from './changed-fields.js';
import { ownKey } from './own-key.js';

export interface KeyRotationParts {
  readonly custody: Pick<RuleBindings, 'bindRule'>;
  readonly grants: GrantPolicy;
  readonly reads: Pick<Reads, 'calendar'>;
}

/** How often a key is rotated without anybody's asking: what its admins publish, bound by the HSM like every rule. */
export const keyRotationHandlers = ({
  custody,
  grants,
  reads,
}: KeyRotationParts): Handlers<'PutKeyRotation' | 'GetKeyRotation' | 'ListCalendar'> => ({
  ListCalendar: async ({ input, call }) => ({ answer: await reads.calendar(call.tenant, input), details: {} }),

  PutKeyRotation: async (step) => {
    const { call, input, snapshot, permit } = step;
    const { intervalDays, replaces } = input;
    const key = await ownKey(step, input.keyId);
    mustAllow(step.operation, key);
    if (input.enabled) mustRotateByItself(key);
    const present = key.rotation?.version ?? 0;
    if (replaces !== present) throw new KeywardError('precondition-failed', `The rotation policy is version ${present}.`);
    const policy = { version: present + 1, intervalDays };
    const mac = await custody.bindRule(permit(), keyRotationRow(call.tenant, { keyId: key.keyId, ...policy }));
    const rotation = { ...policy, mac };
    const nextAt = intervalDays === undefined ? undefined : nextRotation(key.primaryVersion, intervalDays);
    return {
      answer: describeRotation(grants, snapshot.rules, { ...key, rotation }, step.now),
      details: { key: { id: key.keyId, state: key.state }, change: changedFields(told(key.rotation), told(rotation)) },
      apply: (writes) => writes.putRotation(key.keyId, rotation, nextAt),
    };
  },

  GetKeyRotation: async (step) => {
    const key = await ownKey(step, step.input.keyId);
    return { answer: describeRotation(grants, step.snapshot.rules, key, step.now), details: { key: { id: key.keyId, state: key.state } } };
  },
});

const told = (rotation: { readonly version: number; readonly intervalDays: number | undefined } | undefined) => ({
  rotationVersion: rotation?.version ?? 0,
  intervalDays: rotation?.intervalDays ?? null,
});
