import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayExecute, ownedByFunctions } from './row-security.js';

const TABLES =
  'keyward.tenant, keyward.log, keyward.credential, keyward.service, keyward.cmk, keyward.key_version, keyward.alias, keyward.policy_version, keyward.stop';

/**
 * What decisions read. Each function is ONE statement, so that rules and epoch are of one instant: old rules beside a new
 * epoch would pass the fence for as long as nothing else changed.
 */
export class RuleReads implements MigrationInterface {
  readonly name = 'RuleReads0000000000007';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      GRANT SELECT ON ${TABLES} TO keyward_functions;

      CREATE FUNCTION keyward.rules_of(wanted text) RETURNS json LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT json_build_object(
          'tenant', t.tenant_id,
          'state', t.state,
          'epoch', h.epoch,
          'platformEpoch', p.epoch,
          'log', json_build_object('logId', l.log_id, 'origin', l.origin, 'vkey', l.vkey),
          'contextSalt', encode(t.context_salt, 'hex'),
          'policy', (
            SELECT json_build_object('version', v.version, 'digest', v.digest, 'author', v.author, 'publishedAt', v.published_at, 'document', v.document)
              FROM keyward.policy_version v WHERE v.tenant_id = wanted ORDER BY v.version DESC LIMIT 1),
          'stops', (
            SELECT coalesce(json_agg(json_build_object('stopId', s.stop_id, 'target', s.target) ORDER BY s.stop_id), '[]')
              FROM keyward.stop s WHERE s.tenant_id = wanted AND s.lifted_at IS NULL),
          'suspendedServices', (
            SELECT coalesce(json_agg(s.service ORDER BY s.service), '[]') FROM keyward.service s WHERE s.tenant_id = 'platform' AND s.suspended))
        FROM keyward.tenant t
        JOIN keyward.tenant_head h ON h.tenant_id = t.tenant_id
        JOIN keyward.log l ON l.tenant_id = t.tenant_id
        JOIN keyward.tenant_head p ON p.tenant_id = 'platform'
        WHERE t.tenant_id = wanted
      $$;

      CREATE FUNCTION keyward.key_of(wanted text, reference text, of_version text) RETURNS json LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT json_build_object('epoch', h.epoch, 'key', (
          SELECT json_build_object(
            'keyId', k.key_id,
            'state', k.state,
            'description', k.description,
            'createdAt', k.created_at,
            'tags', k.tags,
            'primaryVersion', k.primary_version,
            'aliases', (
              SELECT coalesce(json_agg(a.alias ORDER BY a.alias), '[]') FROM keyward.alias a WHERE a.tenant_id = wanted AND a.key_id = k.key_id),
            'versions', (
              SELECT coalesce(json_agg(json_build_object(
                'versionId', v.version_id, 'spec', v.spec, 'usage', v.usage, 'origin', v.origin, 'protectionLevel', v.protection_level,
                'logId', v.log_id, 'blob', encode(v.blob, 'hex'), 'mac', encode(v.mac, 'hex')) ORDER BY v.version_id), '[]')
                FROM keyward.key_version v WHERE v.tenant_id = wanted AND v.key_id = k.key_id))
          FROM keyward.cmk k
          WHERE k.tenant_id = wanted
            AND k.key_id = CASE
              WHEN of_version IS NOT NULL THEN (SELECT v.key_id FROM keyward.key_version v WHERE v.tenant_id = wanted AND v.version_id = of_version)
              WHEN reference LIKE 'alias/%' THEN (SELECT a.key_id FROM keyward.alias a WHERE a.tenant_id = wanted AND a.alias = reference)
              ELSE reference END))
        FROM keyward.tenant_head h WHERE h.tenant_id = wanted
      $$;

      CREATE FUNCTION keyward.credential_of(wanted text, id text) RETURNS json LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT json_build_object('epoch', h.epoch, 'credential', json_build_object(
          'tenant', c.tenant_id, 'credentialId', c.credential_id, 'principal', c.principal, 'role', c.role,
          'mac', encode(c.mac, 'hex'), 'expiresAt', c.expires_at, 'revokedAt', c.revoked_at))
        FROM keyward.credential c JOIN keyward.tenant_head h ON h.tenant_id = c.tenant_id
        WHERE c.tenant_id = wanted AND c.credential_id = id
      $$;
      ${ownedByFunctions('rules_of(text)', 'key_of(text, text, text)', 'credential_of(text, text)')}
      ${mayExecute('rules_of(text)', 'keyward_key_plane', 'keyward_data_plane', 'keyward_auditor')}
      ${mayExecute('key_of(text, text, text)', 'keyward_key_plane', 'keyward_data_plane')}
      ${mayExecute('credential_of(text, text)', 'keyward_key_plane', 'keyward_data_plane', 'keyward_auditor')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION keyward.rules_of(text), keyward.key_of(text, text, text), keyward.credential_of(text, text);
      REVOKE ALL ON ${TABLES} FROM keyward_functions;
    `);
  }
}
