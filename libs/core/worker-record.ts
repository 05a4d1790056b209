import { PLATFORM, type RecordBody } from '#contract';
import { newRecordId, newRequestId } from './identifiers.js';

/** The record of what the worker did of itself, in a tenant's log: nobody asked for it at this moment. */
export function workerRecord(
  logId: string,
  now: number,
  {
    platform,
    ...done
  }: Pick<RecordBody, 'op' | 'category' | 'change' | 'platform'> &
    Partial<Pick<RecordBody, 'phase' | 'key' | 'secret' | 'crypto' | 'authz' | 'hsm' | 'outcome' | 'error'>>,
): RecordBody {
  return {
    ...{ v: 1, id: newRecordId(now), log: logId, time: new Date(now).toISOString(), durationUs: 0 },
    ...{ phase: 'single', rw: 'write', outcome: 'succeeded' },
    ...done,
    actor: { type: 'worker', tenant: PLATFORM, principal: 'worker' },
    request: { requestId: newRequestId(now) },
    ...(platform !== undefined && { platform }),
  };
}
