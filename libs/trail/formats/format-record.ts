import type { RecordFormat } from '#contract';
import type { Disclosures } from '../disclosure.js';
import { hex, utf8 } from '../octets.js';
import { parseRecordText } from '../parse-record.js';
import { leafHash } from '../tree-hash.js';
import { actionTrailEvent } from './action-trail.js';
import { cloudEvent } from './cloud-events.js';
import { cloudTrailEvent } from './cloud-trail.js';
import type { LeavingRecord } from './leaving-record.js';
import { ocsfEvent } from './ocsf.js';

const EVENTS: Readonly<Record<Exclude<RecordFormat, 'jsonl'>, (leaving: LeavingRecord) => object>> = {
  cloudevents: cloudEvent,
  ocsf: ocsfEvent,
  cloudtrail: cloudTrailEvent,
  actiontrail: actionTrailEvent,
};

/**
 * One stored record (its exact text) in one of the formats: one line, JSON, without its line feed. Control characters cannot stand in
 * it: JSON escapes them. `disclosures` are personal fields, of this record or of others, to be told in a shaped format; none by default.
 * @throws RecordRefused for a shaped format where the text is no record of schema v1
 */
export function formatRecord(format: RecordFormat, tenant: string, text: string, disclosures: Disclosures = new Map()): string {
  if (format === 'jsonl') return text;
  const record = parseRecordText(text);
  return JSON.stringify(
    EVENTS[format]({ record, tenant, leafHash: hex(leafHash(utf8(text))), personal: personalIn(record._sd ?? [], disclosures) }),
  );
}

const personalIn = (digests: readonly string[], disclosures: Disclosures): LeavingRecord['personal'] => {
  const own = digests.flatMap((digest) => disclosures.get(digest) ?? []);
  return Object.fromEntries(own.map(({ name, value }) => [name, value]));
};
