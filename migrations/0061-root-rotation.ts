import type { MigrationInterface, QueryRunner } from 'typeorm';
import { OWED, SAVE as OLD_SAVE_RECEIPT, receiptsOwed, TOMBSTONE, TOMBSTONE_COLUMNS } from './0060-key-destruction.js';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { APPEND_OWN_RECORD, mayExecute, ownedByFunctions, tenantRows, withTriggerFunction } from './row-security.js';

const MOVE = 'move_epoch()';
const ROTATING = 'rotating_roots()';
const BLOBS = 'blobs_to_rewrap(text, integer)';
const SAVE = 'save_rewrapped(text, text, bytea, bytea, bytea)';
export const END = 'end_rewrapping(text)';
const RETIRE = 'retire_root(bytea, text, integer)';
const SAVE_RECEIPT = 'save_receipt(text, text, text, integer)';
const FUNCTIONS = [ROTATING, BLOBS, SAVE, END, RETIRE];
const OPERATIONS = ['RotateRoot', 'DescribeRoot'];

/** `which`: those rows `w` of a table of what a root wrapped that still want their root. */
export const noneLeft = (table: string, which: string): string =>
  `NOT EXISTS (SELECT FROM keyward.${table} w WHERE w.tenant_id = r.tenant_id AND w.root < r.root AND ${which})`;
export const NO_VERSION_LEFT = noneLeft('key_version', 'length(w.blob) > 0');

/** Makes END; `left`: conditions that say that nothing is left under an older root. */
export const endRewrapping = (...left: string[]): string => `
      CREATE FUNCTION keyward.end_rewrapping(of_tenant text) RETURNS boolean
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      BEGIN
        UPDATE keyward.tenant_root r SET rewrapped = true WHERE r.tenant_id = of_tenant AND NOT r.rewrapped AND ${left.join(' AND ')};
        RETURN FOUND;
      END $$;`;

/** The column of a table of what a root wrapped, and the trigger that writes it. */
export const stampRoot = (table: string): string => `
  ALTER TABLE keyward.${table} ADD root integer NOT NULL DEFAULT 0;
  CREATE TRIGGER stamp_root BEFORE INSERT OR UPDATE OF blob ON keyward.${table} FOR EACH ROW EXECUTE FUNCTION keyward.stamp_root();`;
export const unstampRoot = (table: string): string => `
  DROP TRIGGER stamp_root ON keyward.${table};
  ALTER TABLE keyward.${table} DROP root;`;

/** Re-wrapped: another blob of the same key, under a newer root. Everything else of the row is as it was. */
const REWRAPPED = `(OLD.root < NEW.root AND length(OLD.blob) > 0 AND length(NEW.blob) > 0
  AND to_jsonb(OLD) - '{blob,mac,root}'::text[] = to_jsonb(NEW) - '{blob,mac,root}'::text[])`;

const WATCH = `
  ${stampRoot('key_version')}
  CREATE INDEX key_version_root ON keyward.key_version (tenant_id, root) WHERE length(blob) > 0;
  -- What was decided with the old blob stays true until the old root goes; then the epoch moves, once.
  DROP TRIGGER moves_epoch ON keyward.key_version;
  CREATE CONSTRAINT TRIGGER moves_epoch AFTER DELETE ON keyward.key_version DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION keyward.move_epoch();
  CREATE CONSTRAINT TRIGGER moves_epoch_too AFTER UPDATE ON keyward.key_version DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NOT ${REWRAPPED}) EXECUTE FUNCTION keyward.move_epoch();`;

const UNWATCH = `
  DROP TRIGGER moves_epoch_too ON keyward.key_version;
  DROP TRIGGER moves_epoch ON keyward.key_version;
  CREATE CONSTRAINT TRIGGER moves_epoch AFTER UPDATE OR DELETE ON keyward.key_version DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION keyward.move_epoch();
  ${unstampRoot('key_version')}`;

/** As 0052. */
export const rotatingRoots = `
      CREATE FUNCTION keyward.rotating_roots() RETURNS TABLE (tenant_id text, root integer, rewrapped boolean, log_id text)
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT r.tenant_id, r.root, r.rewrapped, l.log_id
          FROM keyward.tenant_root r JOIN keyward.log l USING (tenant_id) WHERE r.ended_at IS NULL ORDER BY r.started_at LIMIT 100
      $$;`;

/** As 0052. */
export const receiptsOwedUnderRoots = `
      CREATE FUNCTION keyward.receipts_owed() RETURNS TABLE (${TOMBSTONE_COLUMNS}, seq bigint, origin text, root integer, root_ended_at timestamptz)
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT ${TOMBSTONE}, t.seq, l.origin, coalesce(r.root, 0), r.ended_at
          FROM keyward.key_tombstone t
          JOIN keyward.cmk k USING (tenant_id, key_id)
          JOIN keyward.log l USING (tenant_id)
          LEFT JOIN keyward.tenant_root r ON r.tenant_id = t.tenant_id AND r.ended_at IS NOT NULL
          WHERE t.receipt IS NULL OR t.signed_under < r.root
          ORDER BY t.tenant_id, t.key_id LIMIT 100
      $$;`;

