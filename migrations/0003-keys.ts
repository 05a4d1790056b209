import type { MigrationInterface, QueryRunner } from 'typeorm';
import { tenantRows } from './row-security.js';

/** CMKs, their wrapped versions and their aliases. */
export class Keys implements MigrationInterface {
  readonly name = 'Keys0000000000003';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE keyward.cmk (
        tenant_id text NOT NULL REFERENCES keyward.tenant,
        key_id text NOT NULL,
        state text NOT NULL CHECK (state IN ('PendingImport', 'Enabled', 'Disabled', 'PendingDeletion', 'Destroyed')),
        description text NOT NULL,
        tags json NOT NULL DEFAULT '{}',
        primary_version text NOT NULL,
        created_at timestamptz NOT NULL,
        names_mac bytea NOT NULL CHECK (length(names_mac) = 32),
        PRIMARY KEY (tenant_id, key_id)
      );
      ${tenantRows('cmk')}

      CREATE TABLE keyward.key_version (
        tenant_id text NOT NULL,
        version_id text NOT NULL,
        key_id text NOT NULL,
        spec text NOT NULL,
        usage text NOT NULL,
        origin text NOT NULL,
        protection_level text NOT NULL,
        log_id text NOT NULL,
        blob bytea NOT NULL,
        mac bytea NOT NULL,
        PRIMARY KEY (tenant_id, version_id),
        FOREIGN KEY (tenant_id, key_id) REFERENCES keyward.cmk
      );
      CREATE INDEX key_version_of_key ON keyward.key_version (tenant_id, key_id);
      ${tenantRows('key_version')}

      CREATE TABLE keyward.alias (
        tenant_id text NOT NULL,
        alias text NOT NULL,
        key_id text NOT NULL,
        PRIMARY KEY (tenant_id, alias),
        FOREIGN KEY (tenant_id, key_id) REFERENCES keyward.cmk
      );
      CREATE INDEX alias_of_key ON keyward.alias (tenant_id, key_id);
      ${tenantRows('alias')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE keyward.alias, keyward.key_version, keyward.cmk');
  }
}
