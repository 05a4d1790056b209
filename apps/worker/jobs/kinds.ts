import type { WorkerStore } from '#persistence';
import { type BindingRotationParts, rotateBindingKey } from '../binding-rotation.js';
import { destroyKeys, type DestructionParts, signReceipts } from '../destructions.js';
import { heartbeats } from '../heartbeats.js';
import { dropExpiredImports } from '../expired-imports.js';
import { warnOfExpiry } from '../expiry-warnings.js';
import { reportJobs } from '../job-reports.js';
import { endLogKeys, type LogKeyParts } from '../log-key-endings.js';
import { rotateKeys, type RotationParts } from '../key-rotations.js';
import { makeMonths } from '../months.js';
import { tellWear } from '../key-wear.js';
import { offBoardTenants } from '../off-boardings.js';
import { pruneRecords } from '../pruning.js';
import { purgeSecrets } from '../secret-purges.js';
import { dropUploads, moveSecrets, moveUploadedItems, type MoveParts } from '../uploads.js';
import { rotateSecrets } from '../secret-rotations.js';
import { rotateRoots, type RootRotationParts } from '../root-rotations.js';
import type { RowProofs, RunTurn, SecretKeys } from '#core';
import type { JobKind } from './job-kind.js';

export interface KindParts extends Pick<RotationParts, 'grants' | 'snapshots'> {
  readonly store: WorkerStore;
  /** Of rows that no decision reads. */
  readonly proofs: RowProofs;
  readonly runTurn: RunTurn;
  readonly custody: SecretKeys &
    DestructionParts['custody'] &
    BindingRotationParts['custody'] &
    LogKeyParts['custody'] &
    RootRotationParts['custody'] &
    RotationParts['custody'] &
    MoveParts['custody'];
  /** As `platformName` says it. */
  readonly platform: string;
}

/**
 * Every timed thing that the platform does, one row each (docs/queue.md tells how to add one). Not here: what must follow its cause within
 * seconds for every tenant, whatever waits in the queue, which is signing checkpoints, and delivering records.
 */
export const jobKinds = ({ store, custody, grants, snapshots, proofs, runTurn, platform }: KindParts): readonly JobKind[] => [
  destroyKeys({ endings: store.endings, custody, platform }),
  signReceipts({ endings: store.endings, custody }),
  purgeSecrets({ purges: store.purges, platform }),
  ...rotateKeys({ rotations: store.rotations, custody, grants, snapshots, platform }),
  moveUploadedItems({ items: store.uploads, custody, grants, snapshots, platform }),
  moveSecrets({ items: store.secretMoves, custody, grants, snapshots, platform }),
  dropUploads(store.uploads),
  rotateSecrets({
    ...{ rotations: store.secretRotations, secrets: store.secrets, trail: store.trail },
    ...{ custody, grants, snapshots, proofs, runTurn, platform },
  }),
  rotateRoots({ roots: store.roots, custody }),
  offBoardTenants({ offBoardings: store.offBoardings, platform }),
  rotateBindingKey({ bindings: store.bindings, custody, platform }),
  dropExpiredImports(store.roots),
  endLogKeys({ keys: store.logKeys, custody, platform }),
  heartbeats({ logs: store.idle, trail: store.trail, platform }),
  makeMonths(store.checkpoints),
  pruneRecords(store.pruning),
  tellWear({ wear: store.notices, platform }),
  warnOfExpiry({ warnings: store.notices, platform }),
  reportJobs({ alerts: store.notices, platform }),
];
