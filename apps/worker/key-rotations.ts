import type { TenantId } from '#contract';
import { BoundedMap, type DueRotation, rotateDueKeys, type RotationParts, type RotationsOf } from '#core';
import { type JobKind, NotNow } from './jobs/job-kind.js';

export type { RotationParts } from '#core';

const EVERY_MS = 1000;
/** Each change has what its tenant's services are doing just now decided again: many in a row must not keep one call waiting twice. */
const APART_MS = 250;
/** Of one tenant in one change. */
const LOT = 32;
const TENANTS_KEPT = 2048;
/** It takes days to wear a key out. */
const WORN_EVERY_MS = 60_000;

/**
 * Give keys their next version when their rotation policy says so, or before, when they are worn: once, whoever else is at it. A job names
 * one key, and takes others of its tenant along.
 */
export function rotateKeys({ apartMs = APART_MS, ...parts }: RotationParts & { readonly apartMs?: number }): readonly JobKind[] {
  const { rotations } = parts;
  /** When a tenant's next rotation may begin. */
  const turns = new BoundedMap<TenantId, number>(TENANTS_KEPT);
  const inTurn = async <Answer>(tenant: TenantId, work: () => Promise<Answer>): Promise<Answer> => {
    if ((turns.get(tenant) ?? 0) > performance.now()) throw new NotNow();
    turns.set(tenant, Number.POSITIVE_INFINITY);
    try {
      return await work();
    } finally {
      turns.set(tenant, performance.now() + apartMs);
    }
  };
  const kind = (name: string, everyMs: number, find: (of?: RotationsOf) => Promise<readonly DueRotation[]>): JobKind => ({
    ...{ name, everyMs },
    due: async () => (await find()).map(({ tenant, keyId }) => ({ tenant, subject: keyId })),
    run: async (of, fails) => {
      const { tenant, subject } = of;
      const [own] = await find(of);
      if (own === undefined) return;
      const failed = await inTurn(tenant, async () => {
        const others = (await find({ tenant })).filter(({ keyId }) => keyId !== subject);
        return await rotateDueKeys(parts, [own, ...others].slice(0, LOT));
      });
      for (const { due, error } of failed) if (due !== own) await fails({ tenant, subject: due.keyId }, error);
      const mine = failed.find(({ due }) => due === own);
      if (mine !== undefined) throw mine.error;
    },
  });
  return [
    kind('rotate-key', EVERY_MS, (of) => rotations.dueRotations(of)),
    kind('rotate-worn-key', WORN_EVERY_MS, (of) => rotations.wornKeys(of)),
  ];
}
