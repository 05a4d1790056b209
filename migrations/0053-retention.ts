import type { MigrationInterface, QueryRunner } from 'typeorm';
import { seqAt } from './0022-trail-stats.js';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { asFunctions, mayExecute, ownedByFunctions, tenantRows } from './row-security.js';

const BELOW = 'prune_below(text, bigint, bigint, bytea)';
const STEP = 'prune_step()';
const MONTH_EMPTY = 'month_is_empty(timestamptz, timestamptz)';
const DROP_MONTHS = 'drop_empty_months()';
const OPERATIONS = ['SetRetention', 'PruneRecords'];
/** Of a tenant that never said (contract/log-operations.ts). */
const DEFAULT_DAYS = 2557;
/** Tiles of 256 records that one step prunes: it holds no lock of an append's, and ends soon. */
const TILES_A_STEP = 20;

/** Signatures stay, so that grants do. Level 0 of what was pruned is kept apart. */
const leafReads = (pruned: boolean): string => `
      CREATE OR REPLACE FUNCTION keyward.leaf_hashes_of(wanted text, from_seq bigint, to_seq bigint) RETURNS bytea
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT string_agg(l.leaf_hash, ''::bytea ORDER BY l.seq) FROM (
          SELECT r.seq, r.leaf_hash FROM keyward.trail_record r
            WHERE r.tenant_id = wanted AND r.seq >= from_seq AND r.seq < least(to_seq, from_seq + 10000)${
              pruned
                ? `
          UNION ALL
          SELECT 256 * p.index + n, substring(p.hashes FROM 32 * n + 1 FOR 32) FROM keyward.pruned_tile p, generate_series(0, 255) n
            WHERE p.tenant_id = wanted AND p.index >= from_seq / 256 AND 256 * p.index < least(to_seq, from_seq + 10000)
              AND 256 * p.index + n >= from_seq AND 256 * p.index + n < least(to_seq, from_seq + 10000)`
                : ''
            }) l
      $$;
      CREATE OR REPLACE FUNCTION keyward.tile_hashes_of(wanted text, of_level integer, tile bigint, width integer) RETURNS bytea
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT string_agg(t.hash, ''::bytea ORDER BY t.index) FROM (
          SELECT r.seq AS index, r.leaf_hash AS hash FROM keyward.trail_record r
            WHERE of_level = 0 AND r.tenant_id = wanted AND r.seq >= tile * 256 AND r.seq < tile * 256 + least(width, 256)${
              pruned
                ? `
          UNION ALL
          SELECT p.index, substring(p.hashes FROM 1 FOR 32 * least(width, 256)) FROM keyward.pruned_tile p
            WHERE of_level = 0 AND p.tenant_id = wanted AND p.index = tile`
                : ''
            }
          UNION ALL
          SELECT n.index, n.hash FROM keyward.trail_node n
            WHERE n.tenant_id = wanted AND n.level = of_level AND n.index >= tile * 256 AND n.index < tile * 256 + least(width, 256)) t
      $$;
      ${seqAt(pruned ? 'coalesce(min(r.seq), 0)' : '0')}`;

/**
 * How long records are kept, and what becomes of older ones: below a minimum index (C2SP tlog-tiles) the worker takes them away, and keeps
 * their hashes, so that every checkpoint, consistency and later record still verifies.
 */
export class Retention implements MigrationInterface {
  readonly name = 'Retention0000000000053';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${mayAppend('keyward_key_plane', OPERATIONS)}
      CREATE TABLE keyward.log_retention (
        tenant_id text PRIMARY KEY REFERENCES keyward.log,
        days integer NOT NULL DEFAULT ${DEFAULT_DAYS} CHECK (days BETWEEN 180 AND 36525),
        min_index bigint NOT NULL DEFAULT 0 CHECK (min_index >= 0 AND min_index % 256 = 0)
      );
      ${tenantRows('log_retention')}
      GRANT SELECT, INSERT (tenant_id, days), UPDATE (days) ON keyward.log_retention TO keyward_key_plane;
      GRANT SELECT ON keyward.log_retention TO keyward_auditor;
      GRANT SELECT, INSERT, UPDATE ON keyward.log_retention TO keyward_functions;

      -- Level 0 of the log's tiles, of records that are gone.
      CREATE TABLE keyward.pruned_tile (
        tenant_id text NOT NULL REFERENCES keyward.log,
        index bigint NOT NULL CHECK (index >= 0),
        hashes bytea NOT NULL CHECK (length(hashes) = 8192),
        PRIMARY KEY (tenant_id, index)
      );
      ALTER TABLE keyward.pruned_tile ALTER COLUMN hashes SET STORAGE EXTERNAL;
      ${tenantRows('pruned_tile')}
      CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON keyward.pruned_tile FOR EACH ROW EXECUTE FUNCTION keyward.refuse_change();
      CREATE TRIGGER never_emptied BEFORE TRUNCATE ON keyward.pruned_tile FOR EACH STATEMENT EXECUTE FUNCTION keyward.refuse_change();
      GRANT SELECT ON keyward.pruned_tile TO keyward_auditor;
      GRANT SELECT, INSERT ON keyward.pruned_tile TO keyward_functions;

