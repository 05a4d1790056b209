import type { RootRotationStore } from '#core';
import type { JobKind } from './jobs/job-kind.js';

/** Imports whose tokens count no more go, and the wrapping keys that wait for their material with them. */
export const dropExpiredImports = (roots: Pick<RootRotationStore, 'dropExpiredImports'>): JobKind => ({
  ...{ name: 'drop-expired-imports', everyMs: 60_000 },
  run: async () => void (await roots.dropExpiredImports()),
});
