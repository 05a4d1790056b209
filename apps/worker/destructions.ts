import { type Clock, type DueDeletion, type Endings, type KeyEnding, systemClock, type TombstoneKeeper, workerRecord } from '#core';
import type { JobKind } from './jobs/job-kind.js';
import { SEEN_DUE_FOR_MS, seenTwice } from './seen-twice.js';

const EVERY_MS = 1000;

export interface DestructionParts {
  readonly endings: Endings;
  readonly custody: KeyEnding & TombstoneKeeper;
  readonly seenDueForMs?: number;
  readonly clock?: Clock;
  /** As `platformName` says it. */
  readonly platform?: string;
}

/**
 * Carries out the destructions that admins scheduled. The MACs destroy nothing; the database destroys once, and records it in the same
 * transaction.
 */
export function destroyKeys(parts: DestructionParts): JobKind {
  const { endings, custody, seenDueForMs = SEEN_DUE_FOR_MS, clock = systemClock, platform } = parts;
  const found = ({ tenant, keyId, due, dueAt }: DueDeletion) => ({ tenant, subject: keyId, due, dueAt });
  const { due: sure, mustBeOver } = seenTwice(seenDueForMs, clock, async () => (await endings.dueDeletions()).map(found));
  return {
    ...{ name: 'destroy-key', everyMs: EVERY_MS },
    due: sure,
    run: async (of) => {
      for (const due of await endings.dueDeletions(of)) {
        mustBeOver(found(due));
        const key = await endings.key(due.tenant, due.keyId);
        if (key === undefined) continue;
        const versions = [];
        for (const version of key.versions) versions.push(await custody.makeTombstone(version));
        const body = workerRecord(due.logId, clock.now().getTime(), {
          ...{ op: 'DestroyKey', category: 'management', platform },
          key: { id: due.keyId, state: 'Destroyed' },
          change: { state: { before: 'PendingDeletion', after: 'Destroyed' }, versions: versions.length },
        });
        await endings.destroy({ ...due, body, tombstoneMac: versions[0]!.tombstoneMac, versions });
      }
    },
  };
}

/** What custody owes after the end of a key: it signs for one whose tombstone it keeps, and for no other. */
export function signReceipts({ endings, custody }: DestructionParts): JobKind {
  return {
    ...{ name: 'sign-receipt', everyMs: EVERY_MS },
    due: async () => (await endings.receiptsOwed()).map(({ tenant, keyId }) => ({ tenant, subject: keyId })),
    run: async (of) => {
      for (const owed of await endings.receiptsOwed(of)) {
        await custody.keepTombstone(owed);
        await endings.saveReceipt(owed, await custody.shreddingReceipt(owed.tenant, owed));
      }
    },
  };
}
