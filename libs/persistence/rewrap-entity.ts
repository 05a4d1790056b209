import { EntitySchema } from 'typeorm';
import type { KeyId, KeyVersionId, LongOperation, LongOperationId, ServiceName, TenantId } from '#contract';
import { id, json, tenantId, text, time } from './columns.js';

/** A re-wrap project as its admins see it. As entities.ts; int8 as text. */
export interface RewrapRow {
  tenantId: TenantId;
  operationId: LongOperationId;
  keyId: KeyId;
  fromVersion: KeyVersionId;
  toVersion: KeyVersionId;
  /** Of secrets there is none. */
  service: ServiceName | null;
  itemsPerSecond: number;
  mode: LongOperation['mode'];
  mac: Buffer | null;
  state: LongOperation['state'];
  reason: string | null;
  createdBy: string;
  createdAt: Date;
  startedAt: Date | null;
  endedAt: Date | null;
  firstSeq: string | null;
  lastSeq: string | null;
  population: string | null;
  done: string;
  kept: string;
  failed: string;
  failures: LongOperation['failures'];
  pacedFrom: Date | null;
  pacedAt: Date | null;
  pacedBase: string;
  uploaded: string;
  settled: string;
  acknowledgedTo: string;
  sealedAt: Date | null;
}
const int8 = { type: 'bigint' } as const;
export const RewrapEntity = new EntitySchema<RewrapRow>({
  name: 'Rewrap',
  tableName: 'rewrap',
  columns: {
    tenantId,
    operationId: { ...id, name: 'operation_id' },
    keyId: { ...text, name: 'key_id' },
    fromVersion: { ...text, name: 'from_version' },
    toVersion: { ...text, name: 'to_version' },
    service: { ...text, nullable: true },
    itemsPerSecond: { type: 'integer', name: 'items_per_second' },
    mode: { ...text, default: 'pages' },
    mac: { type: 'bytea', nullable: true },
    state: text,
    reason: { ...text, nullable: true },
    createdBy: { ...text, name: 'created_by' },
    createdAt: { ...time, name: 'created_at' },
    startedAt: { ...time, name: 'started_at', nullable: true },
    endedAt: { ...time, name: 'ended_at', nullable: true },
    firstSeq: { ...int8, name: 'first_seq', nullable: true },
    lastSeq: { ...int8, name: 'last_seq', nullable: true },
    population: { ...int8, nullable: true },
    done: { ...int8, default: 0 },
    kept: { ...int8, default: 0 },
    failed: { ...int8, default: 0 },
    failures: { ...json, default: '[]' },
    pacedFrom: { ...time, name: 'paced_from', nullable: true },
    pacedAt: { ...time, name: 'paced_at', nullable: true },
    pacedBase: { ...int8, name: 'paced_base', default: 0 },
    uploaded: { ...int8, default: 0 },
    settled: { ...int8, default: 0 },
    acknowledgedTo: { ...int8, name: 'acknowledged_to', default: 0 },
    sealedAt: { ...time, name: 'sealed_at', nullable: true },
  },
});
