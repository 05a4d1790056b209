import { TILE_WIDTH } from '#contract';
import { parseCheckpoint } from './checkpoint.js';
import { BundleRefused, type Bundle, type BundleTile } from './read-bundle.js';
import { decodeEntries, decodeHashes, type TileKind, tilePath } from './tiles.js';

/** Answers the bytes of a tile by its path, `tile/0/000.p/7` (C2SP tlog-tiles); undefined where there is none. */
export type FetchTile = (path: string) => Promise<Uint8Array | undefined>;

/**
 * A log that is read tile by tile from wherever it is served, up to its checkpoint; works in a browser too. Entries below `minIndex` are
 * not asked for; of a full tile without entries the hashes are taken for them. @throws NoteRefused, CheckpointRefused
 */
export function tiledLog(head: Omit<Bundle, 'tiles'>, fetchTile: FetchTile): Bundle {
  return { ...head, tiles: tilesOf(Number(parseCheckpoint(head.checkpoint).size), head.minIndex ?? 0, fetchTile) };
}

async function* tilesOf(size: number, minIndex: number, fetchTile: FetchTile): AsyncGenerator<BundleTile> {
  for (let index = 0; index * TILE_WIDTH < size; index++) {
    const width = Math.min(TILE_WIDTH, size - index * TILE_WIDTH);
    const tile = async (kind: TileKind, decode: (bytes: Uint8Array) => Uint8Array[]) => {
      const path = tilePath(kind, index, width);
      const bytes = await fetchTile(path);
      // Whether the log says that these records were pruned is for the verifier to judge.
      if (bytes === undefined && kind === 'entries' && width === TILE_WIDTH) return [];
      if (bytes === undefined) throw new BundleRefused('missing-tile', `${path} is missing, or a part of it.`);
      const parts = decoded(path, decode, bytes);
      if (parts.length !== width) throw new BundleRefused('wrong-tile-width', `${path} does not have as many as its name says.`);
      return parts;
    };
    const isPruned = (index + 1) * TILE_WIDTH <= minIndex;
    const [entries, hashes] = await Promise.all([isPruned ? [] : tile('entries', decodeEntries), tile('0', decodeHashes)]);
    yield { entries, hashes };
  }
}

function decoded(path: string, decode: (bytes: Uint8Array) => Uint8Array[], bytes: Uint8Array): Uint8Array[] {
  try {
    return decode(bytes);
  } catch (cause) {
    throw new BundleRefused('malformed-bundle', `${path} is not a tile.`, cause);
  }
}
