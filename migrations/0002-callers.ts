import type { MigrationInterface, QueryRunner } from 'typeorm';
import { tenantRows } from './row-security.js';

/** Credentials of people and services, and the services themselves, which belong to `platform`. */
export class Callers implements MigrationInterface {
  readonly name = 'Callers0000000000002';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE keyward.credential (
        tenant_id text NOT NULL REFERENCES keyward.tenant,
        credential_id text NOT NULL,
        principal text NOT NULL,
        role text NOT NULL,
        mac bytea NOT NULL CHECK (length(mac) = 32),
        created_at timestamptz NOT NULL,
        expires_at timestamptz NOT NULL,
        revoked_at timestamptz,
        PRIMARY KEY (tenant_id, credential_id)
      );
      ${tenantRows('credential')}

      CREATE TABLE keyward.service (
        tenant_id text NOT NULL REFERENCES keyward.tenant CHECK (tenant_id = 'platform'),
        service text NOT NULL,
        description text NOT NULL,
        created_at timestamptz NOT NULL,
        suspended boolean NOT NULL DEFAULT false,
        PRIMARY KEY (tenant_id, service)
      );
      ${tenantRows('service')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE keyward.service, keyward.credential');
  }
}
