import type { RecordFormat, TenantId } from '#contract';
import type { DeliveredRecord } from '#core';
import { formatRecord, RecordRefused } from '#trail';
import { DeliveryFailed } from './sender.js';

/** One record as one line. @throws DeliveryFailed for one that this version of the platform cannot read */
export function eventOf(format: RecordFormat, tenant: TenantId, { seq, bytes }: DeliveredRecord): string {
  try {
    return formatRecord(format, tenant, Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    if (error instanceof RecordRefused) throw new DeliveryFailed(`record ${seq} has a schema that cannot be put into ${format} yet`);
    throw error;
  }
}

/** How events stand together in one HTTP body. */
interface Frame {
  readonly type: string;
  readonly open: string;
  readonly between: string;
  readonly close: string;
}

const ARRAY: Frame = { type: 'application/json', open: '[', between: ',', close: ']' };
export const FRAMES = {
  jsonl: { type: 'application/x-ndjson', open: '', between: '\n', close: '\n' },
  // CloudEvents HTTP protocol binding §3.3: batched content mode.
  cloudevents: { ...ARRAY, type: 'application/cloudevents-batch+json' },
  ocsf: ARRAY,
  cloudtrail: { ...ARRAY, open: '{"Records":[', close: ']}' },
  actiontrail: ARRAY,
} as const satisfies Record<RecordFormat, Frame>;
