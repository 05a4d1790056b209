import {
  type Checkpoints,
  type Clock,
  type DueDeletion,
  type Endings,
  type KeyEnding,
  type OwedReceipt,
  systemClock,
  type TombstoneKeeper,
  workerRecord,
} from '#core';

/** A clock that jumps may be set back: no key ends before its wait was seen to be over twice, so long apart. */
const SEEN_DUE_FOR_MS = 10_000;

export interface DestructionParts {
  readonly endings: Endings;
  readonly custody: KeyEnding & TombstoneKeeper;
  readonly lead: Pick<Checkpoints, 'asLeader'>;
  readonly onFailure: (error: unknown, about: { readonly tenant: string; readonly keyId: string }) => void;
  readonly seenDueForMs?: number;
  readonly clock?: Clock;
  /** As `platformName` says it. */
  readonly platform?: string;
}

/**
 * Carries out the destructions that admins scheduled. Each step may be repeated: the MACs destroy nothing, the database destroys once
 * and records it in the same transaction, and what custody still owes after that is read from the database again.
 */
export class Destructions {
  /** When a wait was first seen to be over, by this process's monotonic clock. */
  #seen = new Map<string, number>();

  constructor(private readonly parts: DestructionParts) {}

  /** @throws KeywardError unavailable, when nobody can tell what is due */
  async round(): Promise<void> {
    const { endings, lead } = this.parts;
    await lead.asLeader(async () => {
      for (const due of this.#surely(await endings.dueDeletions())) await this.#each(due, () => this.#destroy(due));
      for (const owed of await endings.receiptsOwed()) await this.#each(owed, () => this.#issue(owed));
    });
  }

  #surely(found: readonly DueDeletion[]): readonly DueDeletion[] {
    const now = performance.now();
    const { seenDueForMs = SEEN_DUE_FOR_MS } = this.parts;
    const nameOf = ({ tenant, keyId, due }: DueDeletion) => `${tenant}/${keyId}/${due}`;
    this.#seen = new Map(found.map((due) => [nameOf(due), this.#seen.get(nameOf(due)) ?? now]));
    return found.filter((due) => now - this.#seen.get(nameOf(due))! >= seenDueForMs);
  }

  async #destroy(due: DueDeletion): Promise<void> {
    const { endings, custody, platform, clock = systemClock } = this.parts;
    const key = await endings.key(due.tenant, due.keyId);
    if (key === undefined) return;
    const ended = [];
    for (const version of key.versions) ended.push(await custody.makeTombstone(version));
    const body = workerRecord(due.logId, clock.now().getTime(), {
      ...{ op: 'DestroyKey', category: 'management', platform },
      key: { id: due.keyId, state: 'Destroyed' },
      change: { state: { before: 'PendingDeletion', after: 'Destroyed' }, versions: ended.length },
    });
    await endings.destroy({ ...due, body, tombstoneMac: ended[0]!.tombstoneMac, versions: ended });
  }

  /** Custody signs for a key whose tombstone it keeps, and for no other. */
  async #issue(owed: OwedReceipt): Promise<void> {
    const { endings, custody } = this.parts;
    await custody.keepTombstone(owed);
    await endings.saveReceipt(owed, await custody.shreddingReceipt(owed.tenant, owed));
  }

  /** One key that cannot be ended keeps no other waiting. */
  async #each(about: { readonly tenant: string; readonly keyId: string }, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.parts.onFailure(error, { tenant: about.tenant, keyId: about.keyId });
    }
  }
}
