import type { MigrationInterface, QueryRunner } from 'typeorm';
import { mayAppend, mayNotAppend } from './plane-operations.js';
import { APPEND_OWN_RECORD, mayExecute, ownedByFunctions, tenantRows } from './row-security.js';

const DUE = 'due_deletions()';
const DESTROY = 'destroy_key(bytea, text, text, timestamptz, bytea, text[], bytea[])';
const SINCE = 'tombstones_since(timestamptz, text, integer)';
export const OWED = 'receipts_owed()';
export const SAVE = 'save_receipt(text, text, text)';
const RECEIPT = 'shredding_receipt(text, text, text)';
export const TOMBSTONE_COLUMNS = 'tenant_id text, key_id text, destroyed_at timestamptz, mac bytea, version_ids text[]';
export const TOMBSTONE = `t.tenant_id, t.key_id, k.destroyed_at, t.mac,
            ARRAY(SELECT v.version_id FROM keyward.key_version v WHERE v.tenant_id = t.tenant_id AND v.key_id = t.key_id ORDER BY v.version_id)`;
/** Receipts that custody has yet to sign, as long as a tenant has one root for ever. */
export const receiptsOwed = `
      CREATE FUNCTION keyward.receipts_owed() RETURNS TABLE (${TOMBSTONE_COLUMNS}, seq bigint, origin text)
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT ${TOMBSTONE}, t.seq, l.origin
          FROM keyward.key_tombstone t JOIN keyward.cmk k USING (tenant_id, key_id) JOIN keyward.log l USING (tenant_id) WHERE t.receipt IS NULL ORDER BY t.tenant_id, t.key_id LIMIT 100
      $$;
      CREATE FUNCTION keyward.save_receipt(of_tenant text, of_key text, note text) RETURNS void
      LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        UPDATE keyward.key_tombstone SET receipt = note WHERE tenant_id = of_tenant AND key_id = of_key
      $$;
      ${ownedByFunctions(OWED, SAVE)}
      ${mayExecute(OWED, 'keyward_worker')}
      ${mayExecute(SAVE, 'keyward_worker')}`;
const READS = ['GetShreddingReceipt'];
const AUDITS = ['ReadShreddingReceipt'];

/** As 0052. */
export const dueDeletions = `
      CREATE FUNCTION keyward.due_deletions() RETURNS TABLE (tenant_id text, key_id text, due text, log_id text)
      LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT k.tenant_id, k.key_id, k.deletion_at::text, l.log_id
          FROM keyward.cmk k JOIN keyward.log l USING (tenant_id)
          WHERE k.state = 'PendingDeletion' AND k.deletion_at <= clock_timestamp()
          ORDER BY k.deletion_at LIMIT 100 FOR UPDATE OF k SKIP LOCKED
      $$;`;

/** The end of a key: what the worker may do of it, the tombstone that stays, and its receipt. */
export class KeyDestruction implements MigrationInterface {
  readonly name = 'KeyDestruction0000000000060';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE keyward.cmk
        ADD destroyed_at timestamptz,
        ADD CONSTRAINT ended CHECK ((state = 'Destroyed') = (destroyed_at IS NOT NULL));
      CREATE INDEX cmk_due ON keyward.cmk (deletion_at) WHERE deletion_at IS NOT NULL;
      CREATE INDEX cmk_destroyed ON keyward.cmk (destroyed_at, key_id) WHERE destroyed_at IS NOT NULL;

      CREATE TABLE keyward.key_tombstone (
        tenant_id text NOT NULL,
        key_id text NOT NULL,
        mac bytea NOT NULL CHECK (length(mac) = 32),
        -- Of its record.
        seq bigint NOT NULL,
        -- A signed note; none until custody has made it.
        receipt text,
        PRIMARY KEY (tenant_id, key_id),
        FOREIGN KEY (tenant_id, key_id) REFERENCES keyward.cmk
      );
      ${tenantRows('key_tombstone')}
      CREATE INDEX receipt_owed ON keyward.key_tombstone (tenant_id, key_id) WHERE receipt IS NULL;
      GRANT SELECT (tenant_id, key_id, receipt) ON keyward.key_tombstone TO keyward_key_plane;
      GRANT SELECT, INSERT, UPDATE (receipt) ON keyward.key_tombstone TO keyward_functions;
      GRANT UPDATE (state, deletion_at, state_before, destroyed_at) ON keyward.cmk TO keyward_functions;
      GRANT UPDATE (blob, mac) ON keyward.key_version TO keyward_functions;
      ${mayAppend('keyward_worker', ['DestroyKey'])}
      ${mayAppend('keyward_key_plane', READS)}
      ${mayAppend('keyward_auditor', AUDITS)}

