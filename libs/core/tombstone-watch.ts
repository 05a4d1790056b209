import { setTimeout as sleep } from 'node:timers/promises';
import type { Tombstone, TombstoneKeeper } from './ports/custody.js';
import type { TombstoneCursor, TombstoneReads } from './ports/endings.js';

const LOOK_EVERY_MS = 1000;
const PAGE = 100;
/** A destruction may commit a while after the time that it tells. */
const OVERLAP_MS = 600_000;
/** From the first on again: a custodian may have lost its file. */
const ALL_EVERY_MS = 3_600_000;
const FIRST: TombstoneCursor = { since: new Date(0), afterKey: '' };

export interface TombstoneWatchParts {
  readonly reads: TombstoneReads;
  readonly custody: TombstoneKeeper;
  /** Told once a failure, not once a second. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * Hands every tombstone to this process's custodian, so that each custodian evicts the key within a second or two, and refuses it for
 * good. No part of the fence: what is destroyed is refused by its state before custody is asked.
 */
export class TombstoneWatch {
  readonly #closing = new AbortController();
  #handed = new Set<string>();
  #from = FIRST;
  #allAt = Number.NEGATIVE_INFINITY;
  #watching: Promise<void> | undefined;

  constructor(private readonly parts: TombstoneWatchParts) {}

  start(): void {
    this.#watching ??= this.#watch();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#watching;
  }

  /** Hands over what is new. @throws KeywardError of the database or of custody; the next round begins where this one failed */
  async round(): Promise<void> {
    const { reads, custody } = this.parts;
    if (performance.now() - this.#allAt > ALL_EVERY_MS) {
      [this.#from, this.#handed, this.#allAt] = [FIRST, new Set(), performance.now()];
    }
    let cursor = this.#from;
    for (let page: readonly Tombstone[]; (page = await reads.tombstonesSince(cursor, PAGE)).length > 0; ) {
      for (const tombstone of page) {
        if (!this.#handed.has(tombstone.keyId)) await custody.keepTombstone(tombstone);
        this.#handed.add(tombstone.keyId);
        cursor = { since: new Date(tombstone.destroyedAt), afterKey: tombstone.keyId };
      }
      if (page.length < PAGE) break;
    }
    if (cursor.since > FIRST.since) this.#from = { since: new Date(cursor.since.getTime() - OVERLAP_MS), afterKey: '' };
  }

  async #watch(): Promise<void> {
    const { signal } = this.#closing;
    for (let failing = false; !signal.aborted; ) {
      try {
        await this.round();
        failing = false;
      } catch (error) {
        if (!failing) this.parts.onFailure(error);
        failing = true;
      }
      await sleep(LOOK_EVERY_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }
}
