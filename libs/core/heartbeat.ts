import { PLATFORM, type RecordBody } from '#contract';
import { newRecordId, newRequestId } from './identifiers.js';
import type { IdleLog } from './ports/heartbeats.js';

/** The record of a log in which nothing happened: by whom it is kept, and how much of it waits for a checkpoint. */
export function heartbeatBody({ logId, size, signedSize }: IdleLog, now: number): RecordBody {
  return {
    v: 1,
    id: newRecordId(now),
    log: logId,
    time: new Date(now).toISOString(),
    durationUs: 0,
    phase: 'heartbeat',
    op: 'Heartbeat',
    category: 'platform',
    rw: 'write',
    outcome: 'succeeded',
    change: { size: Number(size), unsigned: Number(size - signedSize) },
    actor: { type: 'worker', tenant: PLATFORM, principal: 'worker' },
    request: { requestId: newRequestId(now) },
  };
}
