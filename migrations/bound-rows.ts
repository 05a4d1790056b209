import { PUBLIC_KEY } from './0035-key-pairs.js';
import { IMPORTED } from './0058-key-import.js';

/** One MAC of the binding key in one table. */
export interface BoundRows {
  readonly kind: string;
  readonly table: string;
  /** The column with the MAC. */
  readonly mac: string;
  /** The column that says since which rotation the MAC was looked at. */
  readonly binding: 'binding' | 'lift_binding' | 'labels_binding';
  /** Of row `v`: what names it within its tenant and kind. */
  readonly id: string;
  /** Those of rows `v` whose MAC anybody may still ask for. */
  readonly which: string;
  /** A later migration makes the column; nothing changes it. */
  readonly comesLater?: boolean;
  /** What the MAC covers besides tenant and id, as arguments of json_build_object. */
  readonly content: string;
}

const rows = (kind: string, table: string, id: string, content: string, more: Partial<BoundRows> = {}): BoundRows => ({
  ...{ kind, table, id, content, mac: 'mac', binding: 'binding', which: 'true' },
  ...more,
});

/** Every MAC that stands anywhere, but for the one that ends a rotation. A test knows if a column is missing here. */
export const BOUND_ROWS: readonly BoundRows[] = [
  rows(
    'policy',
    'policy_version',
    'v.version::text',
    `'version', v.version, 'digest', v.digest, 'author', v.author, 'publishedAt', v.published_at, 'document', v.document`,
  ),
  rows('stop', 'stop', 'v.stop_id', `'stopId', v.stop_id, 'target', v.target, 'stoppedBy', v.stopped_by, 'stoppedAt', v.stopped_at`, {
    which: 'v.mac IS NOT NULL',
  }),
  rows(
    'lifted-stops',
    'stop',
    'v.stop_id',
    `'count', v.lift_number, 'digest', (
            SELECT encode(sha256(convert_to(string_agg(o.stop_id, ',' ORDER BY o.lift_number, o.stop_id), 'UTF8')), 'hex')
              FROM keyward.stop o WHERE o.tenant_id = v.tenant_id AND o.lifted_at IS NOT NULL AND o.lift_number <= v.lift_number)`,
    { mac: 'lift_mac', binding: 'lift_binding', which: 'v.lift_mac IS NOT NULL' },
  ),
  rows(
    'credential',
    'credential',
    'v.credential_id',
    `'tenant', v.tenant_id, 'credentialId', v.credential_id, 'principal', v.principal, 'role', v.role, 'authMethod', v.auth_method,
          'mac', encode(v.mac, 'hex'), 'subject', v.subject, 'issuer', v.issuer, 'publicKey', v.public_key,
          'createdAt', v.created_at, 'expiresAt', v.expires_at`,
    { mac: 'binding_mac' },
  ),
  rows(
    'identity-provider',
    'identity_provider',
    'v.version',
    `'issuer', v.issuer, 'audience', v.audience, 'jwksUri', v.jwks_uri, 'algorithms', v.algorithms, 'version', v.version,
          'changedBy', v.changed_by, 'changedAt', v.changed_at`,
  ),
  rows(
    'key-names',
    'cmk',
    'v.key_id',
    `'keyId', v.key_id, 'tags', v.tags, 'primaryVersion', v.primary_version, 'aliases', (
            SELECT coalesce(json_agg(a.alias ORDER BY a.alias), '[]') FROM keyward.alias a WHERE a.tenant_id = v.tenant_id AND a.key_id = v.key_id)`,
    { mac: 'names_mac' },
  ),
  rows('key-rotation', 'key_rotation', 'v.key_id', `'keyId', v.key_id, 'version', v.version, 'intervalDays', v.interval_days`),
  rows(
    'key-version',
    'key_version',
    'v.version_id',
    `'keyId', v.key_id, 'versionId', v.version_id, 'spec', v.spec, 'usage', v.usage, 'origin', v.origin,
          'protectionLevel', v.protection_level,${PUBLIC_KEY}${IMPORTED}
          'logId', v.log_id, 'blob', encode(v.blob, 'hex')`,
  ),
  rows(
    'import',
    'key_import',
    'v.import_token',
    `'importToken', v.import_token, 'keyId', v.key_id, 'versionId', v.version_id, 'spec', v.spec, 'usage', v.usage, 'logId', v.log_id,
          'algorithm', v.algorithm, 'expiresAt', v.expires_at, 'blob', encode(v.blob, 'hex')`,
    { which: 'v.used_at IS NULL AND v.expires_at > clock_timestamp()' },
  ),
  rows('tombstone', 'key_tombstone', 'v.key_id', `'keyId', v.key_id`),
  rows(
    'secret',
    'secret',
    'v.secret_id',
    `'secretId', v.secret_id, 'name', v.name, 'type', v.type, 'keyId', v.key_id, 'tags', v.tags, 'rotation', v.rotation`,
  ),
  rows('secret-labels', 'secret', 'v.secret_id', `'secretId', v.secret_id, 'revision', v.revision, 'labels', v.labels`, {
    ...{ mac: 'labels_mac', binding: 'labels_binding' },
  }),
  // Of projects by upload (migration 0140), while they go on.
  rows(
    'rewrap',
    'rewrap',
    'v.operation_id',
    `'operationId', v.operation_id, 'keyId', v.key_id, 'fromVersionId', v.from_version, 'toVersionId', v.to_version, 'service', v.service`,
    { which: 'v.mac IS NOT NULL AND v.ended_at IS NULL', comesLater: true },
  ),
];
