import type { RootAnswer } from '#contract';
import { KeywardError } from '../errors.js';
import type { Handlers } from '../pipeline.js';
import type { Custody } from '../ports/custody.js';
import type { Reads } from '../ports/reads.js';
import type { StoredRoot } from '../ports/roots.js';

export interface RootParts {
  readonly custody: Pick<Custody, 'createTenantRoot'>;
  readonly reads: Pick<Reads, 'root'>;
}

/** The root that wraps a tenant's keys. A rotation is begun here; the worker wraps the keys anew and destroys the older root. */
export function rootHandlers({ custody, reads }: RootParts): Handlers<'RotateRoot' | 'DescribeRoot'> {
  return {
    RotateRoot: async ({ call, permit, now }) => {
      const before = await reads.root(call.tenant);
      if (isRotating(before)) throw new KeywardError('state-unchangeable', 'A rotation is under way.', { reason: 'root-rotating' });
      const number = before.number + 1;
      // What a crash leaves behind here, the next attempt finds.
      await custody.createTenantRoot(permit(), number);
      const startedAt = new Date(now);
      return {
        answer: { ...described({ ...before, number, startedAt, endedAt: undefined }), left: before.left },
        details: { change: { before: before.number, after: number } },
        apply: (writes) => writes.beginRootRotation(number, startedAt),
      };
    },

    DescribeRoot: async ({ call }) => ({ answer: described(await reads.root(call.tenant)), details: {} }),
  };
}

const isRotating = ({ startedAt, endedAt }: StoredRoot): boolean => startedAt !== undefined && endedAt === undefined;

const described = (root: StoredRoot): RootAnswer => ({
  ...{ root: root.number, rotating: isRotating(root), left: root.left },
  ...(root.startedAt && { startedAt: root.startedAt.toISOString() }),
  ...(root.endedAt && { endedAt: root.endedAt.toISOString() }),
});
