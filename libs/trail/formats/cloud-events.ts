import type { LeavingRecord } from './leaving-record.js';

/**
 * CloudEvents 1.0, JSON format. `data` is the record: JSON.stringify spells it as it is stored, so its leaf hash can be computed again.
 * Extension attributes: `sequence` (CloudEvents' own, a string) and `leafhash`.
 */
export const cloudEvent = ({ record, tenant, leafHash }: LeavingRecord) => ({
  specversion: '1.0',
  id: record.id,
  source: `/v1/tenants/${tenant}/logs/${record.log}`,
  type: `keyward.record.v${record.v}.${record.op}`,
  ...(record.key && { subject: record.key.id }),
  time: record.recordedAt,
  datacontenttype: 'application/json',
  sequence: String(record.seq),
  leafhash: leafHash,
  data: record,
});
