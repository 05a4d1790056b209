import type { Justification } from '#contract';
import type { RecordDetails } from '../record.js';

/** What the caller said of its own call, for the record. */
export function askedIn({
  dryRun,
  justification,
}: {
  dryRun?: boolean | undefined;
  justification?: Justification | undefined;
}): RecordDetails {
  if (dryRun !== true && justification === undefined) return {};
  return { asked: { ...(dryRun === true && { dryRun }), ...(justification && { justification }) } };
}