      -- What vouches for a key outlives its place in the log.
      ALTER TABLE keyward.log_key ADD COLUMN record_seq bigint, ADD COLUMN record bytea;
      GRANT UPDATE (record_seq, record) ON keyward.log_key TO keyward_functions;
      GRANT DELETE ON keyward.trail_record TO keyward_functions;
      GRANT DELETE ON keyward.trail_disclosure TO keyward_functions;
      GRANT SELECT ON keyward.signed_checkpoint TO keyward_functions;

      -- Records go only below the minimum index that was set, and only once their hashes are kept.
      CREATE FUNCTION keyward.refuse_unless_pruned() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      BEGIN
        IF NOT EXISTS (
          SELECT FROM keyward.log_retention l JOIN keyward.pruned_tile p USING (tenant_id)
            WHERE l.tenant_id = OLD.tenant_id AND OLD.seq < l.min_index AND p.index = OLD.seq / 256
              AND substring(p.hashes FROM (32 * (OLD.seq % 256) + 1)::integer FOR 32) = OLD.leaf_hash)
        THEN
          RAISE EXCEPTION 'DELETE of % is refused', TG_TABLE_NAME USING ERRCODE = 'KW005';
        END IF;
        RETURN OLD;
      END $$;
      DROP TRIGGER append_only ON keyward.trail_record;
      CREATE TRIGGER append_only BEFORE UPDATE ON keyward.trail_record FOR EACH ROW EXECUTE FUNCTION keyward.refuse_change();
      ${ownedByFunctions('refuse_unless_pruned()')}
      ${mayExecute('refuse_unless_pruned()', 'keyward_owner')}
      CREATE TRIGGER only_pruned BEFORE DELETE ON keyward.trail_record FOR EACH ROW EXECUTE FUNCTION keyward.refuse_unless_pruned();

      -- NULL when it is set; else which condition is not met.
      CREATE FUNCTION keyward.prune_below(of_tenant text, new_min bigint, exported_size bigint, exported_root bytea) RETURNS text
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        kept_days integer;
        old_min bigint;
      BEGIN
        INSERT INTO keyward.log_retention (tenant_id) VALUES (of_tenant) ON CONFLICT DO NOTHING;
        SELECT l.days, l.min_index INTO kept_days, old_min FROM keyward.log_retention l WHERE l.tenant_id = of_tenant FOR UPDATE;
        IF new_min <= old_min THEN
          RETURN 'minIndex: records below ' || old_min || ' were pruned already';
        ELSIF exported_size < new_min OR NOT EXISTS (
            SELECT FROM keyward.signed_checkpoint c WHERE c.tenant_id = of_tenant AND c.size = exported_size AND c.root = exported_root) THEN
          RETURN 'exported: no signed checkpoint over these records has this size and root';
        ELSIF (SELECT r.recorded_at FROM keyward.trail_record r WHERE r.tenant_id = of_tenant AND r.seq = new_min - 1)
            >= clock_timestamp() - kept_days * interval '1 day' THEN
          RETURN 'minIndex: record ' || new_min - 1 || ' is younger than the ' || kept_days || ' days of the retention';
        -- Contexts are counted apart (migration 0071, which this body is only read after).
        ELSIF coalesce((SELECT s.covered_size FROM keyward.trail_stat_head s WHERE s.tenant_id = of_tenant), 0) < new_min
            OR coalesce((SELECT s.covered_size FROM keyward.trail_context_head s WHERE s.tenant_id = of_tenant), 0) < new_min
            OR (SELECT count(*) FROM keyward.trail_node n WHERE n.tenant_id = of_tenant AND n.level = 1 AND n.index < new_min / 256) < new_min / 256 THEN
          RETURN 'minIndex: these records are not counted yet; try again in a moment';
        ELSIF EXISTS (SELECT FROM keyward.sink s WHERE s.tenant_id = of_tenant AND s.next_seq < new_min) THEN
          RETURN 'minIndex: a sink has not got these records yet';
        END IF;
        UPDATE keyward.log_retention l SET min_index = new_min WHERE l.tenant_id = of_tenant;
        RETURN NULL;
      END $$;

