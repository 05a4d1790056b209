import { rotateDueKey, type RotationParts, TenantTurns } from '#core';
import type { JobKind } from './jobs/job-kind.js';

export type { RotationParts } from '#core';

const EVERY_MS = 1000;

/** Gives keys their next version when their rotation policy says so: each once a due time, whoever else is at it. */
export function rotateKeys(parts: RotationParts): JobKind {
  const { rotations } = parts;
  // Each rotation is a change of its tenant's rules, which makes stale what is decided beside it.
  const turns = new TenantTurns();
  return {
    ...{ name: 'rotate-key', everyMs: EVERY_MS },
    due: async () => (await rotations.dueRotations()).map(({ tenant, keyId }) => ({ tenant, subject: keyId })),
    run: async (of) => {
      for (const due of await rotations.dueRotations(of)) await turns.run(due.tenant, () => rotateDueKey(parts, due));
    },
  };
}
