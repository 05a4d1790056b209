import type { MigrationInterface, QueryRunner } from 'typeorm';
import { tenantRows } from './row-security.js';

/** Who owns keys; the ISV itself is the tenant `platform`. Rows are never deleted, so that no id is ever used again. */
export class Tenants implements MigrationInterface {
  readonly name = 'Tenants0000000000001';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE keyward.tenant (
        tenant_id text PRIMARY KEY CHECK (tenant_id ~ '^[a-z][a-z0-9-]{1,30}$'),
        display_name text NOT NULL,
        state text NOT NULL CHECK (state IN ('Pending', 'Active')),
        context_salt bytea NOT NULL CHECK (length(context_salt) = 32),
        created_at timestamptz NOT NULL
      );
      ${tenantRows('tenant')}
      -- Operators list all tenants.
      CREATE POLICY platform_sees_all ON keyward.tenant FOR SELECT TO keyward_key_plane
        USING (current_setting('app.tenant_id', true) = 'platform');

      -- One row orders everything that happens to a tenant. Half-empty pages: an append's update stays on its page (HOT).
      CREATE TABLE keyward.tenant_head (
        tenant_id text PRIMARY KEY REFERENCES keyward.tenant,
        size bigint NOT NULL DEFAULT 0,
        epoch uuid NOT NULL DEFAULT gen_random_uuid(),
        last_at timestamptz NOT NULL DEFAULT '2000-01-01T00:00:00Z'
      ) WITH (fillfactor = 20);
      ${tenantRows('tenant_head')}

      CREATE TABLE keyward.log (
        tenant_id text PRIMARY KEY REFERENCES keyward.tenant,
        log_id text NOT NULL,
        origin text NOT NULL,
        vkey text NOT NULL
      );
      ${tenantRows('log')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE keyward.log, keyward.tenant_head, keyward.tenant');
  }
}
