import type { RecordBody } from '#contract';
import { TrailUnavailable } from '#core';
import { encodeRecord, RecordUnencodable } from '#trail';

/** @throws TrailUnavailable for a record that the trail could not hold: without a record there is no answer */
export function recordBytes(body: RecordBody): Uint8Array {
  try {
    return encodeRecord(body);
  } catch (error) {
    throw new TrailUnavailable(error instanceof RecordUnencodable ? `record ${error.code}` : 'record cannot be encoded');
  }
}
