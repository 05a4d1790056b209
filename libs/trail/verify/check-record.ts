import { RecordRefused } from '../parse-record.js';
import type { PlaceReader } from '../read-place.js';
import type { RecordFault } from './report.js';

export interface RecordPlace {
  /** One a log. */
  readonly reader: PlaceReader;
  readonly index: number;
  readonly logId: string;
  /** `recordedAt` of the record before it. */
  readonly after: string;
}

/**
 * Whether a record may stand where it stands: its schema, its own number, its log, its time. Attacker: whoever rewrites the log and
 * has the whole of it signed again. Answers its time, or what is wrong.
 */
export function checkRecord(bytes: Uint8Array, { reader, index, logId, after }: RecordPlace): { recordedAt: string } | RecordFault {
  try {
    const { seq, log, recordedAt } = reader.read(bytes);
    if (seq !== index)
      return { code: 'record-out-of-place', index, seq, message: `The record at place ${index} says that it is record ${seq}.` };
    if (log !== logId) return { code: 'foreign-record', index, seq, message: `Record ${index} belongs to another log.` };
    // Times of one format and width compare as text.
    if (recordedAt < after)
      return { code: 'time-went-back', index, seq, message: `Record ${index} was recorded before the one in front of it.` };
    return { recordedAt };
  } catch (cause) {
    if (!(cause instanceof RecordRefused)) throw cause;
    return { code: 'malformed-record', index, message: `Record ${index} is not a record: ${cause.message}` };
  }
}
