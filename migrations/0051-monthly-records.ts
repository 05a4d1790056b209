import type { MigrationInterface, QueryRunner } from 'typeorm';
import { tenantRows } from './row-security.js';

const ENSURE = 'ensure_months(integer)';
/** Months that have their partition before they begin; a worker that is away for longer costs no record (see the default partition). */
const AHEAD = 2;

const READERS = 'keyward_auditor, keyward_functions';
/** Nobody reaches a partition but through the whole: row-level security without a policy, and no right. */
const asPartition = (table: string): string => `
  ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY;
  ALTER TABLE ${table} FORCE ROW LEVEL SECURITY;
  CREATE TRIGGER never_emptied BEFORE TRUNCATE ON ${table} FOR EACH STATEMENT EXECUTE FUNCTION keyward.refuse_change();`;
const appendOnly = `CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON keyward.trail_record FOR EACH ROW EXECUTE FUNCTION keyward.refuse_change();`;
const neverEmptied = `CREATE TRIGGER never_emptied BEFORE TRUNCATE ON keyward.trail_record FOR EACH STATEMENT EXECUTE FUNCTION keyward.refuse_change();`;
const stopRecord = `CREATE INDEX stop_record ON keyward.trail_record (tenant_id, seq) WHERE op = 'Stop';`;
/** What the planes see; a table of the same name with the same rights, whole or in partitions. */
const guarded = `
  GRANT SELECT ON keyward.trail_record TO ${READERS};
  GRANT INSERT ON keyward.trail_record TO keyward_functions;
  ${tenantRows('trail_record')}
  ${appendOnly}
  ${neverEmptied}`;

/**
 * Records by month, so that whole months can go when their time has come. What was there becomes the first partition as it is, without being
 * copied. Every partition has the primary key that the table had; the whole has none, for it would have to hold the time.
 */
export class MonthlyRecords implements MigrationInterface {
  readonly name = 'MonthlyRecords0000000000051';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TRIGGER append_only ON keyward.trail_record;
      DROP POLICY tenant_rows ON keyward.trail_record;
      DROP POLICY function_rows ON keyward.trail_record;
      REVOKE ALL ON keyward.trail_record FROM ${READERS};
      ALTER TABLE keyward.trail_record RENAME TO trail_record_first;
      ALTER TABLE keyward.trail_record_first RENAME CONSTRAINT trail_record_pkey TO trail_record_first_pkey;
      ALTER INDEX keyward.stop_record RENAME TO stop_record_first;
      CREATE TABLE keyward.trail_record (LIKE keyward.trail_record_first INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE) PARTITION BY RANGE (recorded_at);
      ${guarded}
      ${stopRecord}

      DO $$
      DECLARE
        ends timestamptz;
      BEGIN
        -- Its owner would see no row.
        ALTER TABLE keyward.trail_record_first NO FORCE ROW LEVEL SECURITY;
        SELECT date_trunc('month', greatest(clock_timestamp(), max(r.recorded_at)), 'UTC') + interval '1 month' INTO ends FROM keyward.trail_record_first r;
        ALTER TABLE keyward.trail_record_first FORCE ROW LEVEL SECURITY;
        EXECUTE format('ALTER TABLE keyward.trail_record ATTACH PARTITION keyward.trail_record_first FOR VALUES FROM (MINVALUE) TO (%L)', ends);
      END $$;

      -- For a time that has no month of its own: an append is never refused for want of one.
      CREATE TABLE keyward.trail_record_other PARTITION OF keyward.trail_record (PRIMARY KEY (tenant_id, seq)) DEFAULT;
      ${asPartition('keyward.trail_record_other')}

      -- Owned by the owner of the tables, who alone can attach to them; it reads and writes no row. Attached, not created in place: appends go on.
      CREATE FUNCTION keyward.ensure_months(ahead integer) RETURNS integer LANGUAGE plpgsql VOLATILE SECURITY DEFINER
      SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET lock_timeout = '1s' AS $$
      DECLARE
        month timestamptz;
        made text;
        count integer := 0;
      BEGIN
        SELECT max(substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \\(''([^'']+)''\\)$')::timestamptz) INTO month
          FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'keyward.trail_record'::regclass;
        WHILE month <= date_trunc('month', clock_timestamp(), 'UTC') + ahead * interval '1 month' LOOP
          made := format('keyward.%I', 'trail_record_' || to_char(month, 'YYYY_MM'));
          BEGIN
            EXECUTE format('CREATE TABLE %s (LIKE keyward.trail_record INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE, PRIMARY KEY (tenant_id, seq))', made);
            EXECUTE format('ALTER TABLE keyward.trail_record ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)', made, month, month + interval '1 month');
            EXECUTE format($table$${asPartition('%1$s')}$table$, made);
            count := count + 1;
          EXCEPTION WHEN check_violation THEN
            -- Records of this month are among the others already; there they stay.
            NULL;
          END;
          month := month + interval '1 month';
        END LOOP;
        RETURN count;
      END $$;
      REVOKE ALL ON FUNCTION keyward.${ENSURE} FROM PUBLIC;
      GRANT EXECUTE ON FUNCTION keyward.${ENSURE} TO keyward_worker;
      SELECT keyward.ensure_months(${AHEAD});
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION keyward.${ENSURE};
      ALTER TABLE keyward.trail_record RENAME TO trail_record_whole;
      ALTER TABLE keyward.trail_record_whole NO FORCE ROW LEVEL SECURITY;
      CREATE TABLE keyward.trail_record (LIKE keyward.trail_record_whole INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE, PRIMARY KEY (tenant_id, seq));
      INSERT INTO keyward.trail_record SELECT * FROM keyward.trail_record_whole;
      DROP TABLE keyward.trail_record_whole;
      ${stopRecord}
      ${guarded}
    `);
  }
}
