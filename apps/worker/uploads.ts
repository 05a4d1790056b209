import { moveUploads, type UploadParts, type UploadStore } from '#core';
import type { JobKind } from './jobs/job-kind.js';

export type { UploadParts } from '#core';

const EVERY_MS = 1000;
/** Then the next look finds the project again: other jobs have a turn, and a process that drains does not wait. */
const AT_MOST_MS = 5000;
const DROPPED_AT_ONCE = 10_000;

/** Moves what services uploaded, page by page, for as long as a project is not ahead of its rate. */
export const moveUploadedItems = ({ forMs = AT_MOST_MS, ...parts }: UploadParts & { readonly forMs?: number }): JobKind => ({
  ...{ name: 'move-uploads', everyMs: EVERY_MS },
  due: async () => (await parts.uploads.dueUploads()).map(({ tenant, operationId }) => ({ tenant, subject: operationId })),
  run: async (of) => {
    for (const until = performance.now() + forMs; performance.now() < until; ) {
      const [project] = await parts.uploads.dueUploads(of);
      if (project === undefined || (await moveUploads(parts, project)) === 0) return;
    }
  },
});

/** What was uploaded goes a week after the end of its project; that somebody never acknowledged it stays known. */
export const dropUploads = (uploads: Pick<UploadStore, 'dropUploads'>): JobKind => ({
  ...{ name: 'drop-uploads', everyMs: 3_600_000 },
  run: async () => {
    for (const until = performance.now() + AT_MOST_MS; performance.now() < until; )
      if ((await uploads.dropUploads(DROPPED_AT_ONCE)) < DROPPED_AT_ONCE) return;
  },
});
