import { EntitySchema } from 'typeorm';
import type { SinkAnswer, SinkId, SinkTarget, TenantId } from '#contract';
import { id, json, tenantId, text, time } from './columns.js';

/** A sink, and how far it has come: one row, no copy of any record. As entities.ts. */
export interface SinkRow {
  tenantId: TenantId;
  sinkId: SinkId;
  description: string;
  target: SinkTarget;
  sealed: string | null;
  publicKey: string | null;
  state: SinkAnswer['state'];
  createdBy: string;
  createdAt: Date;
  /** int8, as text. */
  nextSeq: string;
  failures: number;
  failingSince: Date | null;
  lastError: string | null;
  nextAttemptAt: Date;
  lastDeliveredAt: Date | null;
  testRequestedAt: Date | null;
  testedAt: Date | null;
  testError: string | null;
  lease: string | null;
}
export const SinkEntity = new EntitySchema<SinkRow>({
  name: 'Sink',
  tableName: 'sink',
  columns: {
    tenantId,
    sinkId: { ...id, name: 'sink_id' },
    description: text,
    target: json,
    sealed: { ...text, nullable: true, select: false },
    publicKey: { ...text, name: 'public_key', nullable: true },
    state: text,
    createdBy: { ...text, name: 'created_by' },
    createdAt: { ...time, name: 'created_at' },
    nextSeq: { type: 'bigint', name: 'next_seq' },
    failures: { type: 'integer', default: 0 },
    failingSince: { ...time, name: 'failing_since', nullable: true },
    lastError: { ...text, name: 'last_error', nullable: true },
    nextAttemptAt: { ...time, name: 'next_attempt_at' },
    lastDeliveredAt: { ...time, name: 'last_delivered_at', nullable: true },
    testRequestedAt: { ...time, name: 'test_requested_at', nullable: true },
    testedAt: { ...time, name: 'tested_at', nullable: true },
    testError: { ...text, name: 'test_error', nullable: true },
    lease: { type: 'uuid', nullable: true, select: false },
  },
});
