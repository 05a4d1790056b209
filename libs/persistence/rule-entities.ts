import { EntitySchema } from 'typeorm';
import type { PolicyDocument, StopId, StopTarget, TenantId } from '#contract';
import { bytes, id, json, tenantId, text, time } from './columns.js';

/** What a tenant's admins say: policies and stops. As entities.ts. */
export interface PolicyRow {
  tenantId: TenantId;
  version: number;
  digest: string;
  author: string;
  publishedAt: Date;
  document: PolicyDocument;
  mac: Buffer;
}
export const PolicyEntity = new EntitySchema<PolicyRow>({
  name: 'PolicyVersion',
  tableName: 'policy_version',
  columns: {
    tenantId,
    version: { type: 'integer', primary: true },
    digest: text,
    author: text,
    publishedAt: { ...time, name: 'published_at' },
    document: { ...json, select: false },
    mac: { ...bytes, select: false },
  },
});

interface PolicyDraftRow {
  tenantId: TenantId;
  digest: string;
  author: string;
  savedAt: Date;
  document: PolicyDocument;
}
export const PolicyDraftEntity = new EntitySchema<PolicyDraftRow>({
  name: 'PolicyDraft',
  tableName: 'policy_draft',
  columns: { tenantId, digest: text, author: text, savedAt: { ...time, name: 'saved_at' }, document: json },
});

export interface StopRow {
  tenantId: TenantId;
  stopId: StopId;
  target: StopTarget;
  reason: string;
  stoppedBy: string;
  stoppedAt: Date;
  mac: Buffer | null;
  liftedAt: Date | null;
  liftedBy: string | null;
  liftNumber: number | null;
  liftMac: Buffer | null;
}
export const StopEntity = new EntitySchema<StopRow>({
  name: 'Stop',
  tableName: 'stop',
  columns: {
    tenantId,
    stopId: { ...id, name: 'stop_id' },
    target: json,
    reason: text,
    stoppedBy: { ...text, name: 'stopped_by' },
    stoppedAt: { ...time, name: 'stopped_at' },
    mac: { ...bytes, nullable: true, select: false },
    liftedAt: { ...time, name: 'lifted_at', nullable: true },
    liftedBy: { ...text, name: 'lifted_by', nullable: true },
    liftNumber: { type: 'integer', name: 'lift_number', nullable: true },
    liftMac: { ...bytes, name: 'lift_mac', nullable: true, select: false },
  },
});
