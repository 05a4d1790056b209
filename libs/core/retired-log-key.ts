import type { RecordBody } from '#contract';
import type { EndingLogKey } from './ports/log-keys.js';
import { workerRecord } from './worker-record.js';

/** The record that a log's older key signs no more. */
export const retiredBody = ({ logId, number, vkey }: EndingLogKey, now: number, platform?: string): RecordBody =>
  workerRecord(logId, now, { platform, op: 'RetireLogKey', category: 'platform', change: { number, vkey } });
