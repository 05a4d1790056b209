import type { StoredEntry } from './reads.js';

/** What the handlers need of libs/trail. */
export interface TrailFormats {
  /** Streams a tar of checkpoint, verifier keys, other checkpoints, entries and stored leaf hashes. */
  writeBundle(bundle: {
    readonly checkpoint: string;
    readonly vkeys: readonly string[];
    readonly checkpoints: readonly string[];
    readonly entries: AsyncIterable<StoredEntry>;
  }): AsyncIterable<Uint8Array>;
  encodeEntries(entries: readonly Uint8Array[]): Uint8Array;
}
