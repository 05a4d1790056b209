import type { KeyLink } from '#contract';
import type { AuditReads, Reader } from '../ports/reads.js';
import type { TrailFormats } from '../ports/trail-formats.js';
import { tilesOf } from './proofs.js';

/** How the log's keys followed from one another; without those whose record no checkpoint covers yet, or is gone. */
export async function keyLinks(
  reads: Pick<AuditReads, 'logKeys' | 'tileHashes'>,
  formats: Pick<TrailFormats, 'recordProof'>,
  reader: Reader,
): Promise<{ readonly vkeys: readonly string[]; readonly rotations: readonly KeyLink[] }> {
  const keys = await reads.logKeys(reader);
  const rotations: KeyLink[] = [];
  for (const { vkey, evidence } of keys) {
    if (evidence === undefined) continue;
    const { seq: index, record, checkpoint, size } = evidence;
    const proof = await formats.recordProof({ index, size, checkpoint, readTile: tilesOf(reads, reader) });
    rotations.push({ vkey, record: Buffer.from(record).toString(), proof });
  }
  return { vkeys: keys.map(({ vkey }) => vkey).reverse(), rotations };
}
