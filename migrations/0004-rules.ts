import type { MigrationInterface, QueryRunner } from 'typeorm';
import { tenantRows } from './row-security.js';

/** Published policies and stops. A stop is a row of its own: no policy version lifts it. */
export class Rules implements MigrationInterface {
  readonly name = 'Rules0000000000004';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- json, not jsonb: documents keep their bytes, and may hold U+0000, which jsonb refuses.
      CREATE TABLE keyward.policy_version (
        tenant_id text NOT NULL REFERENCES keyward.tenant,
        version integer NOT NULL CHECK (version > 0),
        digest text NOT NULL,
        author text NOT NULL,
        published_at timestamptz NOT NULL,
        document json NOT NULL,
        PRIMARY KEY (tenant_id, version)
      );
      ${tenantRows('policy_version')}

      CREATE TABLE keyward.stop (
        tenant_id text NOT NULL REFERENCES keyward.tenant,
        stop_id text NOT NULL,
        target json NOT NULL,
        reason text NOT NULL,
        stopped_by text NOT NULL,
        stopped_at timestamptz NOT NULL,
        lifted_at timestamptz,
        lifted_by text,
        PRIMARY KEY (tenant_id, stop_id)
      );
      CREATE INDEX active_stop ON keyward.stop (tenant_id) WHERE lifted_at IS NULL;
      ${tenantRows('stop')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE keyward.stop, keyward.policy_version');
  }
}
