import type { RecordBody } from '#contract';
import type { IdleLog } from './ports/heartbeats.js';
import { workerRecord } from './worker-record.js';

/** The record of a log in which nothing happened: by whom it is kept, and how much of it waits for a checkpoint. */
export const heartbeatBody = ({ logId, size, signedSize }: IdleLog, now: number, platform?: string): RecordBody =>
  workerRecord(logId, now, {
    platform,
    ...{ phase: 'heartbeat', op: 'Heartbeat', category: 'platform' },
    change: { size: Number(size), unsigned: Number(size - signedSize) },
  });
