import type { ConsistencyAnswer, ConsistencyQuery } from '#contract';
import { KeywardError } from '../errors.js';
import type { AuditReads, Reader } from '../ports/reads.js';
import type { ReadTile, TrailFormats } from '../ports/trail-formats.js';
import { newestCheckpoint } from './newest-checkpoint.js';

/** That a record stands in the log, under its newest checkpoint. @throws KeywardError not-found while none covers it */
export async function recordProof(
  reads: AuditReads,
  formats: Pick<TrailFormats, 'recordProof'>,
  reader: Reader,
  index: number,
): Promise<string> {
  const { note, size } = await newestCheckpoint(reads, reader);
  if (index >= Number(size)) throw notCovered('record');
  return await formats.recordProof({ index, size: Number(size), checkpoint: note, readTile: tilesOf(reads, reader) });
}

/** That the log of `to` records began as the log of `from`. Both are signed over: the newest checkpoint covers them. */
export async function consistencyProof(
  reads: AuditReads,
  formats: Pick<TrailFormats, 'consistencyProof'>,
  reader: Reader,
  { from, to: wanted }: ConsistencyQuery,
): Promise<ConsistencyAnswer> {
  const { size } = await newestCheckpoint(reads, reader);
  const to = wanted ?? Number(size);
  if (to > Number(size) || from > to) throw notCovered('size');
  const proof = await formats.consistencyProof({ from, to, readTile: tilesOf(reads, reader) });
  const checkpoint = await reads.checkpointOfSize(reader, to);
  return { from, to, proof: proof.map((hash) => Buffer.from(hash).toString('base64')), ...(checkpoint !== undefined && { checkpoint }) };
}

export const tilesOf =
  (reads: Pick<AuditReads, 'tileHashes'>, reader: Reader): ReadTile =>
  async (level, index, width) => {
    const hashes = await reads.tileHashes(reader, level, index, width);
    if (hashes.length !== width) throw new KeywardError('not-found', 'A part of the log is missing.', { reason: 'tile-incomplete' });
    return hashes;
  };

const notCovered = (what: string) =>
  new KeywardError('not-found', `The newest checkpoint does not cover this ${what}.`, { reason: `${what}-not-covered` });
