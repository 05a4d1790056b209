import type { RecordsAnswer } from '#contract';
import { InvalidRequest } from '../errors.js';
import type { Step } from '../pipeline.js';
import type { AuditReads } from '../ports/reads.js';
import { personIn } from '../record.js';
import type { RecordCursors } from '../record-cursors.js';

/** One page of a list of records: all pages show the log as the first one saw it. */
export async function recordsPage(
  reads: Pick<AuditReads, 'records' | 'retention'>,
  cursors: RecordCursors,
  { input, principal, snapshot }: Pick<Step<'ListRecords'>, 'input' | 'principal' | 'snapshot'>,
): Promise<RecordsAnswer> {
  const { cursor, limit, asOf: wanted, ...listed } = input;
  const place = cursor === undefined ? undefined : cursors.open(principal, listed, cursor);
  if (place !== undefined && wanted !== undefined && wanted !== place.asOf)
    throw new InvalidRequest([{ field: 'asOf', message: 'is not the one of this list' }]);
  const asOf = place?.asOf ?? wanted;
  const { minIndex } = await reads.retention(principal);
  if (asOf !== undefined && minIndex > 0 && asOf <= minIndex)
    throw new InvalidRequest([{ field: 'asOf', message: `must be above ${minIndex}: records below it were pruned` }]);
  const found = await reads.records(principal, {
    ...listed,
    // A person stands in the log by a name of its own.
    principal: listed.principal === undefined ? undefined : [listed.principal, personIn(snapshot, listed.principal)],
    limit,
    fromSeq: Math.max(place?.nextSeq ?? listed.fromSeq, minIndex),
    ...(asOf !== undefined && { asOf }),
  });
  const { size, items, disclosures, unreadable, nextSeq } = found;
  if (asOf !== undefined && asOf > size)
    throw new InvalidRequest([{ field: 'asOf', message: `must be at most ${size}, the size of the log` }]);
  const shown = { size, asOf: asOf ?? size, items, disclosures, unreadable };
  return nextSeq === undefined ? shown : { ...shown, nextCursor: cursors.seal(principal, listed, { asOf: shown.asOf, nextSeq }) };
}
