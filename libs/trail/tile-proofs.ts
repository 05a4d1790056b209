import { TILE_WIDTH } from '#contract';
import { appendLeaf, emptyTree, type Frontier, TILE_HEIGHT } from './frontier.js';
import { treeRoot } from './proofs.js';
import { nodeHash, splitOf } from './tree-hash.js';

/** Answers the hashes of one tile of a log: `width` of them, 32 bytes each, 256 in a full one. */
export type ReadHashTile = (level: number, index: number, width: number) => Promise<readonly Uint8Array[]>;

/** Proofs over the first `size` records of a log that is too long to be read: a proof reads two or three tiles of each level. */
export class TileProofs {
  readonly #tiles = new Map<string, Promise<readonly Uint8Array[]>>();

  constructor(
    private readonly size: number,
    private readonly readTile: ReadHashTile,
  ) {}

  /** Audit path (RFC 9162 §2.1.3.1) of the record at `index`, lowest hash first. @throws RangeError when there is none */
  async inclusion(index: number): Promise<Uint8Array[]> {
    if (!Number.isSafeInteger(index) || index < 0 || index >= this.size)
      throw new RangeError(`There is no record ${index} of ${this.size}.`);
    const path: Uint8Array[] = [];
    for (let [lo, hi] = [0, this.size]; hi - lo > 1; ) {
      const middle = lo + splitOf(hi - lo);
      path.unshift(index < middle ? await this.rootOf(middle, hi) : await this.rootOf(lo, middle));
      [lo, hi] = index < middle ? [lo, middle] : [middle, hi];
    }
    return path;
  }

  /** Proof (RFC 9162 §2.1.4.1) that the tree of `from` records is the beginning of this one; empty for 0 and for all. @throws RangeError */
  async consistency(from: number): Promise<Uint8Array[]> {
    if (!Number.isSafeInteger(from) || from < 0 || from > this.size) throw new RangeError(`${this.size} records have no first ${from}.`);
    const path: Uint8Array[] = [];
    let [lo, hi] = [0, from === 0 ? 0 : this.size];
    while (from !== hi && hi !== 0) {
      const middle = lo + splitOf(hi - lo);
      path.unshift(from <= middle ? await this.rootOf(middle, hi) : await this.rootOf(lo, middle));
      [lo, hi] = from <= middle ? [lo, middle] : [middle, hi];
    }
    return lo === 0 ? path : [await this.rootOf(lo, hi), ...path];
  }

  /** Root over records [lo, hi), as RFC 6962 splits them. */
  async rootOf(lo: number, hi: number): Promise<Uint8Array> {
    const count = hi - lo;
    const middle = lo + (count > 1 ? splitOf(count) : 1);
    // Not a perfect subtree: only its right part can be ragged.
    if (middle - lo !== count / 2 && count > 1) return nodeHash(await this.rootOf(lo, middle), await this.rootOf(middle, hi));
    let [level, span] = [0, 1];
    while (span * TILE_WIDTH <= count) [level, span] = [level + 1, span * TILE_WIDTH];
    const first = lo / span;
    const tile = Math.floor(first / TILE_WIDTH);
    const hashes = await this.#tile(level, tile, Math.min(TILE_WIDTH, Math.floor(this.size / span) - tile * TILE_WIDTH));
    return treeRoot(hashes.slice(first - tile * TILE_WIDTH, first - tile * TILE_WIDTH + count / span));
  }

  #tile(level: number, index: number, width: number): Promise<readonly Uint8Array[]> {
    const name = `${level}/${index}`;
    const known = this.#tiles.get(name) ?? this.readTile(level, index, width);
    this.#tiles.set(name, known);
    return known;
  }
}

/** The tree of the first `size` records, from the tiles that its end is in. @throws RangeError when one of them has fewer hashes than it should */
export async function frontierAt(size: number, readTile: ReadHashTile): Promise<Frontier> {
  const nodes: Uint8Array[] = [];
  for (let level = Math.floor(Math.log2(Math.max(1, size)) / TILE_HEIGHT); level >= 0; level--) {
    const span = 2 ** (TILE_HEIGHT * level);
    const index = Math.floor(size / span / TILE_WIDTH);
    const width = Math.floor(size / span) - index * TILE_WIDTH;
    if (width === 0) continue;
    const hashes = await readTile(level, index, width);
    if (hashes.length !== width) throw new RangeError(`Tile ${level}/${index} has ${hashes.length} hashes, not ${width}.`);
    nodes.push(...hashes.reduce((tree, hash) => appendLeaf(tree, hash), emptyTree()).nodes);
  }
  return { size, nodes };
}
