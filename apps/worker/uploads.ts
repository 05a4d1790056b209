import { type DueRewrap, moveItems, type MoveParts, type UploadStore } from '#core';
import type { JobKind } from './jobs/job-kind.js';

export type { MoveParts } from '#core';

const EVERY_MS = 1000;
/** Then the next look finds the project again: other jobs have a turn, and a process that drains does not wait. */
const AT_MOST_MS = 5000;
const DROPPED_AT_ONCE = 10_000;

/** Page by page, for as long as a project is not ahead of its rate. */
const moving =
  (name: string) =>
  <Project extends DueRewrap>({ forMs = AT_MOST_MS, ...parts }: MoveParts<Project> & { readonly forMs?: number }): JobKind => ({
    ...{ name, everyMs: EVERY_MS },
    due: async () => (await parts.items.due()).map(({ tenant, operationId }) => ({ tenant, subject: operationId })),
    run: async (of) => {
      for (const until = performance.now() + forMs; performance.now() < until; ) {
        const [project] = await parts.items.due(of);
        if (project === undefined || (await moveItems(parts, project)) === 0) return;
      }
    },
  });

/** What services uploaded. */
export const moveUploadedItems = moving('move-uploads');

/** The data keys of secrets. */
export const moveSecrets = moving('move-secrets');

/** What was uploaded goes a week after the end of its project; that somebody never acknowledged it stays known. */
export const dropUploads = (uploads: Pick<UploadStore, 'drop'>): JobKind => ({
  ...{ name: 'drop-uploads', everyMs: 3_600_000 },
  run: async () => {
    for (const until = performance.now() + AT_MOST_MS; performance.now() < until; )
      if ((await uploads.drop(DROPPED_AT_ONCE)) < DROPPED_AT_ONCE) return;
  },
});
