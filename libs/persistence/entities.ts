import { EntitySchema } from 'typeorm';
import type {
  AuthMethod,
  CredentialId,
  GrantedOperation,
  IdentityProviderAnswer,
  ImportAlgorithm,
  ImportToken,
  KeyId,
  KeyOrigin,
  KeySpec,
  KeyState,
  KeyUsage,
  KeyVersionId,
  Role,
  ServicePublicKey,
  TenantId,
} from '#contract';
import type { ProtectionLevel } from '#core';
import { bytes, id, json, list, tenantId, text, time } from './columns.js';
import { PolicyDraftEntity, PolicyEntity, StopEntity } from './rule-entities.js';
import { RewrapEntity } from './rewrap-entity.js';
import { SinkEntity } from './sink-entity.js';

/** Rows that the key plane reads and writes under row-level security. The schema itself is the migrations' (`synchronize` is never on). */
interface TenantRow {
  tenantId: TenantId;
  displayName: string;
  state: 'Pending' | 'Active' | 'Ended';
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
  authMethod: AuthMethod;
  mac: Buffer;
  subject: string | null;
  issuer: string | null;
  publicKey: ServicePublicKey | null;
  createdAt: Date;
  expiresAt: Date;
  revokedAt: Date | null;
  bindingMac: Buffer;
}
export const CredentialEntity = new EntitySchema<CredentialRow>({
  name: 'Credential',
  tableName: 'credential',
  columns: {
    tenantId,
    credentialId: { ...id, name: 'credential_id' },
    principal: text,
    role: text,
    authMethod: { ...text, name: 'auth_method' },
    mac: { ...bytes, select: false },
    subject: { ...text, nullable: true },
    issuer: { ...text, nullable: true },
    publicKey: { ...json, name: 'public_key', nullable: true, select: false },
    createdAt: { ...time, name: 'created_at' },
    expiresAt: { ...time, name: 'expires_at' },
    revokedAt: { ...time, name: 'revoked_at', nullable: true },
    bindingMac: { ...bytes, name: 'binding_mac', select: false },
  },
});

interface IdentityProviderRow {
  tenantId: TenantId;
  issuer: string;
  audience: string;
  jwksUri: string;
  algorithms: IdentityProviderAnswer['algorithms'];
  version: string;
  changedBy: string;
  changedAt: Date;
  mac: Buffer;
}
export const IdentityProviderEntity = new EntitySchema<IdentityProviderRow>({
  name: 'IdentityProvider',
  tableName: 'identity_provider',
  columns: {
    tenantId,
    issuer: text,
    audience: text,
    jwksUri: { ...text, name: 'jwks_uri' },
    algorithms: list,
    version: text,
    changedBy: { ...text, name: 'changed_by' },
    changedAt: { ...time, name: 'changed_at' },
    mac: { ...bytes, select: false },
  },
});

export interface ServiceRow {
  tenantId: TenantId;
  service: string;
  description: string;
  operations: GrantedOperation[];
  suspended: boolean;
  createdAt: Date;
}
export const ServiceEntity = new EntitySchema<ServiceRow>({
  name: 'Service',
  tableName: 'service',
  columns: {
    tenantId,
    service: id,
    description: text,
    operations: list,
    suspended: { type: 'boolean' },
    createdAt: { ...time, name: 'created_at' },
  },
});

/** Of `platform`. */
export interface SuspensionRow {
  tenantId: TenantId;
  suspendedTenant: TenantId;
  reason: string;
  suspendedBy: string;
  suspendedAt: Date;
}
export const SuspensionEntity = new EntitySchema<SuspensionRow>({
  name: 'TenantSuspension',
  tableName: 'tenant_suspension',
  columns: {
    tenantId,
    suspendedTenant: { ...id, name: 'suspended_tenant' },
    reason: text,
    suspendedBy: { ...text, name: 'suspended_by' },
    suspendedAt: { ...time, name: 'suspended_at' },
  },
});

