import type { MigrationInterface, QueryRunner } from 'typeorm';
import { tenantRows } from './row-security.js';

/**
 * Credentials of people and services, who vouches for a tenant's people, and the services themselves. What the ISV says of services and
 * of tenants belongs to `platform`.
 */
export class Callers implements MigrationInterface {
  readonly name = 'Callers0000000000002';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE keyward.credential (
        tenant_id text NOT NULL REFERENCES keyward.tenant,
        credential_id text NOT NULL,
        principal text NOT NULL,
        role text NOT NULL,
        auth_method text NOT NULL CHECK (auth_method IN ('api-key', 'private-key-jwt', 'oidc')),
        mac bytea NOT NULL CHECK (length(mac) = 32),
        subject text CHECK ((subject IS NOT NULL) = (auth_method = 'oidc')),
        issuer text CHECK ((issuer IS NOT NULL) = (auth_method = 'oidc')),
        public_key json CHECK ((public_key IS NOT NULL) = (auth_method = 'private-key-jwt')),
        created_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        revoked_at timestamptz,
        binding_mac bytea NOT NULL CHECK (length(binding_mac) = 32),
        PRIMARY KEY (tenant_id, credential_id)
      );
      CREATE INDEX credential_subject ON keyward.credential (tenant_id, subject) WHERE subject IS NOT NULL;
      ${tenantRows('credential')}

      CREATE TABLE keyward.identity_provider (
        tenant_id text PRIMARY KEY REFERENCES keyward.tenant,
        issuer text NOT NULL,
        audience text NOT NULL,
        jwks_uri text NOT NULL,
        algorithms text[] NOT NULL,
        version text NOT NULL,
        changed_by text NOT NULL,
        changed_at timestamptz NOT NULL,
        mac bytea NOT NULL CHECK (length(mac) = 32)
      );
      ${tenantRows('identity_provider')}

      CREATE TABLE keyward.service (
        tenant_id text NOT NULL REFERENCES keyward.tenant CHECK (tenant_id = 'platform'),
        service text NOT NULL,
        description text NOT NULL,
        -- What it may ask for at most; the tenant's grant must allow it too.
        operations text[] NOT NULL,
        suspended boolean NOT NULL DEFAULT false,
        created_at timestamptz NOT NULL,
        PRIMARY KEY (tenant_id, service)
      );
      ${tenantRows('service')}

      CREATE TABLE keyward.tenant_suspension (
        tenant_id text NOT NULL REFERENCES keyward.tenant CHECK (tenant_id = 'platform'),
        suspended_tenant text NOT NULL REFERENCES keyward.tenant,
        reason text NOT NULL,
        suspended_by text NOT NULL,
        suspended_at timestamptz NOT NULL,
        PRIMARY KEY (tenant_id, suspended_tenant)
      );
      ${tenantRows('tenant_suspension')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE keyward.tenant_suspension, keyward.service, keyward.identity_provider, keyward.credential');
  }
}
