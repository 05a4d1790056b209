import type { KeyLink } from '#contract';
import type { LaterLogKey } from '../ports/reads.js';
import type { ReadTile, TrailFormats } from '../ports/trail-formats.js';

/** How the log's keys followed from one another; without those whose record no checkpoint covers yet, or is gone. */
export async function keyLinks(
  keys: readonly LaterLogKey[],
  formats: Pick<TrailFormats, 'recordProof'>,
  readTile: ReadTile,
): Promise<{ readonly vkeys: readonly string[]; readonly rotations: readonly KeyLink[] }> {
  const rotations: KeyLink[] = [];
  for (const { vkey, evidence } of keys) {
    if (evidence === undefined) continue;
    const { seq: index, record, checkpoint, size } = evidence;
    const proof = await formats.recordProof({ index, size, checkpoint, readTile });
    rotations.push({ vkey, record: Buffer.from(record).toString(), proof });
  }
  return { vkeys: keys.map(({ vkey }) => vkey).reverse(), rotations };
}
