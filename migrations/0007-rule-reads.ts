import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayExecute, ownedByFunctions } from './row-security.js';

const TABLES = [
  ...['tenant', 'log', 'credential', 'identity_provider', 'service', 'tenant_suspension'],
  ...['cmk', 'key_version', 'alias', 'policy_version', 'stop'],
]
  .map((table) => `keyward.${table}`)
  .join(', ');

const FUNCTIONS = [
  ...['rules_of(text)', 'key_of(text, text, text)', 'credential_of(text, text)'],
  ...['credential_of_subject(text, text)', 'identity_provider_of(text)'],
];

/** Who decides reads rules; who lets people in by their tenant's identity provider is not the data plane. */
const DECIDERS = ['keyward_key_plane', 'keyward_data_plane', 'keyward_auditor'];
const OF_PEOPLE = ['keyward_key_plane', 'keyward_auditor'];

const CREDENTIAL = `json_build_object(
          'tenant', c.tenant_id, 'credentialId', c.credential_id, 'principal', c.principal, 'role', c.role, 'authMethod', c.auth_method,
          'mac', encode(c.mac, 'hex'), 'subject', c.subject, 'issuer', c.issuer, 'publicKey', c.public_key,
          'createdAt', c.created_at, 'expiresAt', c.expires_at, 'revokedAt', c.revoked_at, 'bindingMac', encode(c.binding_mac, 'hex'))`;

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
            SELECT json_build_object('version', v.version, 'digest', v.digest, 'author', v.author, 'publishedAt', v.published_at,
                'document', v.document, 'mac', encode(v.mac, 'hex'))
              FROM keyward.policy_version v WHERE v.tenant_id = wanted ORDER BY v.version DESC LIMIT 1),
          'stops', (
            SELECT coalesce(json_agg(json_build_object('stopId', s.stop_id, 'target', s.target, 'stoppedBy', s.stopped_by,
                'stoppedAt', s.stopped_at, 'mac', encode(s.mac, 'hex')) ORDER BY s.stop_id), '[]')
              FROM keyward.stop s WHERE s.tenant_id = wanted AND s.lifted_at IS NULL),
          -- All that count as lifted, however they came to it: a row that somebody lifted by hand changes the digest.
          'lifted', (
            SELECT json_build_object(
                'count', count(*),
                'digest', encode(sha256(convert_to(coalesce(string_agg(s.stop_id, ',' ORDER BY s.lift_number, s.stop_id), ''), 'UTF8')), 'hex'),
                'mac', (
                  SELECT encode(l.lift_mac, 'hex') FROM keyward.stop l
                    WHERE l.tenant_id = wanted AND l.lifted_at IS NOT NULL AND l.lift_number IS NOT NULL ORDER BY l.lift_number DESC LIMIT 1))
              FROM keyward.stop s WHERE s.tenant_id = wanted AND s.lifted_at IS NOT NULL),
          'services', (
            SELECT coalesce(json_agg(json_build_object('service', s.service, 'operations', s.operations, 'suspended', s.suspended)), '[]')
              FROM keyward.service s WHERE s.tenant_id = 'platform'),
          'suspended', EXISTS (
            SELECT FROM keyward.tenant_suspension x WHERE x.tenant_id = 'platform' AND x.suspended_tenant = wanted))
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
            'namesMac', encode(k.names_mac, 'hex'),
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
        SELECT json_build_object('epoch', h.epoch, 'credential', ${CREDENTIAL})
        FROM keyward.credential c JOIN keyward.tenant_head h ON h.tenant_id = c.tenant_id
        WHERE c.tenant_id = wanted AND c.credential_id = id
      $$;

      -- A subject is a name that only its issuer gives: another provider's credentials are not in force. The newest that is not revoked.
      CREATE FUNCTION keyward.credential_of_subject(wanted text, of_subject text) RETURNS json LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT json_build_object('epoch', h.epoch, 'credential', ${CREDENTIAL})
        FROM keyward.credential c
        JOIN keyward.tenant_head h ON h.tenant_id = c.tenant_id
        JOIN keyward.identity_provider i ON i.tenant_id = c.tenant_id AND i.issuer = c.issuer
        WHERE c.tenant_id = wanted AND c.subject = of_subject AND c.auth_method = 'oidc'
        ORDER BY c.revoked_at IS NOT NULL, c.created_at DESC, c.credential_id DESC LIMIT 1
      $$;

      CREATE FUNCTION keyward.identity_provider_of(wanted text) RETURNS json LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT json_build_object('epoch', h.epoch, 'provider', json_build_object(
          'issuer', i.issuer, 'audience', i.audience, 'jwksUri', i.jwks_uri, 'algorithms', i.algorithms, 'version', i.version,
          'changedBy', i.changed_by, 'changedAt', i.changed_at, 'mac', encode(i.mac, 'hex')))
        FROM keyward.identity_provider i JOIN keyward.tenant_head h ON h.tenant_id = i.tenant_id
        WHERE i.tenant_id = wanted
      $$;
      ${ownedByFunctions(...FUNCTIONS)}
      ${mayExecute('rules_of(text)', ...DECIDERS)}
      ${mayExecute('key_of(text, text, text)', 'keyward_key_plane', 'keyward_data_plane')}
      ${mayExecute('credential_of(text, text)', ...DECIDERS)}
      ${mayExecute('credential_of_subject(text, text)', ...OF_PEOPLE)}
      ${mayExecute('identity_provider_of(text)', ...OF_PEOPLE)}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION ${FUNCTIONS.map((signature) => `keyward.${signature}`).join(', ')};
      REVOKE ALL ON ${TABLES} FROM keyward_functions;
    `);
  }
}
