import type { BindingKeyAnswer } from '#contract';
import { bindingKeyRow } from '../bound-rows.js';
import { KeywardError } from '../errors.js';
import type { Handlers } from '../pipeline.js';
import type { BindingKeyMaker, StoredBindingKey } from '../ports/binding-keys.js';
import type { RuleBindings } from '../ports/custody.js';
import type { Reads } from '../ports/reads.js';

export interface BindingKeyParts {
  readonly custody: BindingKeyMaker & Pick<RuleBindings, 'bindRule'>;
  readonly reads: Pick<Reads, 'bindingKey'>;
}

/** The key of the HSM that binds every row which gives authority. A rotation is begun and ended here; the worker carries it out. */
export function bindingKeyHandlers({
  custody,
  reads,
}: BindingKeyParts): Handlers<'RotateBindingKey' | 'RetireBindingKey' | 'DescribeBindingKey'> {
  return {
    RotateBindingKey: async ({ permit, now }) => {
      const before = await reads.bindingKey();
      if (isRotating(before)) throw new KeywardError('state-unchangeable', 'A rotation is under way.', { reason: 'binding-key-rotating' });
      const number = before.number + 1;
      // From here on it binds. What a crash leaves behind here, the next attempt finds.
      await custody.createBindingKey(permit(), number);
      const begun = { number, startedAt: new Date(now), endedAt: undefined, rebound: false, retired: false, broken: 0 };
      return {
        answer: described({ ...begun, left: before.left }),
        details: { change: { before: before.number, after: number } },
        apply: (writes) => writes.beginBindingRotation(number),
      };
    },

    /** The operators' word is bound by the new key: the custodian destroys none because of what stands in a table. */
    RetireBindingKey: async ({ permit }) => {
      const present = await reads.bindingKey();
      // What was changed since is looked at once more before it goes.
      if (!isRotating(present) || !present.rebound)
        throw new KeywardError('state-unchangeable', 'Not everything is bound by the newer key.', { reason: 'binding-key-needed' });
      const mac = await custody.bindRule(permit(), bindingKeyRow(present.number));
      return {
        answer: described({ ...present, retired: true }),
        details: { change: { number: present.number - 1 } },
        apply: (writes) => writes.retireBindingKey(present.number, mac),
      };
    },

    DescribeBindingKey: async () => ({ answer: described(await reads.bindingKey()), details: {} }),
  };
}

const isRotating = ({ startedAt, endedAt }: StoredBindingKey): boolean => startedAt !== undefined && endedAt === undefined;

const described = (key: StoredBindingKey): BindingKeyAnswer => ({
  ...{ number: key.number, rotating: isRotating(key), left: key.left, broken: key.broken, rebound: key.rebound, retired: key.retired },
  ...(key.startedAt && { startedAt: key.startedAt.toISOString() }),
  ...(key.endedAt && { endedAt: key.endedAt.toISOString() }),
});
