import type { TenantId } from '#contract';
import { BoundedMap, type Due, type DueRotation, rotateDueKey, type RotationParts } from '#core';
import { type JobKind, NotNow } from './jobs/job-kind.js';

export type { RotationParts } from '#core';

const EVERY_MS = 1000;
/** Each rotation has what its tenant's services are doing just now decided again: a hundred at once must not keep one call waiting twice. */
const APART_MS = 250;
const TENANTS_KEPT = 2048;
/** It takes days to wear a key out. */
const WORN_EVERY_MS = 60_000;

/** Give keys their next version when their rotation policy says so, or before, when they are worn: once, whoever else is at it. */
export function rotateKeys({ apartMs = APART_MS, ...parts }: RotationParts & { readonly apartMs?: number }): readonly JobKind[] {
  const { rotations } = parts;
  /** When a tenant's next rotation may begin. */
  const turns = new BoundedMap<TenantId, number>(TENANTS_KEPT);
  const rotate = async (due: DueRotation) => {
    if ((turns.get(due.tenant) ?? 0) > performance.now()) throw new NotNow();
    turns.set(due.tenant, Number.POSITIVE_INFINITY);
    try {
      await rotateDueKey(parts, due);
    } finally {
      turns.set(due.tenant, performance.now() + apartMs);
    }
  };
  const kind = (name: string, everyMs: number, find: (of?: Due) => Promise<readonly DueRotation[]>): JobKind => ({
    ...{ name, everyMs },
    due: async () => (await find()).map(({ tenant, keyId }) => ({ tenant, subject: keyId })),
    run: async (of) => {
      for (const due of await find(of)) await rotate(due);
    },
  });
  return [
    kind('rotate-key', EVERY_MS, (of) => rotations.dueRotations(of)),
    kind('rotate-worn-key', WORN_EVERY_MS, (of) => rotations.wornKeys(of)),
  ];
}
