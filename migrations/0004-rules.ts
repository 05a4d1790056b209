import type { MigrationInterface, QueryRunner } from 'typeorm';
import { tenantRows } from './row-security.js';

/**
 * Published policies, the draft of the next one, and stops. A stop is a row of its own: no policy version lifts it.
 * A `mac` is the HSM's: what it does not fit is no authority, whoever wrote it.
 */
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
        mac bytea NOT NULL CHECK (length(mac) = 32),
        PRIMARY KEY (tenant_id, version)
      );
      ${tenantRows('policy_version')}

      -- No decision reads it.
      CREATE TABLE keyward.policy_draft (
        tenant_id text PRIMARY KEY REFERENCES keyward.tenant,
        digest text NOT NULL,
        author text NOT NULL,
        saved_at timestamptz NOT NULL,
        document json NOT NULL
      );
      ${tenantRows('policy_draft')}

      CREATE TABLE keyward.stop (
        tenant_id text NOT NULL REFERENCES keyward.tenant,
        stop_id text NOT NULL,
        target json NOT NULL,
        reason text NOT NULL,
        stopped_by text NOT NULL,
        stopped_at timestamptz NOT NULL,
        -- May follow: a stop does not wait for the HSM.
        mac bytea CHECK (length(mac) = 32),
        lifted_at timestamptz,
        lifted_by text,
        -- Its place among the lifted, from 1, and the HSM's word for all of them up to this one.
        lift_number integer CHECK (lift_number > 0),
        lift_mac bytea CHECK (length(lift_mac) = 32),
        PRIMARY KEY (tenant_id, stop_id),
        UNIQUE (tenant_id, lift_number)
      );
      CREATE INDEX active_stop ON keyward.stop (tenant_id) WHERE lifted_at IS NULL;
      -- Every snapshot reads the ids of all lifted stops, in this order, from this index alone.
      CREATE INDEX lifted_stop ON keyward.stop (tenant_id, lift_number, stop_id) WHERE lifted_at IS NOT NULL;
      ${tenantRows('stop')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE keyward.stop, keyward.policy_draft, keyward.policy_version');
  }
}