      -- Prunes the oldest tiles of one log; answers whether there was anything to do. Hashes and records change places in one transaction.
      CREATE FUNCTION keyward.prune_step() RETURNS boolean LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        of_tenant text;
        from_seq bigint;
        to_seq bigint;
        shared_from bigint;
      BEGIN
        SELECT l.tenant_id, o.seq, least(l.min_index, o.seq + 256 * ${TILES_A_STEP}) INTO of_tenant, from_seq, to_seq
          FROM keyward.log_retention l, LATERAL (
            SELECT min(r.seq) AS seq FROM keyward.trail_record r WHERE r.tenant_id = l.tenant_id) o
          WHERE o.seq < l.min_index
            -- A log from which somebody took records stays as it is, and holds nobody else up.
            AND o.seq % 256 = 0 AND least(l.min_index, o.seq + 256 * ${TILES_A_STEP}) - o.seq = (
              SELECT count(*) FROM keyward.trail_record r
                WHERE r.tenant_id = l.tenant_id AND r.seq >= o.seq AND r.seq < least(l.min_index, o.seq + 256 * ${TILES_A_STEP}))
          LIMIT 1 FOR UPDATE OF l SKIP LOCKED;
        IF NOT FOUND THEN
          RETURN false;
        END IF;
        INSERT INTO keyward.pruned_tile (tenant_id, index, hashes)
          SELECT of_tenant, r.seq / 256, string_agg(r.leaf_hash, ''::bytea ORDER BY r.seq)
            FROM keyward.trail_record r WHERE r.tenant_id = of_tenant AND r.seq >= from_seq AND r.seq < to_seq GROUP BY 2;
        UPDATE keyward.log_key k SET record_seq = r.seq, record = r.bytes
          FROM keyward.trail_record r
          WHERE k.tenant_id = of_tenant AND r.tenant_id = of_tenant AND r.seq >= from_seq AND r.seq < to_seq AND r.op = 'RotateLogKey' AND r.outcome = 'succeeded'
            AND (convert_from(r.bytes, 'UTF8')::jsonb #>> '{change,number}')::integer = k.number;
        -- Later records may carry a shared field of an earlier one.
        SELECT keyward.seq_at(of_tenant, r.recorded_at - interval '11 minutes') INTO shared_from
          FROM keyward.trail_record r WHERE r.tenant_id = of_tenant AND r.seq = to_seq;
        DELETE FROM keyward.trail_disclosure d
          WHERE d.tenant_id = of_tenant AND d.seq < CASE WHEN d.shared THEN least(to_seq, coalesce(shared_from, 0)) ELSE to_seq END;
        DELETE FROM keyward.trail_record r WHERE r.tenant_id = of_tenant AND r.seq >= from_seq AND r.seq < to_seq;
        RETURN true;
      END $$;

      CREATE FUNCTION keyward.month_is_empty(from_time timestamptz, to_time timestamptz) RETURNS boolean
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT NOT EXISTS (SELECT FROM keyward.trail_record r WHERE r.recorded_at >= from_time AND r.recorded_at < to_time)
      $$;
      ${asFunctions(leafReads(true))}
      ${ownedByFunctions(BELOW, STEP, MONTH_EMPTY)}
      ${mayExecute(BELOW, 'keyward_key_plane')}
      ${mayExecute(STEP, 'keyward_worker')}
      ${mayExecute(MONTH_EMPTY, 'keyward_owner')}

      -- As ensure_months; it asks whoever sees rows. No month that a record could still come to.
      CREATE FUNCTION keyward.drop_empty_months() RETURNS integer LANGUAGE plpgsql VOLATILE SECURITY DEFINER
      SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET lock_timeout = '200ms' AS $$
      DECLARE
        month record;
        count integer := 0;
      BEGIN
        FOR month IN
          SELECT c.oid::regclass AS name, b.ends, coalesce(b.begins, '-infinity') AS begins
            FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid, LATERAL (
              SELECT substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \\(''([^'']+)''\\)$')::timestamptz AS ends,
                  substring(pg_get_expr(c.relpartbound, c.oid) FROM 'FROM \\(''([^'']+)''\\)')::timestamptz AS begins) b
            WHERE i.inhparent = 'keyward.trail_record'::regclass AND b.ends < clock_timestamp() - interval '180 days'
        LOOP
          IF keyward.month_is_empty(month.begins, month.ends) THEN
            EXECUTE format('DROP TABLE %s', month.name);
            count := count + 1;
          END IF;
        END LOOP;
        RETURN count;
      END $$;
      REVOKE ALL ON FUNCTION keyward.${DROP_MONTHS} FROM PUBLIC;
      GRANT EXECUTE ON FUNCTION keyward.${DROP_MONTHS} TO keyward_worker;
    `);
  }

  /** Records that were pruned do not come back. */
  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION keyward.${DROP_MONTHS}, keyward.${BELOW}, keyward.${STEP}, keyward.${MONTH_EMPTY};
      DROP TRIGGER only_pruned ON keyward.trail_record;
      DROP FUNCTION keyward.refuse_unless_pruned();
      DROP TRIGGER append_only ON keyward.trail_record;
      CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON keyward.trail_record FOR EACH ROW EXECUTE FUNCTION keyward.refuse_change();
      ${asFunctions(leafReads(false))}
      REVOKE DELETE ON keyward.trail_record FROM keyward_functions;
      REVOKE DELETE ON keyward.trail_disclosure FROM keyward_functions;
      REVOKE SELECT ON keyward.signed_checkpoint FROM keyward_functions;
      ALTER TABLE keyward.log_key DROP COLUMN record_seq, DROP COLUMN record;
      DROP TABLE keyward.pruned_tile, keyward.log_retention;
      ${mayNotAppend(OPERATIONS)}
    `);
  }
}
