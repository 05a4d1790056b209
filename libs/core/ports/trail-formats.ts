import type { KeyLink } from '#contract';
import type { StoredEntry } from './reads.js';

/** What the handlers need of libs/trail. */
export interface TrailFormats {
  /** Streams a tar of checkpoint, verifier keys, other checkpoints, entries and stored leaf hashes. */
  writeBundle(bundle: {
    readonly checkpoint: string;
    readonly vkeys: readonly string[];
    readonly rotations: readonly KeyLink[];
    readonly checkpoints: readonly string[];
    readonly pruned: AsyncIterable<Uint8Array>;
    readonly entries: AsyncIterable<StoredEntry>;
  }): AsyncIterable<Uint8Array>;
  encodeEntries(entries: readonly Uint8Array[]): Uint8Array;
  /** C2SP tlog-proof of one record under a checkpoint of so many. */
  recordProof(of: {
    readonly index: number;
    readonly size: number;
    readonly checkpoint: string;
    readonly readTile: ReadTile;
  }): Promise<string>;
  /** RFC 9162 §2.1.4.1, 32 bytes a hash. */
  consistencyProof(between: { readonly from: number; readonly to: number; readonly readTile: ReadTile }): Promise<readonly Uint8Array[]>;
}

/** The hashes of one tile, 32 bytes each, as many as asked for. */
export type ReadTile = (level: number, index: number, width: number) => Promise<readonly Uint8Array[]>;
