import type { TenantId } from '#contract';
import {
  type Clock,
  type RootKeeping,
  type RootRotationStore,
  type RotatingRoot,
  systemClock,
  type WrappedKeyVersion,
  workerRecord,
} from '#core';
import type { JobKind } from './jobs/job-kind.js';

const PAGE = 50;
/** A tenant with very many keys goes over many jobs: one must end before a process that drains does. */
const PAGES_A_JOB = 10;

export interface RootRotationParts {
  readonly roots: RootRotationStore;
  readonly custody: RootKeeping;
  readonly clock?: Clock;
}

/**
 * Carries out the rotation of a tenant's root that an admin began: every blob is wrapped anew, then no decision that rests on an old blob
 * is accepted any more, then the old root is destroyed, then the record tells it. Each step may be repeated, and the next one begins
 * where the database says.
 */
export const rotateRoots = (parts: RootRotationParts): JobKind => ({
  ...{ name: 'rotate-root', everyMs: 1000 },
  due: async () => (await parts.roots.rotatingRoots()).map(({ tenant }) => ({ tenant, subject: 'root' })),
  run: async ({ tenant }) => {
    for (const rotation of await parts.roots.rotatingRoots(tenant)) await (rotation.rewrapped ? retire : rewrap)(parts, rotation);
  },
});

/** One that cannot be wrapped anew holds up the rotation: the old root stays as long as anything is under it. */
async function rewrap({ roots, custody }: RootRotationParts, { tenant, root }: RotatingRoot): Promise<void> {
  for (let page = 0; page < PAGES_A_JOB; page++) {
    const [imports, versions] = [await roots.importsToRewrap(tenant, PAGE), await versionsToRewrap(roots, tenant)];
    if (imports.length + versions.length === 0) return void (await roots.endRewrapping(tenant));
    for (const one of imports) await roots.saveRewrappedImport(one, await custody.rewrapImport(one, root));
    for (const one of versions) await roots.saveRewrapped(one, await custody.rewrap(one, root));
  }
}

async function versionsToRewrap(roots: RootRotationStore, tenant: TenantId): Promise<WrappedKeyVersion[]> {
  const blobs = await roots.blobsToRewrap(tenant, PAGE);
  const ids = new Set(blobs.map(({ versionId }) => versionId));
  const found: WrappedKeyVersion[] = [];
  for (const keyId of new Set(blobs.map((blob) => blob.keyId)))
    found.push(...((await roots.key(tenant, keyId))?.versions ?? []).filter(({ versionId }) => ids.has(versionId)));
  return found;
}

async function retire({ roots, custody, clock = systemClock }: RootRotationParts, rotation: RotatingRoot): Promise<void> {
  const { tenant, root, logId } = rotation;
  await custody.destroyOlderRoots(tenant, root);
  const change = { root, destroyed: root - 1 };
  await roots.retireRoot(rotation, workerRecord(logId, clock.now().getTime(), { op: 'RetireRoot', category: 'management', change }));
}
