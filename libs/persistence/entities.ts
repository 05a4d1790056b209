import { EntitySchema } from 'typeorm';
import type { CredentialId, KeyId, KeyState, KeyVersionId, PolicyDocument, Role, StopId, StopTarget, TenantId } from '#contract';
import type { KeyOrigin, KeySpec, KeyUsage, ProtectionLevel } from '#core';

/** Rows that the key plane reads and writes under row-level security. The schema itself is the migrations' (`synchronize` is never on). */
const id = { type: 'text', primary: true } as const;
const text = { type: 'text' } as const;
const bytes = { type: 'bytea' } as const;
const time = { type: 'timestamptz' } as const;
const tenantId = { ...id, name: 'tenant_id' } as const;

interface TenantRow {
  tenantId: TenantId;
  displayName: string;
  state: 'Pending' | 'Active';
  createdAt: Date;
}
export const TenantEntity = new EntitySchema<TenantRow>({
  name: 'Tenant',
  tableName: 'tenant',
  columns: { tenantId, displayName: { ...text, name: 'display_name' }, state: text, createdAt: { ...time, name: 'created_at' } },
});

export interface CredentialRow {
  tenantId: TenantId;
  credentialId: CredentialId;
  principal: string;
  role: Role;
  mac: Buffer;
  createdAt: Date;
  expiresAt: Date;
  revokedAt: Date | null;
}
export const CredentialEntity = new EntitySchema<CredentialRow>({
  name: 'Credential',
  tableName: 'credential',
  columns: {
    tenantId,
    credentialId: { ...id, name: 'credential_id' },
    principal: text,
    role: text,
    mac: { ...bytes, select: false },
    createdAt: { ...time, name: 'created_at' },
    expiresAt: { ...time, name: 'expires_at' },
    revokedAt: { ...time, name: 'revoked_at', nullable: true },
  },
});

interface ServiceRow {
  tenantId: TenantId;
  service: string;
  description: string;
  createdAt: Date;
}
export const ServiceEntity = new EntitySchema<ServiceRow>({
  name: 'Service',
  tableName: 'service',
  columns: { tenantId, service: id, description: text, createdAt: { ...time, name: 'created_at' } },
});

interface CmkRow {
  tenantId: TenantId;
  keyId: KeyId;
  state: KeyState;
  description: string;
  tags: Record<string, string>;
  primaryVersion: KeyVersionId;
  createdAt: Date;
}
export const CmkEntity = new EntitySchema<CmkRow>({
  name: 'Cmk',
  tableName: 'cmk',
  columns: {
    tenantId,
    keyId: { ...id, name: 'key_id' },
    state: text,
    description: text,
    tags: { type: 'json' },
    primaryVersion: { ...text, name: 'primary_version' },
    createdAt: { ...time, name: 'created_at' },
  },
});

export interface KeyVersionRow {
  tenantId: TenantId;
  versionId: KeyVersionId;
  keyId: KeyId;
  spec: KeySpec;
  usage: KeyUsage;
  origin: KeyOrigin;
  protectionLevel: ProtectionLevel;
  logId: string;
  blob: Buffer;
  mac: Buffer;
}
export const KeyVersionEntity = new EntitySchema<KeyVersionRow>({
  name: 'KeyVersion',
  tableName: 'key_version',
  columns: {
    tenantId,
    versionId: { ...id, name: 'version_id' },
    keyId: { ...text, name: 'key_id' },
    spec: text,
    usage: text,
    origin: text,
    protectionLevel: { ...text, name: 'protection_level' },
    logId: { ...text, name: 'log_id' },
    blob: { ...bytes, select: false },
    mac: { ...bytes, select: false },
  },
});

interface AliasRow {
  tenantId: TenantId;
  alias: string;
  keyId: KeyId;
}
export const AliasEntity = new EntitySchema<AliasRow>({
  name: 'Alias',
  tableName: 'alias',
  columns: { tenantId, alias: id, keyId: { ...text, name: 'key_id' } },
});

interface PolicyRow {
  tenantId: TenantId;
  version: number;
  digest: string;
  author: string;
  publishedAt: Date;
  document: PolicyDocument;
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
    document: { type: 'json' },
  },
});

export interface StopRow {
  tenantId: TenantId;
  stopId: StopId;
  target: StopTarget;
  reason: string;
  stoppedBy: string;
  stoppedAt: Date;
  liftedAt: Date | null;
  liftedBy: string | null;
}
export const StopEntity = new EntitySchema<StopRow>({
  name: 'Stop',
  tableName: 'stop',
  columns: {
    tenantId,
    stopId: { ...id, name: 'stop_id' },
    target: { type: 'json' },
    reason: text,
    stoppedBy: { ...text, name: 'stopped_by' },
    stoppedAt: { ...time, name: 'stopped_at' },
    liftedAt: { ...time, name: 'lifted_at', nullable: true },
    liftedBy: { ...text, name: 'lifted_by', nullable: true },
  },
});

export const ENTITIES = [TenantEntity, CredentialEntity, ServiceEntity, CmkEntity, KeyVersionEntity, AliasEntity, PolicyEntity, StopEntity];
