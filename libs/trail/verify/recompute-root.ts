import type { TreeHead } from '../checkpoint.js';
import { emptyTree, type Frontier, growTree, rootOf } from '../frontier.js';
import { equalBytes } from '../octets.js';
import { parseRecord, recordText } from '../parse-record.js';
import type { Bundle } from '../read-bundle.js';
import { PlaceReader } from '../read-place.js';
import { type PlatformSpeed, sha256 as ours } from '../sha256.js';
import { treeHasher } from '../tree-hash.js';
import { disclosureFault } from './check-disclosures.js';
import { checkRecord } from './check-record.js';
import type { DisclosureFault, RecordFault, RecordRange } from './report.js';

export interface Recomputed {
  readonly count: number;
  /** Records of which only the hashes are there: whole tiles, the first ones first. */
  readonly unseen: readonly RecordRange[];
  /** Records below it may have been pruned, as the log itself says. */
  readonly mayPrune: number;
  /** Over the records' bytes. */
  readonly root: Uint8Array;
  /** Over the stored leaf hashes, which nothing vouches for yet. */
  readonly storedRoot: Uint8Array;
  /** The first record whose stored hash is not that of its bytes. */
  readonly firstDifference: number | undefined;
  /** The first record that is wrong in itself. */
  readonly firstFault: RecordFault | undefined;
  readonly firstAt: string | undefined;
  readonly lastAt: string | undefined;
  /** Personal fields that were shown, and the first that is not as it should be. */
  readonly disclosed: number;
  readonly disclosureFault: DisclosureFault | undefined;
  /** Of the earlier checkpoints, by their place: whether the records up to their size have their root. Shorter where records are missing. */
  readonly fits: readonly boolean[];
}

/**
 * One pass over ALL records. Nothing is taken from a tile unchecked: verifiers that trusted tiles accepted a forged record together
 * with a forged tile (CVE-2026-56865).
 */
export async function recomputeRoot(
  tiles: Bundle['tiles'],
  {
    logId,
    earlier = [],
    sha256 = ours,
    latin1 = recordText,
  }: { readonly logId: string; readonly earlier?: readonly TreeHead[] } & Partial<PlatformSpeed>,
): Promise<Recomputed> {
  const { leafHash, nodeHash } = treeHasher(sha256);
  const append = (to: Frontier, hash: Uint8Array) => growTree(to, hash, () => undefined, nodeHash);
  const reader = new PlaceReader(latin1);
  const heads = earlier.map(({ size, root }) => ({ size: Number(size), root }));
  let [tree, stored] = [emptyTree(), emptyTree()];
  let firstDifference: number | undefined;
  let firstFault: RecordFault | undefined;
  let firstAt: string | undefined;
  let lastAt: string | undefined;
  const fits: boolean[] = [];
  let disclosed = 0;
  let firstDisclosureFault: DisclosureFault | undefined;
  const unseen: RecordRange[] = [];
  let mayPrune = 0;
  const compareHeads = () => {
    for (let head = heads[fits.length]; head?.size === tree.size; head = heads[fits.length]) fits.push(equalBytes(rootOf(tree), head.root));
  };
  compareHeads();
  for await (const tile of tiles) {
    const { entries, hashes, disclosures = [] } = tile;
    firstDisclosureFault ??= disclosureFault(tile, tree.size, sha256);
    disclosed += disclosures.length;
    if (entries.length === 0) {
      addTo(unseen, tree.size, tree.size + hashes.length);
      for (const hash of hashes) {
        tree = append(tree, hash);
        stored = firstDifference === undefined ? tree : append(stored, hash);
        compareHeads();
      }
    }
    for (const [i, bytes] of entries.entries()) {
      const index = tree.size;
      const storedHash = hashes[i]!;
      const hash = leafHash(bytes);
      if (!equalBytes(hash, storedHash)) firstDifference ??= index;
      tree = append(tree, hash);
      // While nothing differs both trees are one and the same.
      stored = firstDifference === undefined ? tree : append(stored, storedHash);
      compareHeads();
      const checked = checkRecord(bytes, { reader, index, logId, after: lastAt ?? '' });
      if ('code' in checked) firstFault ??= checked;
      else if (unseen.length > 0) mayPrune = Math.max(mayPrune, minIndexIn(bytes, latin1(bytes)));
      if (!('code' in checked)) [firstAt, lastAt] = [firstAt ?? checked.recordedAt, checked.recordedAt];
    }
  }
  return {
    count: tree.size,
    unseen,
    mayPrune,
    root: rootOf(tree),
    storedRoot: rootOf(stored),
    firstDifference,
    firstFault,
    firstAt,
    lastAt,
    disclosed,
    disclosureFault: firstDisclosureFault,
    fits,
  };
}

/** Tiles that follow one another are one range. */
function addTo(ranges: RecordRange[], from: number, to: number): void {
  const last = ranges.at(-1);
  if (last?.to === from) ranges[ranges.length - 1] = { from: last.from, to };
  else ranges.push({ from, to });
}

/** Up to where a record says that records were pruned; 0 for any other. Looked at only behind records that are not there. */
function minIndexIn(bytes: Uint8Array, text: string): number {
  if (!text.includes('"op":"PruneRecords"')) return 0;
  const { op, outcome, change } = parseRecord(bytes);
  const minIndex = change?.['minIndex'];
  return op === 'PruneRecords' && outcome === 'succeeded' && typeof minIndex === 'number' ? minIndex : 0;
}
