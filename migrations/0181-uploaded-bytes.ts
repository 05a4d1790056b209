import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayExecute, ownedByFunctions, withTriggerFunction } from './row-security.js';

const HELD = 'uploaded_bytes(text)';
const COUNT = 'count_uploaded_bytes()';

/** As core/handlers/uploads.ts has it. */
const MOST_BYTES = 268_435_456;
/** What stands in the database of an item until it is acknowledged. */
const BYTES = (item: string) =>
  `coalesce(octet_length(${item}.ciphertext), 0) + coalesce(octet_length(${item}.context::text), 0) + coalesce(octet_length(${item}.result), 0)`;
const sum = (item: string, rows: string) => `coalesce(sum(${BYTES(item)}), 0) FROM ${rows} ${item}`;

const counted = (sign: '+' | '-', rows: string) => `
          UPDATE keyward.rewrap p SET held_bytes = p.held_bytes ${sign} c.bytes
            FROM (SELECT i.tenant_id, i.operation_id, sum(${BYTES('i')}) AS bytes FROM ${rows} i GROUP BY 1, 2) c
            WHERE p.tenant_id = c.tenant_id AND p.operation_id = c.operation_id;`;

/** What one tenant's open projects by upload hold, counted as items come and go, and bounded in the transaction that adds some. */
export class UploadedBytes implements MigrationInterface {
  readonly name = 'UploadedBytes0000000000181';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- Of ciphertexts, contexts and results. Nobody asks of one that is over.
      ALTER TABLE keyward.rewrap ADD COLUMN held_bytes bigint NOT NULL DEFAULT 0;
      SET LOCAL ROLE keyward_functions;
      UPDATE keyward.rewrap p SET held_bytes = (SELECT ${sum('i', 'keyward.rewrap_item')} WHERE i.tenant_id = p.tenant_id AND i.operation_id = p.operation_id)
        WHERE p.mode = 'upload' AND p.ended_at IS NULL;
      SET LOCAL ROLE keyward_owner;

      CREATE FUNCTION keyward.uploaded_bytes(wanted text) RETURNS bigint
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT coalesce(sum(p.held_bytes), 0)::bigint FROM keyward.rewrap p
          WHERE p.tenant_id = wanted AND p.mode = 'upload' AND p.ended_at IS NULL
      $$;

      -- Raises KW005 when there would be too many: others of the tenant wait until this transaction has ended, so that two cannot both fit in.
      CREATE FUNCTION keyward.count_uploaded_bytes() RETURNS trigger
      LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        of_tenant text;
      BEGIN
        IF TG_OP = 'UPDATE' THEN${counted('-', 'lost')}
        END IF;${counted('+', 'gained')}
        IF TG_OP = 'INSERT' THEN
          SELECT i.tenant_id INTO of_tenant FROM gained i LIMIT 1;
          PERFORM pg_advisory_xact_lock(7712, hashtext(of_tenant));
          -- A later statement than the lock.
          IF keyward.uploaded_bytes(of_tenant) > ${MOST_BYTES} THEN
            RAISE EXCEPTION 'uploaded bytes' USING ERRCODE = 'KW005';
          END IF;
        END IF;
        RETURN NULL;
      END $$;
      ${ownedByFunctions(HELD, COUNT)}
      ${mayExecute(HELD, 'keyward_data_plane')}
      ${withTriggerFunction(
        COUNT,
        `CREATE TRIGGER counts_bytes AFTER INSERT ON keyward.rewrap_item REFERENCING NEW TABLE AS gained
          FOR EACH STATEMENT EXECUTE FUNCTION keyward.count_uploaded_bytes();
        CREATE TRIGGER counts_bytes_still AFTER UPDATE ON keyward.rewrap_item REFERENCING OLD TABLE AS lost NEW TABLE AS gained
          FOR EACH STATEMENT EXECUTE FUNCTION keyward.count_uploaded_bytes();`,
      )}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TRIGGER counts_bytes ON keyward.rewrap_item;
      DROP TRIGGER counts_bytes_still ON keyward.rewrap_item;
      DROP FUNCTION keyward.${COUNT}, keyward.${HELD};
      ALTER TABLE keyward.rewrap DROP COLUMN held_bytes;
    `);
  }
}