      -- Keys whose wait is over by this clock. One that somebody is just changing is left for the next round.
      ${dueDeletions}

      -- State, blobs, tombstone and record in one transaction. NULL: not, or not any more, to be destroyed at this time. Raises KW001 when
      -- a rule or a version came in between. The caller decides nothing: what was scheduled and is due is looked at here, again.
      CREATE FUNCTION keyward.destroy_key(
        body bytea, of_tenant text, of_key text, due timestamptz, tombstone bytea, versions text[], macs bytea[]
      ) RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
      DECLARE
        answer bigint;
      BEGIN
        UPDATE keyward.cmk SET state = 'Destroyed', deletion_at = NULL, state_before = NULL, destroyed_at = date_trunc('milliseconds', clock_timestamp())
          WHERE tenant_id = of_tenant AND key_id = of_key AND state = 'PendingDeletion' AND deletion_at = due AND deletion_at <= clock_timestamp();
        IF NOT FOUND THEN
          RETURN NULL;
        END IF;
        UPDATE keyward.key_version v SET blob = '', mac = ended.mac
          FROM unnest(versions, macs) ended (version_id, mac)
          WHERE v.tenant_id = of_tenant AND v.key_id = of_key AND v.version_id = ended.version_id;
        PERFORM FROM keyward.key_version v WHERE v.tenant_id = of_tenant AND v.key_id = of_key AND length(v.blob) > 0;
        IF FOUND THEN
          RAISE EXCEPTION 'a version is left' USING ERRCODE = 'KW001';
        END IF;
        -- It rests on no rule: on none but the state, which is locked.
        ${APPEND_OWN_RECORD}
        INSERT INTO keyward.key_tombstone (tenant_id, key_id, mac, seq) VALUES (of_tenant, of_key, tombstone, answer);
        RETURN answer;
      END $$;

      -- In the order in which keys ended, after that time and key.
      CREATE FUNCTION keyward.tombstones_since(since timestamptz, after_key text, most integer)
      RETURNS TABLE (${TOMBSTONE_COLUMNS}) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT ${TOMBSTONE}
          FROM keyward.cmk k JOIN keyward.key_tombstone t USING (tenant_id, key_id)
          WHERE (k.destroyed_at, k.key_id) > (since, after_key)
          ORDER BY k.destroyed_at, k.key_id LIMIT most
      $$;

      ${receiptsOwed}
      CREATE FUNCTION keyward.shredding_receipt(wanted text, credential text, key text) RETURNS json
      LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT json_build_object('keyId', k.key_id, 'destroyedAt', k.destroyed_at, 'receipt', t.receipt)
          FROM keyward.cmk k JOIN keyward.key_tombstone t USING (tenant_id, key_id)
          WHERE (SELECT keyward.credential_must_hold(wanted, credential)) AND k.tenant_id = wanted AND k.key_id = key
      $$;
      ${ownedByFunctions(DUE, DESTROY, SINCE, RECEIPT)}
      ${mayExecute(RECEIPT, 'keyward_auditor')}
      ${[DUE, DESTROY, 'key_of(text, text, text)'].map((signature) => mayExecute(signature, 'keyward_worker')).join('')}
      ${mayExecute(SINCE, 'keyward_key_plane', 'keyward_data_plane', 'keyward_worker')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION keyward.${[DUE, DESTROY, SINCE, OWED, SAVE, RECEIPT].join(', keyward.')};
      DROP INDEX keyward.cmk_due;
      SET LOCAL ROLE keyward_functions;
      REVOKE EXECUTE ON FUNCTION keyward.key_of(text, text, text) FROM keyward_worker;
      SET LOCAL ROLE keyward_owner;
      ${mayNotAppend(['DestroyKey', ...READS, ...AUDITS])}
      REVOKE UPDATE (blob, mac) ON keyward.key_version FROM keyward_functions;
      REVOKE UPDATE (state, deletion_at, state_before) ON keyward.cmk FROM keyward_functions;
      DROP TABLE keyward.key_tombstone;
      ALTER TABLE keyward.cmk DROP destroyed_at;
    `);
  }
}