/** A tenant's root is replaced: its keys are wrapped anew, one by one, and then the old root goes. */
export class RootRotation implements MigrationInterface {
  readonly name = 'RootRotation0000000000061';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- No row: the first root, number 0, never rotated.
      CREATE TABLE keyward.tenant_root (
        tenant_id text PRIMARY KEY REFERENCES keyward.tenant,
        -- The one that wraps.
        root integer NOT NULL CHECK (root > 0),
        started_at timestamptz NOT NULL,
        -- Nothing is wrapped under an older one, and no decision rests on a blob that was.
        rewrapped boolean NOT NULL DEFAULT false,
        -- The older one is destroyed.
        ended_at timestamptz CHECK (ended_at IS NULL OR rewrapped)
      );
      ${tenantRows('tenant_root')}
      GRANT SELECT, INSERT, UPDATE (root, started_at, rewrapped, ended_at) ON keyward.tenant_root TO keyward_key_plane;
      GRANT SELECT, UPDATE (rewrapped, ended_at) ON keyward.tenant_root TO keyward_functions;
      -- A version that was made under the old root is not committed after this; nor is anything that was decided with an old blob.
      ${withTriggerFunction(
        MOVE,
        `CREATE CONSTRAINT TRIGGER moves_epoch AFTER INSERT OR UPDATE OF root, rewrapped OR DELETE ON keyward.tenant_root DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION keyward.move_epoch();`,
      )}
      CREATE TRIGGER never_emptied BEFORE TRUNCATE ON keyward.tenant_root FOR EACH STATEMENT EXECUTE FUNCTION keyward.refuse_change();

      CREATE FUNCTION keyward.stamp_root() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      BEGIN
        NEW.root := coalesce((SELECT r.root FROM keyward.tenant_root r WHERE r.tenant_id = NEW.tenant_id), 0);
        RETURN NEW;
      END $$;
      ${withTriggerFunction(MOVE, WATCH)}

      ${rotatingRoots}

      -- As key_of answers versions; of keys in every state but the last.
      CREATE FUNCTION keyward.blobs_to_rewrap(wanted text, most integer) RETURNS json
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT coalesce(json_agg(json_build_object('keyId', v.key_id, 'versionId', v.version_id)), '[]')
          FROM (
            SELECT w.key_id, w.version_id FROM keyward.key_version w JOIN keyward.tenant_root r USING (tenant_id)
              WHERE w.tenant_id = wanted AND w.root < r.root AND length(w.blob) > 0 ORDER BY w.version_id LIMIT most) v
      $$;

      -- If it is still the row that was read.
      CREATE FUNCTION keyward.save_rewrapped(of_tenant text, of_version text, read_mac bytea, new_blob bytea, new_mac bytea) RETURNS boolean
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      BEGIN
        UPDATE keyward.key_version SET blob = new_blob, mac = new_mac
          WHERE tenant_id = of_tenant AND version_id = of_version AND mac = read_mac AND length(blob) > 0;
        RETURN FOUND;
      END $$;

      ${endRewrapping(NO_VERSION_LEFT)}

      -- With its record; NULL: there is no such rotation any more. Raises KW001 when a rule came in between.
      CREATE FUNCTION keyward.retire_root(body bytea, of_tenant text, to_root integer) RETURNS bigint
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        answer bigint;
      BEGIN
        UPDATE keyward.tenant_root r SET ended_at = date_trunc('milliseconds', clock_timestamp())
          WHERE r.tenant_id = of_tenant AND r.root = to_root AND r.rewrapped AND r.ended_at IS NULL;
        IF NOT FOUND THEN
          RETURN NULL;
        END IF;
        ${APPEND_OWN_RECORD}
        RETURN answer;
      END $$;
      ${ownedByFunctions('stamp_root()', ...FUNCTIONS)}
      ${FUNCTIONS.map((signature) => mayExecute(signature, 'keyward_worker')).join('')}
      ${mayAppend('keyward_worker', ['RetireRoot'])}
      ${mayAppend('keyward_key_plane', OPERATIONS)}

      -- A receipt that was signed while an older root was there is signed anew: the end is another one.
      ALTER TABLE keyward.key_tombstone ADD signed_under integer;
      GRANT UPDATE (signed_under) ON keyward.key_tombstone TO keyward_functions;
      DROP FUNCTION keyward.${OWED}, keyward.${OLD_SAVE_RECEIPT};
      ${receiptsOwedUnderRoots}
      CREATE FUNCTION keyward.save_receipt(of_tenant text, of_key text, note text, root integer) RETURNS void
      LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        UPDATE keyward.key_tombstone SET receipt = note, signed_under = root WHERE tenant_id = of_tenant AND key_id = of_key
      $$;
      ${ownedByFunctions(OWED, SAVE_RECEIPT)}
      ${[OWED, SAVE_RECEIPT].map((signature) => mayExecute(signature, 'keyward_worker')).join('')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION keyward.${OWED}, keyward.${SAVE_RECEIPT};
      ALTER TABLE keyward.key_tombstone DROP signed_under;
      ${receiptsOwed}
      ${mayNotAppend(['RetireRoot', ...OPERATIONS])}
      DROP FUNCTION keyward.${FUNCTIONS.join(', keyward.')};
      ${withTriggerFunction(MOVE, UNWATCH)}
      DROP FUNCTION keyward.stamp_root();
      DROP TABLE keyward.tenant_root;
    `);
  }
}
