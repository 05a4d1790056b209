import { KeywardError } from '../errors.js';
import type { AuditReads, Reader } from '../ports/reads.js';

/** @throws KeywardError not-found while there is none */
export async function newestCheckpoint(reads: AuditReads, reader: Reader): Promise<{ readonly note: string; readonly size: bigint }> {
  const checkpoint = await reads.checkpoint(reader);
  if (checkpoint === undefined) throw new KeywardError('not-found', 'The log has no signed checkpoint yet; it will in a moment.');
  return checkpoint;
}