export interface CmkRow {
  tenantId: TenantId;
  keyId: KeyId;
  state: KeyState;
  description: string;
  tags: Record<string, string>;
  primaryVersion: KeyVersionId;
  createdAt: Date;
  namesMac: Buffer;
  deletionProtection: boolean;
  deletionAt: Date | null;
  stateBefore: KeyState | null;
  destroyedAt: Date | null;
}
export const CmkEntity = new EntitySchema<CmkRow>({
  name: 'Cmk',
  tableName: 'cmk',
  columns: {
    tenantId,
    keyId: { ...id, name: 'key_id' },
    state: text,
    description: text,
    tags: json,
    primaryVersion: { ...text, name: 'primary_version' },
    createdAt: { ...time, name: 'created_at' },
    namesMac: { ...bytes, name: 'names_mac' },
    deletionProtection: { type: 'boolean', name: 'deletion_protection' },
    deletionAt: { ...time, name: 'deletion_at', nullable: true },
    stateBefore: { ...text, name: 'state_before', nullable: true },
    destroyedAt: { ...time, name: 'destroyed_at', nullable: true },
  },
});

interface KeyRotationRow {
  tenantId: TenantId;
  keyId: KeyId;
  version: number;
  intervalDays: number | null;
  nextAt: Date | null;
  mac: Buffer;
}
export const KeyRotationEntity = new EntitySchema<KeyRotationRow>({
  name: 'KeyRotation',
  tableName: 'key_rotation',
  columns: {
    tenantId,
    keyId: { ...id, name: 'key_id' },
    version: { type: 'integer' },
    intervalDays: { type: 'integer', name: 'interval_days', nullable: true },
    nextAt: { ...time, name: 'next_at', nullable: true },
    mac: bytes,
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
  publicKey: Buffer | null;
  mac: Buffer;
  importCheck: Buffer | null;
  validTo: string | null;
  inMemory: boolean | null;
  retiredAsOf: string | null;
  exhausted: boolean;
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
    publicKey: { ...bytes, name: 'public_key', nullable: true, select: false },
    mac: { ...bytes, select: false },
    importCheck: { ...bytes, name: 'import_check', nullable: true },
    validTo: { type: 'bigint', name: 'valid_to', nullable: true },
    inMemory: { type: 'boolean', name: 'in_memory', nullable: true },
    retiredAsOf: { type: 'bigint', name: 'retired_as_of', nullable: true, select: false },
    exhausted: { type: 'boolean', default: false },
  },
});

export interface AliasRow {
  tenantId: TenantId;
  alias: string;
  keyId: KeyId;
}
export const AliasEntity = new EntitySchema<AliasRow>({
  name: 'Alias',
  tableName: 'alias',
  columns: { tenantId, alias: id, keyId: { ...text, name: 'key_id' } },
});

export interface KeyImportRow {
  tenantId: TenantId;
  importToken: ImportToken;
  keyId: KeyId;
  versionId: KeyVersionId;
  spec: KeySpec;
  usage: KeyUsage;
  logId: string;
  algorithm: ImportAlgorithm;
  expiresAt: Date;
  blob: Buffer;
  mac: Buffer;
  usedAt: Date | null;
}
export const KeyImportEntity = new EntitySchema<KeyImportRow>({
  name: 'KeyImport',
  tableName: 'key_import',
  columns: {
    tenantId,
    importToken: { ...id, name: 'import_token' },
    keyId: { ...text, name: 'key_id' },
    versionId: { ...text, name: 'version_id' },
    spec: text,
    usage: text,
    logId: { ...text, name: 'log_id' },
    algorithm: text,
    expiresAt: { ...time, name: 'expires_at' },
    blob: bytes,
    mac: bytes,
    usedAt: { ...time, name: 'used_at', nullable: true },
  },
});

export const ENTITIES = [
  ...[TenantEntity, CredentialEntity, IdentityProviderEntity, ServiceEntity, SuspensionEntity],
  ...[
    CmkEntity,
    KeyVersionEntity,
    KeyRotationEntity,
    KeyImportEntity,
    AliasEntity,
    PolicyEntity,
    PolicyDraftEntity,
    StopEntity,
    SinkEntity,
    RewrapEntity,
  ],
];
