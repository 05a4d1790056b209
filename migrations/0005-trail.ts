import type { MigrationInterface, QueryRunner } from 'typeorm';
import { tenantRows } from './row-security.js';

/** Records as exact bytes, their leaf hashes, and the newest signed checkpoint of each log. */
export class TrailTables implements MigrationInterface {
  readonly name = 'TrailTables0000000000005';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- The columns after recorded_at are copies for filters; the bytes are the record.
      CREATE TABLE keyward.trail_record (
        tenant_id text NOT NULL,
        seq bigint NOT NULL CHECK (seq >= 0),
        bytes bytea NOT NULL CHECK (length(bytes) <= 8192),
        leaf_hash bytea NOT NULL,
        recorded_at timestamptz NOT NULL,
        op text NOT NULL,
        outcome text NOT NULL,
        key_id text,
        principal text,
        request_id text,
        -- How many calls share it; none for a dry run, which used nothing.
        calls integer NOT NULL,
        -- As the record tells it, RFC 3339 with milliseconds, so that it compares as text.
        lease_until text,
        PRIMARY KEY (tenant_id, seq)
      );
      -- Ciphertext-like JSON of one kilobyte: compression costs more than it saves.
      ALTER TABLE keyward.trail_record ALTER COLUMN bytes SET STORAGE EXTERNAL;
      ${tenantRows('trail_record')}

      CREATE FUNCTION keyward.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
      BEGIN
        RAISE EXCEPTION '% of % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'KW005';
      END $$;
      REVOKE ALL ON FUNCTION keyward.refuse_change() FROM PUBLIC;
      CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON keyward.trail_record FOR EACH ROW EXECUTE FUNCTION keyward.refuse_change();
      -- TRUNCATE passes row triggers.
      CREATE TRIGGER never_emptied BEFORE TRUNCATE ON keyward.trail_record FOR EACH STATEMENT EXECUTE FUNCTION keyward.refuse_change();

      CREATE TABLE keyward.trail_checkpoint (
        tenant_id text PRIMARY KEY REFERENCES keyward.tenant,
        size bigint NOT NULL CHECK (size > 0),
        root bytea NOT NULL CHECK (length(root) = 32),
        note text NOT NULL
      );
      ${tenantRows('trail_checkpoint')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE keyward.trail_checkpoint, keyward.trail_record; DROP FUNCTION keyward.refuse_change()');
  }
}
