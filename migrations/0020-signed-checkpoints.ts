import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayExecute, ownedByFunctions, tenantRows } from './row-security.js';

const SAVE_NODES = 'save_nodes(text, smallint[], bigint[], bytea)';
const TILE_HASHES = 'tile_hashes_of(text, integer, bigint, integer)';
const MUST_HOLD = 'credential_must_hold(text, text)';

const appendOnly = (table: string): string => `
  CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON keyward.${table} FOR EACH ROW EXECUTE FUNCTION keyward.refuse_change();
  CREATE TRIGGER never_emptied BEFORE TRUNCATE ON keyward.${table} FOR EACH STATEMENT EXECUTE FUNCTION keyward.refuse_change();`;

/**
 * Every checkpoint that was ever signed, so that a verifier can say between which two a log was tampered with; the hashes above full tiles,
 * so that neither a tile nor a proof needs more than a few reads; and the caller's credential, looked at by the statement that reads for it.
 */
export class SignedCheckpoints implements MigrationInterface {
  readonly name = 'SignedCheckpoints0000000000020';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE keyward.signed_checkpoint (
        tenant_id text NOT NULL REFERENCES keyward.tenant,
        size bigint NOT NULL CHECK (size > 0),
        root bytea NOT NULL CHECK (length(root) = 32),
        note text NOT NULL,
        signed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (tenant_id, size)
      );
      ${tenantRows('signed_checkpoint')}
      ${appendOnly('signed_checkpoint')}

      -- Level 0 is the records' own leaf hashes.
      CREATE TABLE keyward.trail_node (
        tenant_id text NOT NULL REFERENCES keyward.tenant,
        level smallint NOT NULL CHECK (level BETWEEN 1 AND 6),
        index bigint NOT NULL CHECK (index >= 0),
        hash bytea NOT NULL CHECK (length(hash) = 32),
        PRIMARY KEY (tenant_id, level, index)
      );
      ${tenantRows('trail_node')}
      ${appendOnly('trail_node')}

      GRANT INSERT ON keyward.signed_checkpoint TO keyward_functions;
      GRANT SELECT, INSERT ON keyward.trail_node TO keyward_functions;
      GRANT SELECT ON keyward.signed_checkpoint, keyward.trail_node TO keyward_auditor;

      CREATE FUNCTION keyward.keep_checkpoint() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      BEGIN
        INSERT INTO keyward.signed_checkpoint (tenant_id, size, root, note) VALUES (NEW.tenant_id, NEW.size, NEW.root, NEW.note) ON CONFLICT DO NOTHING;
        RETURN NULL;
      END $$;
      CREATE TRIGGER keep_checkpoint AFTER INSERT OR UPDATE ON keyward.trail_checkpoint FOR EACH ROW EXECUTE FUNCTION keyward.keep_checkpoint();
      INSERT INTO keyward.signed_checkpoint (tenant_id, size, root, note) SELECT c.tenant_id, c.size, c.root, c.note FROM keyward.trail_checkpoint c;

      -- Hashes of 32 bytes, joined. What is there stays: a node never changes.
      CREATE FUNCTION keyward.save_nodes(of_tenant text, levels smallint[], indexes bigint[], hashes bytea) RETURNS void
      LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        INSERT INTO keyward.trail_node (tenant_id, level, index, hash)
          SELECT of_tenant, n.level, n.index, substring(hashes FROM 32 * n.place::integer - 31 FOR 32)
            FROM unnest(levels, indexes) WITH ORDINALITY n (level, index, place)
          ON CONFLICT DO NOTHING
      $$;

      -- The hashes of one tile, joined.
      CREATE FUNCTION keyward.tile_hashes_of(wanted text, of_level integer, tile bigint, width integer) RETURNS bytea
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT string_agg(t.hash, ''::bytea ORDER BY t.index) FROM (
          SELECT r.seq AS index, r.leaf_hash AS hash FROM keyward.trail_record r
            WHERE of_level = 0 AND r.tenant_id = wanted AND r.seq >= tile * 256 AND r.seq < tile * 256 + least(width, 256)
          UNION ALL
          SELECT n.index, n.hash FROM keyward.trail_node n
            WHERE n.tenant_id = wanted AND n.level = of_level AND n.index >= tile * 256 AND n.index < tile * 256 + least(width, 256)) t
      $$;

      -- True, or raises: a statement that asks for it reads nothing for a credential that does not hold any more.
      CREATE FUNCTION keyward.credential_must_hold(of_tenant text, id text) RETURNS boolean
      LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      BEGIN
        IF NOT EXISTS (
          SELECT FROM keyward.credential c
            WHERE c.tenant_id = of_tenant AND c.credential_id = id AND c.revoked_at IS NULL AND c.expires_at > clock_timestamp())
        THEN
          RAISE EXCEPTION 'credential' USING ERRCODE = 'KW001';
        END IF;
        RETURN true;
      END $$;
      ${ownedByFunctions('keep_checkpoint()', SAVE_NODES, TILE_HASHES, MUST_HOLD)}
      ${mayExecute(SAVE_NODES, 'keyward_worker')}
      ${mayExecute(TILE_HASHES, 'keyward_worker')}
      ${mayExecute(MUST_HOLD, 'keyward_auditor')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TRIGGER keep_checkpoint ON keyward.trail_checkpoint;
      DROP FUNCTION keyward.keep_checkpoint(), keyward.${SAVE_NODES}, keyward.${TILE_HASHES}, keyward.${MUST_HOLD};
      DROP TABLE keyward.trail_node, keyward.signed_checkpoint;
    `);
  }
}
