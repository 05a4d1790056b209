import type { TrailRecord } from '#contract';
import { ACTIVITIES, eventNames } from './event-names.js';
import type { LeavingRecord } from './leaving-record.js';

const CLASS = 6003;
const SEVERITIES = { succeeded: [1, 'Informational'], refused: [2, 'Low'], failed: [3, 'Medium'] } as const satisfies Record<
  TrailRecord['outcome'],
  unknown
>;

/** OCSF 1.3.0, class API Activity (6003). `raw_data` is the record, byte for byte; `unmapped` says where it stands. */
export function ocsfEvent({ record, tenant, leafHash, personal }: LeavingRecord) {
  const { actor, key, error, request } = record;
  const activity = eventNames(record.op).activity;
  const [severityId, severity] = SEVERITIES[record.outcome];
  const succeeded = error === undefined;
  return {
    ...{ activity_id: ACTIVITIES[activity], activity_name: activity === 'Other' ? record.op : activity },
    ...{ category_uid: 6, category_name: 'Application Activity', class_uid: CLASS, class_name: 'API Activity' },
    ...{ type_uid: CLASS * 100 + ACTIVITIES[activity], type_name: `API Activity: ${activity}` },
    ...{ severity_id: severityId, severity, status_id: succeeded ? 1 : 2, status: succeeded ? 'Success' : 'Failure' },
    ...(error && { status_code: error.code, status_detail: error.reason }),
    time: Date.parse(record.recordedAt),
    start_time: Date.parse(record.time),
    duration: Math.round(record.durationUs / 1000),
    ...(record.count !== undefined && { count: record.count }),
    actor: {
      user: {
        ...{ name: actor.principal, uid: `${actor.tenant}/${actor.principal}`, type_id: 99, type: actor.type },
        account: { uid: actor.tenant, name: actor.tenant },
        ...(actor.credentialId !== undefined && { credential_uid: actor.credentialId }),
      },
    },
    api: {
      operation: record.op,
      service: { name: 'keyward', uid: record.category },
      version: 'v1',
      request: { uid: request.requestId },
      response: { ...(error && { error: error.code, message: error.reason }), ...(succeeded && { message: record.outcome }) },
    },
    // No record has the address itself; the oldest have a digest of it.
    src_endpoint: personal.sourceIp === undefined ? { uid: request.source ?? 'not-recorded' } : { ip: personal.sourceIp },
    ...(personal.userAgent !== undefined && { http_request: { user_agent: personal.userAgent } }),
    ...(key && {
      resources: [
        {
          uid: key.id,
          type: 'Keyward key',
          ...(key.aliasUsed !== undefined && { name: key.aliasUsed }),
          owner: { account: { uid: tenant } },
        },
      ],
    }),
    metadata: {
      version: '1.3.0',
      product: { name: 'Keyward', vendor_name: 'Keyward', feature: { name: record.category } },
      ...{ uid: record.id, sequence: record.seq, event_code: record.op, correlation_uid: request.requestId },
      ...{ log_name: record.log, tenant_uid: tenant, logged_time: Date.parse(record.recordedAt), original_time: record.time },
    },
    raw_data: JSON.stringify(record),
    unmapped: { log: record.log, seq: record.seq, leaf_hash: leafHash },
  };
}
