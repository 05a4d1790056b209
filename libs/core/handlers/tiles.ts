import { TILE_WIDTH, type TileName } from '#contract';
import { KeywardError } from '../errors.js';
import type { AuditReads, Reader } from '../ports/reads.js';
import type { TrailFormats } from '../ports/trail-formats.js';
import { newestCheckpoint } from './newest-checkpoint.js';

/** One tile, of what is signed: nobody could prove anything about the rest. @throws KeywardError not-found */
export async function tileOf(
  reads: AuditReads,
  formats: Pick<TrailFormats, 'encodeEntries'>,
  reader: Reader,
  { level, index, width }: TileName,
): Promise<Uint8Array> {
  const { size } = await newestCheckpoint(reads, reader);
  const span = level === 'entries' ? 1 : TILE_WIDTH ** level;
  if ((index * TILE_WIDTH + width) * span > Number(size))
    throw new KeywardError('not-found', 'The newest checkpoint does not cover this tile.', { reason: 'tile-not-covered' });
  const { minIndex } = level === 'entries' ? await reads.retention(reader) : { minIndex: 0 };
  if (index * TILE_WIDTH < minIndex)
    throw new KeywardError('not-found', `Records below ${minIndex} were pruned; their hashes are there.`, { reason: 'tile-pruned' });
  const hashes = level === 'entries' ? undefined : await reads.tileHashes(reader, level, index, width);
  const entries = level === 'entries' ? await reads.tileEntries(reader, index, width) : [];
  if ((hashes ?? entries).length !== width)
    throw new KeywardError('not-found', 'A part of this tile is missing.', { reason: 'tile-incomplete' });
  return hashes === undefined ? formats.encodeEntries(entries.map(({ bytes }) => bytes)) : Buffer.concat(hashes);
}
